"""Drives rounds on workers: gives out shares, writes what they deliver, joins their reports."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from locust.env import Environment

from harness.address import Address
from harness.clock_offset import Offset, with_drift
from harness.drivers.batches import moved, read_batch
from harness.drivers.clock import clock
from harness.drivers.load_models import SETTLE_S
from harness.drivers.locust_driver import messages
from harness.drivers.locust_driver.native_thread import NativeThread
from harness.drivers.locust_driver.round import EndedError
from harness.drivers.locust_driver.worker_pool import Arrived, Heard, WorkerPool
from harness.drivers.recording import MAX_EXAMPLES
from harness.drivers.samples import SampleFile
from harness.vocabulary.job import ClockKind, DriverReport, LoadJob, WorkerReport
from harness.vocabulary.load import Burst
from harness.vocabulary.scenario import Scenario

LEAD_S = 0.3
"""From the order to start until the start: it must have come everywhere by then."""

TICK_S = 0.25
"""How often it is looked whether all workers are still there."""

PREPARING_S = 30.0
ENDING_S = 30.0
"""Beside what the load is planned to take and the time that an answer may take."""

STOPPING_S = 3.0
"""For workers to deliver what they have, when the round is ended from outside."""


class WorkerFailedError(Exception):
    """A flow, or the driver, failed in a worker; another one would fail as well."""


class DistributedDriver:
    """Any number of rounds on the workers of one master.

    Args:
        count: How many workers.
        listen: Where workers of other machines come to; None to start them here.

    Raises:
        RPCError: Nothing can listen there.
    """

    def __init__(self, count: int, listen: Address | None) -> None:
        self._pool = WorkerPool(Environment(), count, listen)
        self._is_driving = False

    def gather(self) -> None:
        """Have the workers there.

        Raises:
            NoWorkersError: They did not come.
        """
        self._pool.gather()

    def drive(self, job: LoadJob, scenario: Scenario) -> DriverReport | None:  # noqa: ARG002 - the workers look it up themselves
        """Drive one round and write its samples.

        A target that fails when the connections are opened is not driven: the window is empty then.
        A worker that is lost costs its share of the round; its report says so.

        Returns:
            None when the round was ended from outside; the samples until then are written.

        Raises:
            NoWorkersError: None is left.
            OSError: The samples could not be written.
            WorkerFailedError: A flow raised what is not about an answer.
        """
        self._is_driving = True
        try:
            self._pool.gather()
            with SampleFile(Path(job.samples), job.round, executor=NativeThread()) as samples:
                return _Round(self._pool, job, samples).drive()
        except EndedError:
            return None
        finally:
            self._is_driving = False

    def end(self) -> bool:
        """End the round under way, if there is one, in good order; whether there is."""
        if self._is_driving:
            self._pool.end()
        return self._is_driving

    def close(self) -> None:
        """Let the workers go."""
        self._pool.close()


@dataclass(slots=True)
class _Part:
    """What one worker does of a round.

    Attributes:
        worker: Who.
        clock: How its times are told in ours.
        offset: Its clock less ours.
        is_prepared: Whether it has said how connecting went.
        is_right: Whether every connection could be opened.
        batches: Batches that came.
        rows: Samples that came.
        has_ended: Whether it has delivered all.
        report: What it said of itself.
        lost: Why it did not deliver all; empty while it may.
    """

    worker: Arrived
    clock: ClockKind = "shared"
    offset: Offset = field(default_factory=lambda: Offset(0, 0))
    is_prepared: bool = False
    is_right: bool = False
    batches: int = 0
    rows: int = 0
    has_ended: bool = False
    report: DriverReport | None = None
    lost: str = ""


class _Round:
    def __init__(self, pool: WorkerPool, job: LoadJob, samples: SampleFile) -> None:
        self._pool = pool
        self._job = job
        self._samples = samples
        workers = pool.present()[: job.load.concurrency]
        self._parts = {worker.id: _Part(worker) for worker in workers}
        self._start_ns = 0
        self._goes = True

    def drive(self) -> DriverReport:
        try:
            self._align()
            self._prepare()
            self._start()
            self._collect()
            self._measure_drift()
        except EndedError:
            self._stop()
            raise
        return self._report()

    # The course of a round.

    def _align(self) -> None:
        for part in self._parts.values():
            if not part.worker.shares_clock:
                found = self._pool.offset(part.worker)
                part.clock = "aligned" if found is not None and found.aligns else "durations"
                part.offset = found or part.offset

    def _prepare(self) -> None:
        job = messages.job_data(self._job)
        count = len(self._parts)
        for index, part in enumerate(self._parts.values()):
            self._pool.send(part.worker, messages.PREPARE, job=job, index=index, count=count)
        timeouts = self._job.timeouts
        patience_s = PREPARING_S + timeouts.connect_s + timeouts.response_s
        self._await("is_prepared", patience_s, "it did not get ready")

    def _start(self) -> None:
        self._goes = all(part.is_right for part in self._present())
        settle_s = SETTLE_S if isinstance(self._job.load, Burst) else 0.0
        self._start_ns = clock() + round((LEAD_S + settle_s) * 1e9)
        for part in self._present():
            theirs = self._start_ns + part.offset.offset_ns
            start_ns = None if part.clock == "durations" else theirs
            self._pool.send(part.worker, messages.START, go=self._goes, start_ns=start_ns)

    def _collect(self) -> None:
        planned_s = LEAD_S + self._job.load.planned_s
        patience_s = 2 * planned_s + self._job.timeouts.response_s + ENDING_S
        self._await("has_ended", patience_s, "it did not end in time")

    def _measure_drift(self) -> None:
        for part in self._present():
            if part.clock == "aligned":
                part.offset = with_drift(part.offset, self._pool.offset(part.worker))

    def _stop(self) -> None:
        for part in self._present():
            if not part.has_ended:
                self._pool.send(part.worker, messages.STOP)
        self._await("has_ended", STOPPING_S, "it did not stop")

    def _await(self, what: str, patience_s: float, late: str) -> None:
        """Hear the workers until all that are there have come so far.

        Raises:
            EndedError: The round is ended from outside meanwhile.
        """
        deadline = time.monotonic() + patience_s
        was_ended = self._pool.is_ended
        while waited := [part for part in self._present() if not getattr(part, what)]:
            heard = self._pool.hear(min(deadline, time.monotonic() + TICK_S))
            if self._pool.is_ended and not was_ended:
                raise EndedError
            if heard is not None:
                self._take(heard)
            elif time.monotonic() >= deadline:
                for part in waited:
                    self._pool.dismiss(part.worker, late)

    def _present(self) -> list[_Part]:
        for part in self._parts.values():
            if not part.lost and not part.has_ended:
                part.lost = self._pool.why_gone(part.worker)
        return [part for part in self._parts.values() if not part.lost]

    # What the workers say.

    def _take(self, heard: Heard) -> None:
        part = self._parts.get(heard.worker.id)
        if part is None or part.lost:
            return
        match heard.kind:
            case messages.PREPARED:
                part.is_prepared, part.is_right = True, heard.data["right"]
            case messages.STARTED:
                if part.clock == "durations":
                    # Its window is laid over ours, whatever its clock says.
                    part.offset = Offset(heard.data["start_ns"] - self._start_ns, 0)
            case messages.SAMPLES:
                self._take_samples(part, heard)
            case messages.ENDED:
                self._take_end(part, heard)
            case messages.PROBLEM:
                raise WorkerFailedError(f"{part.worker.name}: {heard.data['what']}")

    def _take_samples(self, part: _Part, heard: Heard) -> None:
        if heard.data["number"] != part.batches:
            part.lost = f"batch {heard.data['number']} came where {part.batches} was due"
            return
        part.batches += 1
        table = moved(read_batch(heard.data["content"]), -part.offset.offset_ns)
        part.rows += table.num_rows
        self._samples.write(table)

    def _take_end(self, part: _Part, heard: Heard) -> None:
        part.has_ended = True
        sent = heard.data["rows"]
        if heard.data["report"] is not None:
            part.report = messages.report_of(heard.data["report"])
        elif not part.lost:
            part.lost = "it was ended before its time"
        if sent != part.rows:
            part.lost = f"{sent - part.rows} of its {sent} samples did not arrive"

    # What is known in the end.

    def _report(self) -> DriverReport:
        reports = [(part, part.report) for part in self._parts.values() if part.report is not None]
        start_ns, end_ns = self._window([(part.offset.offset_ns, one) for part, one in reports])
        waited = [one.waited_s for _, one in reports if one.waited_s is not None]
        examples: dict[str, dict[str, None]] = {}
        for _, one in reports:
            for kind, found in one.error_examples.items():
                examples.setdefault(kind, {}).update(dict.fromkeys(found))
        return DriverReport(
            window_start_ns=start_ns,
            window_end_ns=end_ns,
            requests=sum(part.rows for part in self._parts.values()),
            unsent=sum(one.unsent for _, one in reports),
            cpu_s=max((one.cpu_s for _, one in reports), default=0.0),
            waited_s=max(waited, default=None),
            loop_lag_ms_p99=max((one.loop_lag_ms_p99 for _, one in reports), default=0.0),
            loop_lag_ms_max=max((one.loop_lag_ms_max for _, one in reports), default=0.0),
            error_examples={k: tuple(found)[:MAX_EXAMPLES] for k, found in examples.items()},
            workers=tuple(_worker_report(part) for part in self._parts.values()),
        )

    def _window(self, reports: list[tuple[int, DriverReport]]) -> tuple[int, int]:
        """The stretch that all windows make, in our clock; that of the plan if there is none."""
        if not self._goes:
            return self._start_ns, self._start_ns
        if reports:
            return (
                min(one.window_start_ns - offset_ns for offset_ns, one in reports),
                max(one.window_end_ns - offset_ns for offset_ns, one in reports),
            )
        load = self._job.load
        if isinstance(load, Burst):
            return self._start_ns, clock()
        start_ns = self._start_ns + round(load.warmup_s * 1e9)
        return start_ns, start_ns + round((load.planned_s - load.warmup_s - load.drain_s) * 1e9)


def _worker_report(part: _Part) -> WorkerReport:
    report = part.report
    window_s = 0.0 if report is None else (report.window_end_ns - report.window_start_ns) / 1e9
    known = report is not None and window_s > 0
    aligned = part.clock == "aligned"
    return WorkerReport(
        name=part.worker.name,
        samples=part.rows,
        clock=part.clock,
        offset_ms=part.offset.offset_ns / 1e6 if aligned else None,
        uncertainty_ms=part.offset.uncertainty_ns / 1e6 if aligned else None,
        cpu_fraction=report.cpu_s / window_s if report is not None and known else None,
        waited_fraction=report.waited_s / window_s
        if report is not None and known and report.waited_s is not None
        else None,
        loop_lag_ms_p99=report.loop_lag_ms_p99 if report is not None and known else None,
        lost=part.lost,
    )
