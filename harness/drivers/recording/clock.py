"""The clock of all samples."""

from __future__ import annotations

import time
from pathlib import Path

clock = time.monotonic_ns
"""Nanoseconds of CLOCK_MONOTONIC: the same for all processes of a machine since its start."""


def clock_id() -> str:
    """Identifies this clock: two processes with the same identifier share it.

    CLOCK_MONOTONIC restarts with the machine, and a time namespace shifts it (time_namespaces(7)).
    Empty where the system does not identify it.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/time").readlink()
    except OSError:
        return ""
    return f"{boot}/{namespace}"
