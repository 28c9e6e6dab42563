"""Steps and ramps: stages, the knee, and what lies beyond it."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis import stages, summaries
from loopmark.harness.analysis.stages import StageCount
from loopmark.harness.planning.pacing import arrival_times
from loopmark.harness.vocabulary.figures import Figures
from loopmark.harness.vocabulary.loads.arriving import RAMP_STAGES, Ramp, Steps
from loopmark.harness.vocabulary.result import CellResult
from loopmark.reports.objections import sentences
from tests.harness.builders import START, by_round, cell, frame, ramp, record, report, sample, steps

STEPS = steps(50.0, 100.0, 200.0, 400.0)
CAPACITY = 150.0


def driven(
    load: Steps | Ramp, capacity: float, *, max_in_flight: int = 20, took_ms: float = 10.0
) -> list[dict[str, Any]]:
    """A target that answers so many per second in turn; who finds too many under way is refused."""
    rows: list[dict[str, Any]] = []
    ends: list[float] = []
    free = -1e9
    for at in arrival_times(load, Random(1)):
        due = (at - load.warmup_s) * 1e3
        ends = [end for end in ends if end > due]
        if len(ends) >= max_in_flight:
            rows.append(sample(sent_ms=due, took_ms=0, error="refused"))
            continue
        begin = max(due, free)
        free = begin + 1e3 / capacity
        ends.append(free + took_ms)
        rows.append(sample(sent_ms=due, took_ms=free + took_ms - due))
    return rows


def summary(load: Steps | Ramp, rows: list[dict[str, Any]], rounds: int = 1) -> CellResult:
    records = [record(n, report(load.measured_s)) for n in range(rounds)]
    all_rows = [row | {"round": n} for n in range(rounds) for row in rows]
    return summaries.summarise(
        cell(load=load, rounds=rounds), records, by_round(frame(all_rows)), ()
    )


def figures(of: CellResult) -> Figures:
    return of.figures_despite(of.validity)


def test_every_step_is_a_stage() -> None:
    found = STEPS.stages
    assert [one.rate for one in found] == list(STEPS.rates)
    assert [one.start_s for one in found] == [0, 1, 2, 3]


@given(st.floats(1, 500), st.floats(1, 500), st.floats(1, 60))
def test_stages_of_a_ramp_cover_it(start: float, end: float, duration_s: float) -> None:
    load = ramp(start, end, duration_s)
    found = load.stages
    assert len(found) == RAMP_STAGES
    assert sum(one.duration_s for one in found) == pytest.approx(duration_s)
    planned = sum(one.rate * one.duration_s for one in found)
    assert planned == pytest.approx(duration_s * (start + end) / 2)


@pytest.mark.parametrize("rounds", [1, 3])
def test_knee_is_the_last_step_that_the_target_keeps_up_with(rounds: int) -> None:
    found = summary(STEPS, driven(STEPS, CAPACITY), rounds)
    measured = figures(found)
    assert measured.knee_rps == 100
    assert [one.kept_up for one in measured.stages] == [True, True, False, False]
    assert [one.offered_rps for one in measured.stages] == pytest.approx([50, 100, 200, 400], abs=1)
    assert measured.stages[3].answered_rps == pytest.approx(CAPACITY, rel=0.1)
    assert measured.stages[3].refused == measured.stages[3].errors > 0
    assert measured.stages[3].sent_rps == pytest.approx(measured.stages[3].answered_rps)
    assert measured.refused == sum(one.refused for one in measured.stages)


def test_refusals_beyond_the_knee_are_the_finding_and_no_objection() -> None:
    found = summary(STEPS, driven(STEPS, CAPACITY))
    assert found.error_kinds["refused"] > 0
    assert found.validity.is_valid, sentences(found.validity)


def test_failure_below_the_knee_is_an_objection() -> None:
    rows = driven(STEPS, CAPACITY)
    rows[60] |= {"error": "timeout"}
    assert summary(STEPS, rows).validity.state == "errors"


def test_wrong_answer_beyond_the_knee_is_an_objection() -> None:
    rows = driven(STEPS, CAPACITY)
    rows[-1] |= {"error": "wrong-answer"}
    assert summary(STEPS, rows).validity.state == "wrong-answers"


def test_target_that_keeps_up_with_all_has_no_knee() -> None:
    found = summary(STEPS, driven(STEPS, 5000.0))
    assert figures(found).knee_rps is None
    assert found.validity.is_valid, sentences(found.validity)


def test_target_that_keeps_up_with_none_has_its_limit_below_all() -> None:
    found = summary(STEPS, driven(STEPS, 20.0, max_in_flight=1000))
    assert figures(found).knee_rps == 0
    assert figures(found).knee_rps_ci is None
    assert found.validity.is_valid, sentences(found.validity)


def test_slow_answers_alone_are_beyond_the_knee() -> None:
    rows = [sample(sent_ms=ms, took_ms=10 if ms < 1000 else 200) for ms in range(0, 2000, 10)]
    found = figures(summary(steps(100.0, 100.1), rows))
    assert [one.kept_up for one in found.stages] == [True, False]
    assert found.stages[1].errors == 0


def test_knee_of_the_rounds_is_their_median_with_an_interval() -> None:
    """The second of three rounds is served half as fast: a knee of its own, and no more errors."""
    per_round = [driven(STEPS, capacity) for capacity in (CAPACITY, CAPACITY / 2, CAPACITY)]
    rows = [row | {"round": number} for number, one in enumerate(per_round) for row in one]
    records = [record(number, report(4.0)) for number in range(3)]
    found = summaries.summarise(cell(load=STEPS, rounds=3), records, by_round(frame(rows)), ())
    measured = figures(found)
    assert found.validity.is_valid, sentences(found.validity)
    assert not found.validity.rounds
    assert measured.knee_rps == 100
    assert [one.kept_up for one in measured.stages] == [True, True, False, False]
    low, high = measured.knee_rps_ci or (0.0, 0.0)
    assert low < 50
    assert high > 200


@pytest.mark.parametrize("load", [ramp(50.0, 400.0), ramp(400.0, 50.0)])
def test_knee_of_a_ramp_is_near_its_capacity_when_it_rises(load: Ramp) -> None:
    knee = figures(summary(load, driven(load, 1000.0))).knee_rps
    assert knee is None
    if load.from_rate < load.to_rate:
        found = figures(summary(load, driven(load, 200.0))).knee_rps
        assert found == pytest.approx(200, abs=36)


@pytest.mark.parametrize("rates", [(50.0, 400.0, 400.0), (50.0, 100.0, 400.0, 100.0)])
def test_what_is_refused_at_a_rate_that_was_not_always_kept_up_with_is_the_finding(
    rates: tuple[float, ...],
) -> None:
    load = steps(*rates)
    last = START + (len(rates) - 1) * 10**9
    rows = [
        row | {"error": "refused"} if row["due_ns"] >= last else row for row in driven(load, 5000.0)
    ]
    found = summary(load, rows)
    assert figures(found).knee_rps == 50
    assert found.error_kinds == {"refused": rates[-1]}
    assert found.validity.is_valid, sentences(found.validity)


@pytest.mark.parametrize(("kept", "most"), [(1, False), (2, False), (3, True)])
def test_stage_is_kept_up_with_where_it_is_in_most_rounds(kept: int, *, most: bool) -> None:
    count = StageCount(1, np.array([1.0]))
    kept_up = [[number < kept] for number in range(4)]
    (found,) = stages.results(STEPS.stages[:1], [[count]] * 4, kept_up)
    assert found.kept_up is most


def test_what_became_of_a_stage_is_counted_in_the_order_of_what_was_due() -> None:
    load = steps(50.0, 100.0)
    rows = [
        sample(sent_ms=20 * n, took_ms=n + 1, error="" if n < 100 else "reset") for n in range(103)
    ]
    rows += [sample(sent_ms=-1, took_ms=5), sample(sent_ms=1999, took_ms=0, error="refused")]
    Random(1).shuffle(rows)
    first, second = stages.counts(load.stages, report(2.0), frame(rows))
    assert (first.due, first.error_kinds) == (50, {})
    assert first.response.tolist() == [n + 1 for n in range(50)]
    assert (second.due, second.error_kinds) == (51, {"refused": 1})
    assert second.response.tolist() == [n + 1 for n in range(50, 100)]
    (result,) = stages.results(
        load.stages[:1], [[StageCount(1000, np.arange(1.0, 1001))]], [[True]]
    )
    assert (result.p50_ms, result.p99_ms) == (500, 990)
    ended = stages.counts(load.stages, report(2.1), frame(rows))[1]
    assert (ended.due, ended.error_kinds) == (54, {"reset": 3, "refused": 1})
