"""Disturbed rounds: which of them count, and what they leave in the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loopmark.harness.analysis.comparison import compare
from loopmark.harness.analysis.conditions import over_rounds, set_aside
from loopmark.harness.analysis.summaries import summarise
from loopmark.harness.vocabulary.cell import ValidityState
from loopmark.harness.vocabulary.conditions import Conditions, Pressure, Taken
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.thresholds import SHIPPED
from tests.harness.builders import (
    START,
    S,
    by_round,
    cell,
    closed,
    conditions,
    frame,
    record,
    report,
    sample,
    steady,
    steps,
)

DURATION_S = 2.0
PLANNED = cell(load=closed(users=5, duration_s=DURATION_S), rounds=2)
FAILED = "timeout"


def rounds(*disturbed: bool, cpu_s: float = 0.2) -> list[RoundRecord]:
    """A round for each, disturbed or not, in which the driver had to wait then."""
    return [
        record(
            number,
            report(DURATION_S, cpu_s=cpu_s if one else 0.0),
            conditions=conditions(outside_s=1.0 if one else 0.0),
        )
        for number, one in enumerate(disturbed)
    ]


def summary(
    records: Sequence[RoundRecord], took_ms: Sequence[float], target: str = "async"
) -> CellResult:
    rows = [row for n, one in enumerate(took_ms) for row in steady(5, 2.0, one, round_number=n)]
    of = replace(PLANNED, target=target)
    return summarise(of, records, by_round(frame(rows)), (), SHIPPED)


def test_disturbed_rounds_are_set_aside_where_enough_others_were_measured() -> None:
    assert set_aside(PLANNED, rounds(True, False, False, True), SHIPPED) == {0, 3}
    assert set_aside(PLANNED, rounds(False, False), SHIPPED) == frozenset()


@pytest.mark.parametrize(
    ("seconds", "outside_s", "aside"),
    [
        (2.0, 0.11, 0),
        (2.0, 0.13, 1),
        (0.2, 0.02, 0),
        (0.2, 0.04, 1),
        (20.0, 1.0, 0),
        (20.0, 1.1, 1),
    ],
)
def test_a_twentieth_of_a_processor_and_two_steps_of_the_counters_are_allowed(
    seconds: float, outside_s: float, aside: int
) -> None:
    found = conditions(seconds, outside_s=outside_s)
    records = [record(0, report(), conditions=found), *rounds(False, False, False)[1:]]
    assert len(set_aside(PLANNED, records, SHIPPED)) == aside


def test_disturbed_rounds_count_where_others_are_fewer_than_planned() -> None:
    assert set_aside(PLANNED, rounds(True, False, True), SHIPPED) == frozenset()
    assert set_aside(PLANNED, rounds(True, True), SHIPPED) == frozenset()


def test_round_that_did_not_end_replaces_none() -> None:
    started = rounds(True, False, False)
    assert set_aside(PLANNED, started, SHIPPED) == {0}
    started[2] = replace(started[2], state="interrupted")
    assert set_aside(PLANNED, started, SHIPPED) == frozenset()


def test_what_is_set_aside_is_kept_and_takes_no_part_in_figures() -> None:
    found = summary(rounds(False, True, False), [10.0, 40.0, 10.0])
    calm = summary(rounds(False, False), [10.0, 10.0])
    figures, of_calm = found.unjudged, calm.unjudged
    assert [one.set_aside for one in figures.per_round] == [False, True, False]
    assert [one.disturbed for one in figures.per_round] == [False, True, False]
    assert [one.counts for one in figures.per_round] == [True, False, True]
    assert figures.per_round[1].latency_ms.p50 == pytest.approx(40.0)
    assert figures.latency_ms == of_calm.latency_ms
    assert figures.throughput_rps == of_calm.throughput_rps
    assert figures.requests == of_calm.requests
    assert found.rounds == 2
    assert found.validity == calm.validity
    assert found.validity.is_valid


def test_disturbed_round_that_counts_is_marked() -> None:
    found = summary(rounds(False, True), [10.0, 20.0])
    assert [one.disturbed for one in found.unjudged.per_round] == [False, True]
    assert all(one.counts and not one.set_aside for one in found.unjudged.per_round)
    assert found.rounds == 2


def test_driver_that_was_disturbed_does_not_void_the_others_rounds() -> None:
    found = summary(rounds(False, True, False, cpu_s=1.9), [10.0, 10.0, 10.0])
    assert found.validity.is_valid
    counting = summary(rounds(False, True, cpu_s=1.9), [10.0, 10.0])
    assert ValidityState.DRIVER_LIMITED in counting.validity.states


def test_failures_are_never_repeated_away() -> None:
    rows = [row for n in range(3) for row in steady(5, 2.0, 10.0, round_number=n)]
    rows.append(sample(sent_ms=100, took_ms=10, error=FAILED, round_number=1))
    found = summarise(PLANNED, rounds(False, True, False), by_round(frame(rows)), (), SHIPPED)
    assert found.error_kinds == {FAILED: 1}
    assert found.validity.has_failed
    assert [one.counts for one in found.unjudged.per_round] == [True, False, True]
    assert not any(one.set_aside for one in found.unjudged.per_round)


def test_unsteadiness_of_a_disturbed_round_is_repeated() -> None:
    rows = [row for n in (0, 2) for row in steady(5, 2.0, 10.0, round_number=n)]
    rows += [row for row in steady(5, 2.0, 10.0, round_number=1) if row["sent_ns"] < START + S / 2]
    found = summarise(PLANNED, rounds(False, True, False), by_round(frame(rows)), (), SHIPPED)
    assert found.validity.is_valid
    counting = summarise(PLANNED, rounds(False, False, False), by_round(frame(rows)), (), SHIPPED)
    assert [one.round for one in counting.validity.rounds] == [1]


def test_failures_beyond_the_knee_are_excused_in_every_round() -> None:
    load = steps(100.0, 200.0, step_s=1.0)
    rows = []
    for number in range(3):
        kept_up = [(place * 10.0, "") for place in range(100)]
        fell_behind = [(1000 + place * 5.0, FAILED) for place in range(200)]
        rows += [
            sample(sent_ms=at_ms + 1, took_ms=5, error=error, round_number=number)
            for at_ms, error in (*kept_up, *fell_behind)
        ]
    found = summarise(
        cell(load=load, rounds=2), rounds(False, True, False), by_round(frame(rows)), (), SHIPPED
    )
    assert found.unjudged.knee_rps == 100
    assert ValidityState.ERRORS not in found.validity.states


def test_pair_with_a_disturbed_round_takes_no_part_in_the_ratio() -> None:
    base = summary(rounds(False, True, False), [10.0, 10.0, 10.0], "sync")
    other = summary(rounds(False, False, False), [5.0, 1.0, 5.0])
    (ratio,) = [one for one in compare([base, other]) if one.metric == "throughput_rps"]
    assert (ratio.rounds, ratio.set_aside, ratio.left_out) == (2, 1, 0)
    assert ratio.ratio == pytest.approx(2.0, rel=0.02)


def test_conditions_of_a_cell_are_the_sums_over_its_rounds() -> None:
    one = conditions(3.0, outside_s=0.5, throttled_s=0.25, target_waited_s=1.0)
    other = conditions(1.0, outside_s=0.1, on_driver_s=0.2, target_waited_s=None)
    found = over_rounds([record(conditions=one), record(conditions=other), record()])
    assert found == Conditions(
        seconds=4.0,
        taken=(Taken((0,), 0.0, 0.6), Taken((1,), 0.0, 0.2)),
        pressure=Pressure(0.0, 0.0, 0.0),
        throttled_s=0.25,
        target_waited_s=None,
    )
    assert over_rounds([record()]) is None


def test_conditions_of_a_cell_leave_out_what_was_set_aside() -> None:
    found = summary(rounds(False, True, False), [10.0, 10.0, 10.0]).unjudged.conditions
    assert found is not None
    assert found.outside_share == 0.0
