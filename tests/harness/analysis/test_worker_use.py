"""Workers of a distributed driver: what they delivered over the rounds, and what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from loopmark.harness.analysis.worker_use import losses, worker_use
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.job import ClockKind, WorkerReport
from loopmark.harness.vocabulary.record import RoundRecord, RoundState
from tests.harness.builders import record, report


def worker(name: str = "a-1", samples: int = 100, **more: Any) -> WorkerReport:  # noqa: ANN401 - any field
    return replace(WorkerReport(name, samples, "shared"), **more)


def driven(number: int, *workers: WorkerReport, state: RoundState = "measured") -> RoundRecord:
    return record(number, replace(report(), workers=workers), state=state)


def test_worker_is_followed_over_the_rounds_by_its_name() -> None:
    records = [
        driven(0, worker("a-1", 100), worker("b-2", 50)),
        driven(1, worker("b-2", 70)),
    ]
    found = [(one.name, one.rounds, one.samples, one.lost) for one in worker_use(records)]
    assert found == [("a-1", 1, 100, ""), ("b-2", 2, 120, "")]


def test_worst_of_the_rounds_is_told() -> None:
    (found,) = worker_use(
        [
            driven(0, worker(cpu_fraction=0.4, loop_lag_ms_p99=None)),
            driven(1, worker(cpu_fraction=0.3, loop_lag_ms_p99=1.5)),
        ]
    )
    assert (found.cpu_fraction, found.loop_lag_ms_p99) == (0.4, 1.5)


@pytest.mark.parametrize(
    ("clocks", "clock", "uncertainty_ms"),
    [
        ([("shared", None), ("shared", 0.5)], "shared", None),
        ([("aligned", 0.2), ("aligned", 0.7)], "aligned", 0.7),
        ([("shared", None), ("aligned", 0.2)], "aligned", 0.2),
        ([("durations", 80.0), ("aligned", 0.2)], "durations", 80.0),
        ([("durations", None)], "durations", None),
    ],
)
def test_clock_is_the_one_that_can_be_trusted_least(
    clocks: Sequence[tuple[ClockKind, float | None]], clock: ClockKind, uncertainty_ms: float | None
) -> None:
    (found,) = worker_use(
        [
            driven(number, worker(clock=kind, uncertainty_ms=within))
            for number, (kind, within) in enumerate(clocks)
        ]
    )
    assert (found.clock, found.uncertainty_ms) == (clock, uncertainty_ms)


def test_driver_that_is_not_distributed_has_no_workers() -> None:
    assert worker_use([record(0, report()), record(1, None, state="driver-died")]) == ()
    assert losses([record(0, report())]) == ()


def test_loss_names_the_worker_the_reason_and_what_there_is_of_it() -> None:
    records = [
        driven(0, worker("a-1"), worker("b-2")),
        driven(1, worker("a-1"), worker("b-2", 42, lost="it ended"), state="worker-lost"),
    ]
    (loss,) = losses(records)
    assert loss == Objection.of(
        ObjectionCode.WORKER_LOST, round=2, worker="b-2", why="it ended", samples=42
    )
    assert [one.lost for one in worker_use(records)] == ["", "it ended"]
