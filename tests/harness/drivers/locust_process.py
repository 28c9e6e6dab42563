"""The Locust driver in a process of its own, for one test after the other: gevent stays there."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

import pandas as pd

from loopmark.harness.drivers.process.forked_process import ForkServer
from loopmark.harness.drivers.process.job_files import read_report, write_job
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.scenario import Scenario
from loopmark.scenarios.catalog import SCENARIOS
from tests.hang_limit import HANG_S
from tests.harness.drivers.driving import samples_of
from tests.harness.drivers.locust_server import CHILD, TriedProcess
from tests.harness.drivers.tried_flows import Asking


class DriverEndedError(Exception):
    """The driver's process ended within the job; the message is what it wrote to stderr."""


class LocustProcess:
    """Starts the driver when it is needed, again where a job has ended it.

    Args:
        server: Starts it; None for the one that all tests share.
    """

    def __init__(self, server: ForkServer | None = None) -> None:
        self._server = server
        self._process: TriedProcess | None = None

    @contextmanager
    def running(self) -> Iterator[LocustProcess]:
        try:
            yield self
        finally:
            self.stop()

    def begin(self, given: LoadJob, asked: Scenario) -> TriedProcess:
        """Tell the process a job, and do not wait for it."""
        process = self._started()
        file = Path(given.report).with_name("job.json")
        write_job(given, file)
        process.process.stdin.write(f"{file}\t{_told(asked)}\n".encode())
        return process

    def drive(self, given: LoadJob, asked: Scenario) -> tuple[DriverReport, pd.DataFrame]:
        """Drive a job.

        Raises:
            DriverEndedError: The process has ended within it.
        """
        process = self.begin(given, asked)
        assert select([process.process.stdout], [], [], HANG_S)[0], "it hangs"
        if process.process.stdout.readline() != b"done\n":
            self._process = None
            raise DriverEndedError(process.ended()[2].decode())
        report = read_report(Path(given.report))
        assert report is not None
        return report, samples_of(given)

    async def drive_beside(
        self, given: LoadJob, asked: Scenario
    ) -> tuple[DriverReport, pd.DataFrame]:
        """Drive while the event loop, and a server on it, go on."""
        return await asyncio.to_thread(self.drive, given, asked)

    def forget_peak(self) -> None:
        """Let `peak_bytes` tell the most from now on; Linux only."""
        Path(f"/proc/{self._started().process.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_bytes(self) -> int:
        """The most memory that the process has had; Linux only."""
        assert self._process is not None
        status = Path(f"/proc/{self._process.process.pid}/status").read_text(encoding="ascii")
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    def signal_end(self) -> tuple[int, bytes, bytes]:
        """Tell the process to end; returns its exit code and what it wrote."""
        process, self._process = self._process, None
        assert process is not None
        process.process.send_signal(signal.SIGTERM)
        return process.ended()

    def stop(self) -> None:
        """Let the process end by itself, as its parent's end would."""
        process, self._process = self._process, None
        if process is not None:
            assert process.ended() == (0, b"", b"")

    def _started(self) -> TriedProcess:
        if self._process is None:
            self._process = TriedProcess(CHILD, server=self._server)
        return self._process


def _told(asked: Scenario) -> str:
    if asked.name in SCENARIOS:
        return json.dumps({"scenario": asked.name})
    flow: Any = asked.flow
    owner = getattr(flow, "__self__", None)
    asking = owner if isinstance(owner, Asking) else None
    return json.dumps(
        {
            "flow": flow.__name__ if asking is None else Asking.__name__,
            "names": [] if asking is None else list(asking.names),
            "warm": asked.warm.path,
        }
    )
