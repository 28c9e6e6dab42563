"""Starts the corpus under a tool, in a process of its own, and ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Protocol

from loopmark.harness.launch.ports import HOST, free_port
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.processors import staying_on
from tests.bench.probe.corpus_entries import FOLDER
from tests.bench.probe.recorder import RECORDS_VARIABLE
from tests.bench.probe.tools.installation import ROOT, folder_of
from tests.bench.probe.tools.py_spy_dumps import BEAT, HEARTBEAT_VARIABLE, watching
from tests.bench.probe.tools.tool import Parse, Record
from tests.bench.probe.trial import Accusation

PACKAGE = "tests.bench.probe"
READY_S = 60.0
POLL_S = 0.05


class TargetFailedError(Exception):
    """A target did not come up, with the end of what it wrote."""


@dataclass(frozen=True)
class Setting:
    """How targets are started.

    Attributes:
        loop: The event loop: asyncio or uvloop.
        cpus: Processors of the target; empty means any.
        environment: Variables beside those of this process.
    """

    loop: str
    cpus: Sequence[int]
    environment: dict[str, str]


class Target(Protocol):
    """The corpus under a tool."""

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def accusations(self) -> Sequence[Accusation]:
        """What the tool has said until now."""


Start = Callable[[Setting], AbstractContextManager[Target]]
"""Starts the corpus under a tool; ends both with the context.

Raises NotInstalledError where the tool cannot be installed, TargetFailedError where the target does
not come up.
"""


@dataclass(frozen=True)
class RecordedTarget:
    """A target whose tool says what it says in a file of records."""

    port: int
    pid: int
    records: Path
    parse: Parse

    def accusations(self) -> Sequence[Accusation]:
        """Read the file."""
        lines = self.records.read_text(encoding="utf-8").splitlines()
        parsed = (self.parse(Record(**json.loads(line)), str(FOLDER)) for line in lines)
        return [accusation for accusation in parsed if accusation is not None]


def none_said(record: Record, folder: str) -> Accusation | None:
    """What is parsed of the output of no tool."""
    raise AssertionError((record, folder))


def under(module: str, parse: Parse, distribution: str = "") -> Start:
    """A tool within the target, that a module of this package starts."""

    @contextmanager
    def start(setting: Setting) -> Iterator[Target]:
        paths = [str(folder_of(distribution))] if distribution else []
        with tempfile.TemporaryDirectory(prefix="corpus-") as name:
            records = Path(name) / "records"
            records.touch()
            environment = {
                **setting.environment,
                RECORDS_VARIABLE: str(records),
                "PYTHONPATH": os.pathsep.join(paths),
            }
            with started(module, setting, environment, Path(name)) as (port, pid):
                yield RecordedTarget(port, pid, records, parse)

    return start


def under_py_spy(module: str, parse: Parse) -> Start:
    """py-spy beside the target."""

    @contextmanager
    def start(setting: Setting) -> Iterator[Target]:
        program = folder_of("py-spy") / "bin" / "py-spy"
        with tempfile.TemporaryDirectory(prefix="corpus-") as name:
            records, heartbeat = Path(name) / "records", Path(name) / "heartbeat"
            records.touch()
            heartbeat.write_bytes(bytes(BEAT.size))
            environment = {**setting.environment, HEARTBEAT_VARIABLE: str(heartbeat)}
            with (
                started(module, setting, environment, Path(name)) as (port, pid),
                watching(pid, heartbeat, program, records),
            ):
                yield RecordedTarget(port, pid, records, parse)

    return start


@contextmanager
def started(
    module: str, setting: Setting, environment: dict[str, str], folder: Path
) -> Iterator[tuple[int, int]]:
    """Run a module that serves the corpus; yields its port and its process id.

    Raises:
        TargetFailedError: It was not ready in time.
    """
    port = free_port()
    log = folder / "log"
    with staying_on(setting.cpus), log.open("wb") as output:
        process = subprocess.Popen(
            serving_command(module, port, setting.loop),
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        if not wait_until_ready(port, process):
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise TargetFailedError(lines[-1] if lines else "it wrote nothing")
        yield port, process.pid
    finally:
        end(process)


def serving_command(module: str, port: int, loop: str) -> list[str]:
    """The command that serves the corpus by a module of this package, in this checkout."""
    return [sys.executable, "-m", f"{PACKAGE}.{module}", "--port", str(port), "--loop", loop]


def wait_until_ready(port: int, process: subprocess.Popen[bytes] | None = None) -> bool:
    """Wait for an answer; False if the process has ended, or too much time has passed."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and (process is None or process.poll() is None):
        connection = HTTPConnection(HOST, port, timeout=READY_S)
        try:
            connection.request("GET", "/clean?ms=0")
            connection.getresponse().read()
        except (OSError, HTTPException):
            time.sleep(POLL_S)
        else:
            return True
        finally:
            connection.close()
    return False
