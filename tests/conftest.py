"""What every test may use."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from loopmark.harness.launch.process_reaper import MARK

Loopmark = Callable[..., "subprocess.Popen[str]"]

# On a slow or busy machine an example may take long, and that says nothing about the code. Examples
# are the same in every run, so that a failure has to do with the change and comes again.
settings.register_profile(
    "same-examples",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=40,
    print_blob=True,
)
# New ones in each run, to look for what those leave out, and kept when they fail.
settings.register_profile(
    "fuzz",
    settings.get_profile("same-examples"),
    derandomize=False,
    database=DirectoryBasedExampleDatabase(".hypothesis/examples"),
    max_examples=400,
)
# Here and not in a folder below, which is read later than --hypothesis-profile.
settings.load_profile("same-examples")

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
