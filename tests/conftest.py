"""What every test may use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from loopmark.harness.launch.process_reaper import MARK

Loopmark = Callable[..., "subprocess.Popen[str]"]

TEST = "LOOPMARK_TEST"
"""Environment variable by which a test knows the processes that came from it."""


@pytest.fixture
def start_loopmark(tmp_path: Path) -> Loopmark:
    """Start the command line in an empty folder, as a user would; returns the process."""

    def start(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).with_name("loopmark")), *arguments]
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k != MARK}
            | {TEST: str(tmp_path)}
            | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


@pytest.fixture
def loopmark(start_loopmark: Loopmark) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line to its end in an empty folder."""

    def run(
        *arguments: str, environment: dict[str, str] | None = None, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        process = start_loopmark(*arguments, environment=environment)
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            process.kill()
        given: Sequence[str] = process.args if isinstance(process.args, list) else []
        return subprocess.CompletedProcess(given, process.returncode, out, err)

    return run
