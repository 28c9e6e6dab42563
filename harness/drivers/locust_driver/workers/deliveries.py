"""The workers' deliveries in one round: samples by our clock, reports, losses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loopmark.harness.drivers.locust_driver.flows.round import EndedError
from loopmark.harness.drivers.locust_driver.workers import messages
from loopmark.harness.drivers.locust_driver.workers.worker_pool import (
    Arrived,
    WorkerMessage,
    WorkerPool,
)
from loopmark.harness.drivers.recording.batches import moved, read_batch
from loopmark.harness.drivers.recording.clock_offset import Offset, with_drift
from loopmark.harness.drivers.recording.recording import MAX_EXAMPLES
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.vocabulary.job import ClockKind, DriverReport, WorkerReport

TICK_S = 0.25
"""Interval for checking whether all workers are still connected."""

STOPPING_S = 3.0
"""Time for workers to deliver their samples when the round is stopped from outside."""


class WorkerFailedError(Exception):
    """A flow, a locustfile or the driver failed in a worker; others would fail, too."""


@dataclass(slots=True)
class Part:
    """One worker's part of a round.

    Attributes:
        worker: The worker.
        clock: How its times are converted to our clock.
        offset: Its clock less ours.
        is_prepared: Whether it has reported the result of connecting.
        is_right: Whether every connection could be opened.
        batches: Batches received.
        rows: Samples received.
        has_ended: Whether it has delivered all.
        report: Its report.
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


class Deliveries:
    """Receives the messages of the workers of one round.

    Args:
        pool: Their pool.
        workers: The workers of the round.
        samples: Where their samples go.

    Attributes:
        parts: The part of each worker.
        start_ns: When the load will begin, by our clock; for workers whose clock is good for
            durations only. 0 where each worker begins on its own.
    """

    def __init__(self, pool: WorkerPool, workers: Sequence[Arrived], samples: SampleFile) -> None:
        self._pool = pool
        self._samples = samples
        self.parts = tuple(Part(worker) for worker in workers)
        self.start_ns = 0

    def align(self) -> None:
        """Measure the offset of each clock."""
        for part in self.parts:
            if not part.worker.shares_clock:
                found = self._pool.offset(part.worker)
                part.clock = "aligned" if found is not None and found.aligns else "durations"
                part.offset = found or part.offset

    def measure_drift(self) -> None:
        """Measure it again: a change adds to the uncertainty of the first offset."""
        for part in self.present():
            if part.clock == "aligned":
                part.offset = with_drift(part.offset, self._pool.offset(part.worker))

    def give_out(self, kind: str, **data: object) -> None:
        """Send each worker the job and its share."""
        count = len(self.parts)
        for index, part in enumerate(self.parts):
            self._pool.send(part.worker, kind, index=index, count=count, **data)

    def wait(
        self,
        is_so: Callable[[Part], bool],
        patience_s: float,
        late: str,
        *,
        is_ending: bool = False,
    ) -> None:
        """Receive messages until all connected workers have reached a state.

        Args:
            is_so: Whether a part has reached it.
            patience_s: After this many seconds the others are given up.
            late: Why.
            is_ending: Whether the round is already being stopped.

        Raises:
            EndedError: The round was stopped from outside meanwhile.
            WorkerFailedError: A worker failed.
            OSError: Samples could not be written.
        """
        deadline = time.monotonic() + patience_s
        while waited := [part for part in self.present() if not is_so(part)]:
            self.hear(min(deadline, time.monotonic() + TICK_S))
            if self._pool.is_ended and not is_ending:
                raise EndedError
            if time.monotonic() >= deadline:
                for part in waited:
                    self._pool.dismiss(part.worker, late)

    def hear(self, until_s: float) -> None:
        """Process the next message, if one arrives until then (monotonic seconds).

        Raises:
            WorkerFailedError: A worker failed.
            OSError: Samples could not be written.
        """
        heard = self._pool.hear(until_s)
        if heard is not None:
            self._take(heard)

    def stop(self, patience_s: float = STOPPING_S) -> None:
        """Stop all workers, and receive their remaining deliveries.

        Raises:
            OSError: Samples could not be written.
        """
        for part in self.present():
            if not part.has_ended:
                self._pool.send(part.worker, messages.STOP)
        self.wait(lambda part: part.has_ended, patience_s, "it did not stop", is_ending=True)

    def present(self) -> list[Part]:
        """The parts of workers that are not lost."""
        for part in self.parts:
            if not part.lost and not part.has_ended:
                part.lost = self._pool.why_gone(part.worker)
        return [part for part in self.parts if not part.lost]

    def windows(self) -> list[tuple[int, int]]:
        """The windows that the workers reported, by our clock."""
        return [
            (
                part.report.window_start_ns - part.offset.offset_ns,
                part.report.window_end_ns - part.offset.offset_ns,
            )
            for part in self.parts
            if part.report is not None
        ]

    def report(self, window: tuple[int, int]) -> DriverReport:
        """The combined report for this window of our clock, with the busiest worker's use."""
        for part in self.present():
            if not part.has_ended:
                part.lost = "it was not heard to the end"
        reports = [part.report for part in self.parts if part.report is not None]
        waited = [one.waited_s for one in reports if one.waited_s is not None]
        return DriverReport(
            window_start_ns=window[0],
            window_end_ns=window[1],
            requests=sum(part.rows for part in self.parts),
            unsent=sum(one.unsent for one in reports),
            cpu_s=max((one.cpu_s for one in reports), default=0.0),
            waited_s=max(waited, default=None),
            loop_lag_ms_p99=max((one.loop_lag_ms_p99 for one in reports), default=0.0),
            loop_lag_ms_max=max((one.loop_lag_ms_max for one in reports), default=0.0),
            error_examples=joined([one.error_examples for one in reports]),
            task_exceptions=sum(one.task_exceptions for one in reports),
            workers=tuple(_worker_report(part) for part in self.parts),
        )

    def _take(self, heard: WorkerMessage) -> None:
        part = next((one for one in self.parts if one.worker.id == heard.worker.id), None)
        if part is None or part.lost:
            return
        match heard.kind:
            case messages.PREPARED:
                part.is_prepared, part.is_right = True, heard.data["right"]
            case messages.STARTED:
                if part.clock == "durations":
                    # Its window is laid over ours, whatever its clock says.
                    ours_ns = self.start_ns or heard.at_ns
                    part.offset = Offset(heard.data["start_ns"] - ours_ns, 0)
            case messages.SAMPLES:
                self._take_samples(part, heard)
            case messages.ENDED:
                self._take_end(part, heard)
            case messages.PROBLEM:
                raise WorkerFailedError(f"{part.worker.name}: {heard.data['what']}")

    def _take_samples(self, part: Part, heard: WorkerMessage) -> None:
        if heard.data["number"] != part.batches:
            part.lost = f"batch {heard.data['number']} came where {part.batches} was due"
            return
        part.batches += 1
        table = moved(read_batch(heard.data["content"]), -part.offset.offset_ns)
        part.rows += table.num_rows
        self._samples.write(table)

    def _take_end(self, part: Part, heard: WorkerMessage) -> None:
        part.has_ended = True
        sent = heard.data["rows"]
        if heard.data["report"] is not None:
            part.report = messages.report_of(heard.data["report"])
        elif not part.lost:
            part.lost = "it was ended before its time"
        if sent != part.rows:
            part.lost = f"{sent - part.rows} of its {sent} samples did not arrive"


_MOST_JOINED = 4 * MAX_EXAMPLES
"""Of a kind that has several statuses."""


def joined(all_: Sequence[dict[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """The first examples of each kind, each message once."""
    found: dict[str, dict[str, None]] = {}
    for examples in all_:
        for kind, messages_ in examples.items():
            found.setdefault(kind, {}).update(dict.fromkeys(messages_))
    return {kind: tuple(messages_)[:_MOST_JOINED] for kind, messages_ in found.items()}


def _worker_report(part: Part) -> WorkerReport:
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
