"""The workers of a distributed driver over the rounds of a cell. Pure: reports in, values out."""

from __future__ import annotations

from collections.abc import Sequence

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.figures import WorkerUse
from loopmark.harness.vocabulary.job import ClockKind, WorkerReport
from loopmark.harness.vocabulary.record import RoundRecord

_CLOCKS: tuple[ClockKind, ...] = ("shared", "aligned", "durations")
"""From the most to the least trustworthy."""


def worker_use(records: Sequence[RoundRecord]) -> tuple[WorkerUse, ...]:
    """Each worker's samples and resource use, in the order in which they first drove."""
    reports: dict[str, list[WorkerReport]] = {}
    for record in records:
        for one in _workers(record):
            reports.setdefault(one.name, []).append(one)
    return tuple(_over_rounds(name, of_worker) for name, of_worker in reports.items())


def losses(records: Sequence[RoundRecord]) -> tuple[Objection, ...]:
    """For each worker that did not deliver all: name, reason, and number of samples."""
    return tuple(
        Objection.of(
            ObjectionCode.WORKER_LOST,
            round=record.round + 1,
            worker=one.name,
            why=one.lost,
            samples=one.samples,
        )
        for record in records
        for one in _workers(record)
        if one.lost
    )


def _workers(record: RoundRecord) -> tuple[WorkerReport, ...]:
    return record.driver.workers if record.has_figures and record.driver is not None else ()


def _over_rounds(name: str, reports: Sequence[WorkerReport]) -> WorkerUse:
    clock = max((one.clock for one in reports), key=_CLOCKS.index)
    uncertain = [one.uncertainty_ms for one in reports if one.uncertainty_ms is not None]
    cpu = [one.cpu_fraction for one in reports if one.cpu_fraction is not None]
    lag = [one.loop_lag_ms_p99 for one in reports if one.loop_lag_ms_p99 is not None]
    return WorkerUse(
        name=name,
        rounds=len(reports),
        samples=sum(one.samples for one in reports),
        clock=clock,
        uncertainty_ms=None if clock == "shared" else max(uncertain, default=None),
        cpu_fraction=max(cpu, default=None),
        loop_lag_ms_p99=max(lag, default=None),
        lost="; ".join(dict.fromkeys(one.lost for one in reports if one.lost)),
    )
