"""A load generator that is a program: run to its end, with the CPU time that it used."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence


class ProgramFailedError(Exception):
    """It ended with an exit code other than 0."""


def ran(command: Sequence[str]) -> tuple[str, float]:
    """Run a program to its end.

    Returns:
        What it wrote, and its CPU seconds, user and system, from its start to its end.

    Raises:
        ProgramFailedError: With what it wrote.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        output = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ProgramFailedError(f"{command[0]} ended with {process.returncode}: {output}")
    return output, usage.ru_utime + usage.ru_stime
