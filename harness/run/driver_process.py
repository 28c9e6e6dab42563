"""A driver process, which drives one round per load job.

Meanwhile the target is monitored, if the run started it.
"""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import strsignal
from typing import Protocol

from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.drivers.process.forked_process import ForkServer
from loopmark.harness.drivers.process.job_files import read_report, write_job
from loopmark.harness.drivers.process.job_loop import DONE, READY
from loopmark.harness.errors import UserError
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.target_process import last_lines
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, Workers
from loopmark.harness.vocabulary.record import RoundState, TargetReading
from loopmark.harness.watch.target_monitor import TargetMonitor

READING_INTERVAL_S = 0.08
"""Over 12 readings of the target per second. One takes 0.2 ms, with 1000 connections 1.4 ms (see
`process_counters`): at most 2% of the processor that the harness shares with target or driver."""

START_ALLOWANCE_S = 60.0
"""For starting, connecting and warming up, added to the load's planned duration."""

EXIT_ALLOWANCE_S = 2.0
"""Between the end of a process's pipe and its own."""

WORKERS_ELSEWHERE_S = 300.0
"""Workers on other machines are started by hand."""


class Watched(Protocol):
    """A target that is monitored during a round."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""

    @property
    def stderr_tail(self) -> str:
        """Its last lines of output, and how it ended if it has."""


@dataclass(frozen=True, slots=True)
class Drive:
    """The outcome of one round."""

    state: RoundState
    wall_s: float
    report: DriverReport | None
    readings: tuple[TargetReading, ...]
    stderr_tail: str


class DriverProcess:
    """One driver process, for any number of rounds.

    Args:
        driver: Name of the driver.
        server: A fork server that has imported its module.
        log: File for what it writes to stderr.
        cpus: Processors to stay on; empty means any.
        workers: Its workers, if it is distributed.

    Raises:
        UserError: The process cannot be started.
    """

    def __init__(
        self,
        driver: str,
        server: ForkServer,
        log: Path,
        cpus: Sequence[int],
        workers: Workers | None = None,
    ) -> None:
        self._log = log
        self._workers = workers
        self._is_ready = workers is None
        arguments: list[str] = []
        if workers is not None:
            arguments += ["--workers", str(workers.count), "--listen", workers.listen]
        with log.open("wb") as stderr:
            self._process = server.start(
                DRIVERS[driver],
                arguments,
                stderr,
                cpus=cpus,
                forks=workers is not None and not workers.listen,
            )

    @property
    def is_alive(self) -> bool:
        """Whether it accepts another job."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until_ready(self) -> None:
        """Wait until its workers are connected; without any it is ready at once.

        Raises:
            UserError: They did not connect in time, or the driver ended before.
        """
        if self._workers is None or self._is_ready:
            return
        remote = bool(self._workers.listen)
        patience_s = WORKERS_ELSEWHERE_S if remote else START_ALLOWANCE_S
        answered, _, _ = select.select([self._process.stdout], [], [], patience_s)
        if answered and self._process.stdout.readline() == READY:
            self._is_ready = True
            return
        self.stop()
        why = (last_lines(self._log) or ["it wrote nothing"])[-1]
        if not answered and remote:
            why = (
                f"after {patience_s:.0f} s not all of {self._workers.count} workers had come to "
                f"{self._workers.listen}; start them with "
                f"`loopmark worker --master {self._workers.listen}` ({why})"
            )
        raise UserError(f"the workers did not get ready: {why}")

    def drive(self, job: LoadJob, target: Watched | None) -> Drive:
        """Drive one round to its end, monitoring the target meanwhile.

        If the target dies or on an interrupt, the driver writes its samples so far and ends.

        Args:
            job: What to drive.
            target: The target to monitor; None for one that the run did not start.
        """
        monitor = None if target is None else TargetMonitor(target.pid)
        started = time.monotonic()
        try:
            state = self._watched(job, target, monitor)
        except KeyboardInterrupt:
            state = "interrupted"
        tail = "" if state != "driver-died" else self._ending()
        if state != "measured":
            self.stop()
        report = read_report(Path(job.report))
        if state == "measured" and report is not None and any(w.lost for w in report.workers):
            state = "worker-lost"
        readings: tuple[TargetReading, ...] = ()
        if monitor is not None:
            monitor.read()
            monitor.close()
            readings = tuple(monitor.readings)
        if state == "target-died" and target is not None:
            tail = target.stderr_tail
        return Drive(
            state=state,
            wall_s=time.monotonic() - started,
            report=report,
            readings=readings,
            stderr_tail=tail,
        )

    def stop(self) -> None:
        """End the process: an idle driver ends with its input, a busy one by a signal."""
        self._process.stdin.close()
        end(self._process)
        self._process.stdout.close()

    def _ending(self) -> str:
        """How the process of a driver that failed ended, and the last lines that it wrote."""
        try:
            code = self._process.wait(EXIT_ALLOWANCE_S)
        except subprocess.TimeoutExpired:
            how = "it did not end in time"
        else:
            how = f"exit code {code}" if code >= 0 else f"signal {-code} ({strsignal(-code)})"
        return "\n".join([f"its process: {how}", *last_lines(self._log)])

    def _watched(
        self, job: LoadJob, target: Watched | None, monitor: TargetMonitor | None
    ) -> RoundState:
        job_file = Path(job.report).with_suffix(".job.json")
        write_job(job, job_file)
        patience_s = 2 * job.load.planned_s + START_ALLOWANCE_S + job.timeouts.response_s
        deadline = time.monotonic() + patience_s
        try:
            self._process.stdin.write(f"{job_file}\n".encode())
        except BrokenPipeError:
            return "driver-died"
        due = time.monotonic()
        while True:
            if monitor is not None:
                monitor.read()
            # By the clock, and not a pause after each reading: what one takes does not add up.
            now = time.monotonic()
            due = max(due + READING_INTERVAL_S, now)
            answered, _, _ = select.select([self._process.stdout], [], [], due - now)
            if answered:
                # A line when the round is done, the end of the pipe when the process is.
                done = self._process.stdout.readline() == DONE
                break
            if target is not None and not target.is_alive:
                return "target-died"
            if time.monotonic() > deadline:
                return "driver-died"
        if target is not None and not target.is_alive:
            return "target-died"
        return "measured" if done else "driver-died"
