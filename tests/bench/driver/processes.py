"""Targets and generators as processes: started, awaited, ended in all cases."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from loopmark.harness.launch.ports import HOST, free_port
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.processors import staying_on
from tests.bench.driver.catalog import PACKAGE, Generator
from tests.bench.driver.task import Reading, Task, decoded, encoded

ROOT = Path(__file__).resolve().parents[3]
"""Processes are started here, where `python -m` finds the packages of this checkout."""

TARGETS = "tests.bench.driver"
READY_TIMEOUT_S = 30.0
POLL_S = 0.02
START_ALLOWANCE_S = 45.0
END_OF_STDERR = 400


class TargetFailedError(Exception):
    """A target of the comparison did not come up."""


@contextmanager
def target(module: str, cpus: Sequence[int], *arguments: str) -> Iterator[str]:
    """Run a target; yields where it listens.

    Raises:
        TargetFailedError: It was not ready in time.
    """
    port = free_port()
    command = [sys.executable, "-m", f"{TARGETS}.{module}", "--port", str(port), *arguments]
    with staying_on(cpus):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, port)
        yield f"http://{HOST}:{port}"
    finally:
        assert process.stdin is not None
        process.stdin.close()
        end(process)


def run(generator: Generator, task: Task, cpus: Sequence[int]) -> Reading | str:
    """Let a generator measure; returns its reading, or why there is none."""
    if not generator.is_installed:
        return "not installed"
    command = [sys.executable, "-m", f"{PACKAGE}.{generator.module}", encoded(task)]
    with staying_on(cpus):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        waiting_s = max(0.0, task.start_s - time.monotonic())
        deadline_s = waiting_s + 2 * (task.warmup_s + task.duration_s) + START_ALLOWANCE_S
        out, err = process.communicate(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        return "failed: it did not end in time"
    finally:
        end(process)
    try:
        reading = decoded(out.decode(errors="replace"))
    except ValueError:
        lines = err.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return f"failed: {lines[-1][-END_OF_STDERR:]}"
    if reading.requests == 0:
        return "failed: no request was answered within the window"
    return reading


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        connection = HTTPConnection(HOST, port, timeout=READY_TIMEOUT_S)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, HTTPException):
            time.sleep(POLL_S)
        else:
            return
        finally:
            connection.close()
    raise TargetFailedError(f"{process.args!r} was not ready")
