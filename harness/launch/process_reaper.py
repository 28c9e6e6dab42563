"""Ends all processes of a run, even if the run is killed with SIGKILL.

A run marks its environment with a token; every process that it starts, and theirs, inherit the
mark. A small process of its own (this module, run with `-m`) holds the read end of a pipe. When the
run ends, for any reason, the pipe closes, and the reaper ends every process with the mark. No
registration is needed, so no new process is ever unknown.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Protocol

import psutil

MARK = "LOOPMARK_RUN_TOKEN"
GRACE_S = 5.0


class Endable(Protocol):
    """A process with the interface of `subprocess.Popen`."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, or raise `subprocess.TimeoutExpired`; returns its exit code."""

    def terminate(self) -> None:
        """Send SIGTERM."""


@contextmanager
def reaped() -> Iterator[str]:
    """Within the context, every process that is started ends with this one.

    Yields:
        The token of the run; `temporary_folder` makes folders that are deleted with it.
    """
    token = token_hex(8)
    before = os.environ.get(MARK)
    # Started before the environment is marked: the reaper must not reap itself.
    reaper = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", "loopmark.harness.launch.process_reaper", token],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is for the run, not for its reaper.
    )
    os.environ[MARK] = token
    try:
        yield token
    finally:
        if before is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = before
        assert reaper.stdin is not None
        reaper.stdin.close()
        reaper.wait()


def temporary_folder(token: str, purpose: str) -> Path:
    """Make a folder that is deleted when the run with this token has ended."""
    return Path(tempfile.mkdtemp(prefix=f"{_prefix(token)}{purpose}-"))


def end(process: Endable, grace_s: float = GRACE_S) -> None:
    """End a process started in a session of its own: SIGTERM first, then kill its group."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with suppress(ProcessLookupError, PermissionError):  # The group is empty: the usual case.
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _prefix(token: str) -> str:
    return f"loopmark-{token}-"


def _marked(token: str) -> list[psutil.Process]:
    marked = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == token:
                marked.append(process)
        except psutil.Error:
            continue  # Gone, or another user's, and so none of ours.
    return marked


def _reap(token: str) -> None:
    """End all marked processes, then delete their temporary folders."""
    # SIGINT: PostgreSQL disconnects its clients and stops in order, servers and drivers finish.
    for process in _marked(token):
        _signal(process, signal.SIGINT)
    deadline = time.monotonic() + GRACE_S
    while (left := _marked(token)) and time.monotonic() < deadline:
        psutil.wait_procs(left, timeout=0.1)
    # Again until none is left: one may have been forked meanwhile.
    while left := _marked(token):
        for process in left:
            _signal(process, signal.SIGKILL)
        psutil.wait_procs(left, timeout=0.1)
    for folder in Path(tempfile.gettempdir()).glob(f"{_prefix(token)}*"):
        shutil.rmtree(folder, ignore_errors=True)


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.Error):  # Gone already.
        process.send_signal(number)


if __name__ == "__main__":
    sys.stdin.buffer.read()  # Returns when the last writer is gone: the run, or a fork of it.
    _reap(sys.argv[1])
