"""What keeps up with a stage: at the thresholds, from made-up stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis import knee, stages
from loopmark.harness.analysis.stages import StageCount
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds
from tests.harness.builders import fan_out_steps, steps

STEPS = steps(50.0, 100.0, step_s=10.0)
HEARD = fan_out_steps(20.0, 40.0)


def counted(*times_ms: tuple[int, float], failed: str = "", due: int = 0) -> StageCount:
    """So many answers that took so long, in this order."""
    response = np.concatenate([np.full(count, ms) for count, ms in times_ms])
    kinds = Counter({failed: 1} if failed else {})
    return StageCount(max(due, response.size + len(kinds)), response, kinds)


def kept(load: Load, *stages: StageCount, thresholds: Thresholds = SHIPPED) -> tuple[bool, ...]:
    return knee.kept_up(load, [stages], thresholds)


@pytest.mark.parametrize(
    ("second", "kept_up"),
    [
        (counted((100, 55.0)), True),  # 5 ms + 5 x 10 ms
        (counted((100, 55.1)), False),
        (counted((97, 10.0), (3, 99.0)), True),  # nearly all
        (counted((96, 10.0), (4, 99.0)), False),
        (counted((96, 10.0), due=100), False),  # what has no answer counts
        (StageCount(0, np.empty(0)), False),
    ],
)
def test_within_a_few_times_the_tail_of_the_slowest_stage(
    second: StageCount,
    kept_up: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert kept(STEPS, counted((100, 10.0)), second) == (True, kept_up)


@pytest.mark.parametrize(("count", "kept_up"), [(1000, True), (999, False)])
def test_tail_is_the_highest_percentile_that_there_are_enough_answers_for(
    count: int,
    kept_up: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """2% are ten times as slow: the 99th percentile shows it, the 95th does not."""
    slowest = counted((count - 20, 10.0), (20, 100.0))
    assert kept(STEPS, slowest, counted((100, 99.0)))[1] is kept_up


@pytest.mark.parametrize(
    ("slowest", "is_yardstick"),
    [
        (counted((20, 10.0)), True),
        (counted((19, 10.0)), False),  # no median
        (counted((50, 100.0), (50, 205.0)), True),  # twice and 5 ms
        (counted((50, 100.0), (50, 206.0)), False),
        (counted((50, 1000.0), (50, 1505.0)), True),  # a tenth of a second per second for 5 s
        (counted((50, 1000.0), (50, 1506.0)), False),
    ],
)
def test_a_slowest_stage_that_does_not_hold_its_level_is_no_yardstick(
    slowest: StageCount,
    is_yardstick: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert kept(STEPS, slowest, counted((100, 1.0)))[1] is is_yardstick


def test_single_answers_are_no_yardstick() -> None:
    rounds = [(counted((1, 10.0)), counted((2, 10.0)))] * 25
    assert knee.kept_up(STEPS, rounds, SHIPPED) == (False, False)
    assert knee.kept_up(STEPS, [*rounds, (counted((2, 10.0)),) * 2], SHIPPED) == (True, True)


@pytest.mark.parametrize(
    ("stage", "kept_up"),
    [
        (counted((100, 99.9)), True),
        (counted((99, 1.0), (1, 100.0)), True),
        (counted((98, 1.0), (2, 100.0)), False),
        (counted((1000, 1.0), failed=ErrorKind.MISSING), False),
        (counted((1000, 1.0), failed=ErrorKind.DUPLICATE), True),
        (StageCount(0, np.empty(0)), False),
    ],
)
def test_heard_by_all_and_nearly_always_in_time(
    stage: StageCount,
    kept_up: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert kept(HEARD, stage, stage) == (kept_up, kept_up)


@pytest.mark.parametrize(
    ("load", "thresholds"),
    [
        (STEPS, replace(SHIPPED, min_answers=101)),
        (STEPS, replace(SHIPPED, min_kept_share=1.0)),
        (STEPS, replace(SHIPPED, knee_slowdown=0.9, knee_allowance_ms=0.0)),
        (STEPS, replace(SHIPPED, max_yardstick_growth=0.0)),
        (STEPS, replace(SHIPPED, max_yardstick_slope=-0.1)),
        (HEARD, replace(SHIPPED, in_time_share=1.0)),
        (HEARD, replace(SHIPPED, in_time_ms=10.0)),
    ],
)
def test_thresholds_are_those_that_are_given(load: Load, thresholds: Thresholds) -> None:
    stages = (counted((100, 10.0)), counted((99, 10.0), (1, 200.0)))
    assert all(kept(load, *stages))
    assert not all(kept(load, *stages, thresholds=thresholds))


def test_what_is_wrong_beyond_the_knee_is_no_finding() -> None:
    kinds = Counter({ErrorKind.TIMEOUT: 2, ErrorKind.WRONG_ANSWER: 1, ErrorKind.DUPLICATE: 1})
    counts = (StageCount(9, np.empty(0), kinds), StageCount(9, np.empty(0), kinds))
    assert knee.past_the_knee(STEPS.stages, counts, 50.0) == {ErrorKind.TIMEOUT: 2}
    assert not knee.past_the_knee(STEPS.stages, counts, 0.0)
    assert not knee.past_the_knee(STEPS.stages, counts, None)


@given(
    st.lists(st.booleans(), min_size=1, max_size=8),
    st.sampled_from([(steps, "slowest-stage"), (fan_out_steps, "all-received")]),
)
def test_knee_is_the_rate_before_the_slowest_that_failed(
    kept: list[bool], of: tuple[Callable[..., Load], str]
) -> None:
    load = of[0](*[10.0 * (n + 1) for n in range(len(kept))])
    assert load.traits.knee == of[1]
    lost = StageCount(30, np.empty(0), Counter({ErrorKind.REFUSED: 30}))
    counts = [[counted((30, 1.0)) if ok else lost for ok in kept]] * 2
    found = stages.results(load.stages, counts, knee.kept_up(load, counts, SHIPPED))
    limit = knee.knee_rps(found)
    failed = kept.index(False) if False in kept else None
    assert limit == (None if failed is None else 10.0 * failed)
    excused = knee.past_the_knee(load.stages, counts[0], limit)
    assert excused == (Counter({ErrorKind.REFUSED: 30 * kept.count(False)}) if limit else {})
