"""What keeps up with a stage, at the thresholds; the knee of a round, and of several."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis import knee
from loopmark.harness.analysis.stages import StageCount
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.arriving import Ramp, Steps
from loopmark.harness.vocabulary.loads.fan_out import FanOutSteps
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds
from tests.harness.builders import fan_out_steps, ramp, steps

STEPS = steps(50.0, 100.0, step_s=10.0)
RECEIVED = fan_out_steps(20.0, 40.0)


def counted(*times_ms: tuple[int, float], failed: str = "", due: int = 0) -> StageCount:
    """So many answers that took so long, in this order."""
    response = np.concatenate([np.full(count, ms) for count, ms in times_ms])
    kinds = Counter({failed: 1} if failed else {})
    return StageCount(max(due, response.size + len(kinds)), response, kinds)


def kept(load: Load, *stages: StageCount, thresholds: Thresholds = SHIPPED) -> float | None:
    return knee.of_round(load.stages, knee.kept_up(load, stages, thresholds))


@pytest.mark.parametrize(
    ("second", "kept_up"),
    [
        (counted((100, 100.0)), True),
        (counted((100, 100.1)), False),
        (counted((97, 10.0), (3, 999.0)), True),  # nearly all
        (counted((96, 10.0), (4, 999.0)), False),
        (counted((96, 10.0), due=100), False),  # what has no answer counts
        (StageCount(0, np.empty(0)), False),
    ],
)
@pytest.mark.parametrize("slowest_ms", [0.1, 99.0])
def test_nearly_all_in_time_whatever_the_slowest_stage_took(
    slowest_ms: float,
    second: StageCount,
    kept_up: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert kept(STEPS, counted((100, slowest_ms)), second) == (None if kept_up else 50.0)


@pytest.mark.parametrize("load", [STEPS, ramp(10.0, 100.0), RECEIVED])
def test_limit_is_that_of_the_load(load: Load) -> None:
    counts = [counted((100, 10.0))] * len(load.stages)
    assert kept(load, *counts) is None
    assert isinstance(load, Steps | Ramp | FanOutSteps)
    stricter = replace(load, in_time_ms=9.9)
    assert stricter.limit_ms == 9.9
    assert kept(stricter, *counts) == 0.0


@pytest.mark.parametrize(
    ("stage", "kept_up"),
    [
        (counted((100, 100.0)), True),
        (counted((99, 1.0), (1, 100.1)), True),
        (counted((98, 1.0), (2, 100.1)), False),
        (counted((1000, 1.0), failed=ErrorKind.MISSING), False),
        (counted((1000, 1.0), failed=ErrorKind.DUPLICATE), True),
        (StageCount(0, np.empty(0)), False),
    ],
)
def test_received_by_all_and_nearly_always_in_time(
    stage: StageCount,
    kept_up: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert kept(RECEIVED, stage, stage) == (None if kept_up else 0.0)


@pytest.mark.parametrize(
    ("load", "thresholds"),
    [
        (STEPS, replace(SHIPPED, min_kept_share=1.0)),
        (RECEIVED, replace(SHIPPED, in_time_share=1.0)),
    ],
)
def test_thresholds_are_those_that_are_given(load: Load, thresholds: Thresholds) -> None:
    stages = (counted((100, 10.0)), counted((99, 10.0), (1, 200.0)))
    assert kept(load, *stages) is None
    assert kept(load, *stages, thresholds=thresholds) is not None


def test_what_is_wrong_beyond_the_knee_is_no_finding() -> None:
    kinds = Counter({ErrorKind.TIMEOUT: 2, ErrorKind.WRONG_ANSWER: 1, ErrorKind.DUPLICATE: 1})
    counts = (StageCount(9, np.empty(0), kinds), StageCount(9, np.empty(0), kinds))
    assert knee.past_the_knee(STEPS.stages, counts, 50.0) == {ErrorKind.TIMEOUT: 2}
    assert knee.past_the_knee(STEPS.stages, counts, 0.0) == {ErrorKind.TIMEOUT: 2}
    assert not knee.past_the_knee(STEPS.stages, counts, 100.0)
    assert not knee.past_the_knee(STEPS.stages, counts, None)


LOST = StageCount(30, np.empty(0), Counter({ErrorKind.REFUSED: 30}))


@given(
    st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=2, max_size=8),
    st.sampled_from([(steps, "nearly-all"), (fan_out_steps, "all-received")]),
)
def test_every_stage_up_to_the_knee_kept_up_and_one_of_the_next_rate_did_not(
    stages: list[tuple[int, bool]], of: tuple[Callable[..., Load], str]
) -> None:
    load = of[0](*[10.0 * rate for rate, _ in stages])
    assert load.traits.knee == of[1]
    counts = [counted((30, 1.0)) if ok else LOST for _, ok in stages]
    limit = kept(load, *counts)
    failed = [10.0 * rate for rate, ok in stages if not ok]
    assert (limit is None) == (not failed)
    if limit is not None:
        assert all(ok for rate, ok in stages if 10.0 * rate <= limit)
        assert min(10.0 * rate for rate, _ in stages if 10.0 * rate > limit) == min(failed)
    excused = knee.past_the_knee(load.stages, counts, limit)
    slowest = 10.0 * min(rate for rate, _ in stages)
    beyond = [rate for rate in failed if rate > slowest]
    assert excused == (Counter({ErrorKind.REFUSED: 30 * len(beyond)}) if beyond else {})


# ---- over the rounds ----


@pytest.mark.parametrize(
    ("knees", "median"),
    [
        ([100.0], 100.0),
        ([100.0, 200.0], 100.0),  # always the rate of a stage
        ([400.0, 100.0, 200.0], 200.0),
        ([100.0, None, None], None),
        ([100.0, 100.0, None], 100.0),
        ([0.0, 0.0, None], 0.0),
    ],
)
def test_knee_is_the_median_of_the_rounds(knees: list[float | None], median: float | None) -> None:
    assert knee.over_rounds(knees) == median


def test_interval_is_that_of_the_middles_and_never_narrower_than_a_stage() -> None:
    stages = steps(50.0, 100.0, 100.0, 200.0, 400.0).stages
    middle, width = 100 * math.sqrt(2), math.log(2)
    half = 4.30265 * math.sqrt(width**2 / 12 / 3)
    alike = knee.interval(stages, [100.0] * 3)
    assert alike == pytest.approx((middle * math.exp(-half), middle * math.exp(half)), rel=1e-5)
    half = 4.30265 * math.sqrt((width**2 + width**2 / 12) / 3)
    apart = knee.interval(stages, [50.0, 100.0, 200.0])
    assert apart == pytest.approx((middle * math.exp(-half), middle * math.exp(half)), rel=1e-5)
    assert knee.interval(stages, [100.0] * 30) == pytest.approx((100.0, 200.0))


@pytest.mark.parametrize(
    "knees", [[], [100.0], [100.0] * 2, [100.0, 100.0, None], [100.0, 100.0, 0.0], [None, None]]
)
def test_limit_that_some_round_does_not_bound_has_no_interval(
    knees: Sequence[float | None],
) -> None:
    assert knee.interval(steps(50.0, 100.0, 200.0).stages, knees) is None


@pytest.mark.parametrize("scatter", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("rounds", [3, 5])
def test_interval_of_the_knee_holds_the_limit(rounds: int, scatter: float) -> None:
    """A target whose limit scatters from round to round; stages are a quarter apart."""
    load = steps(*[20.0 * 1.25**n for n in range(24)])
    rates = [stage.rate for stage in load.stages]
    random = np.random.default_rng(rounds)
    held, repetitions = 0, 1000
    for _ in range(repetitions):
        limit = 300 * math.exp(random.uniform(0, math.log(1.25)))  # anywhere between two rates
        found = limit * np.exp(random.normal(0, scatter, rounds))
        bounds = knee.interval(
            load.stages, [max(rate for rate in rates if rate <= one) for one in found]
        )
        assert bounds is not None
        held += bounds[0] <= limit <= bounds[1]
    assert held / repetitions > 0.94
