"""Comparisons with the best: critical values, bounds, and how often they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from loopmark.harness.analysis.moderation import Scatter, scatter_of
from loopmark.harness.analysis.multiple_comparisons import (
    Difference,
    best_of,
    dunnett,
    studentized_range,
    with_the_best,
)

Logs = npt.NDArray[np.float64]
MARGIN = math.log(1.15)


def pairs_of(logs: Logs) -> Mapping[tuple[int, int], Difference]:
    """Of settings x rounds: the difference of each two."""
    return {
        (first, second): Difference(
            float((logs[first] - logs[second]).mean()),
            logs.shape[1],
            scatter_of((logs[first] - logs[second]).tolist()),
        )
        for first in range(len(logs))
        for second in range(first + 1, len(logs))
    }


# ---- critical values ----


@pytest.mark.parametrize("dof", [1, 2, 7.5, 10, 120])
def test_of_one_comparison_dunnetts_value_is_students(dof: float) -> None:
    assert dunnett(1, dof) == pytest.approx(stats.t.ppf(0.95, dof), rel=1e-4)


@pytest.mark.parametrize(
    ("others", "dof", "value"), [(2, 10, 2.15), (4, 20, 2.30), (4, 10, 2.47), (9, 20, 2.60)]
)
def test_dunnetts_values_are_those_of_his_table(others: int, dof: float, value: float) -> None:
    assert dunnett(others, dof) == pytest.approx(value, abs=0.006)


@pytest.mark.parametrize(("count", "dof"), [(2, 1), (3, 2), (5, 8), (10, 18)])
def test_studentized_range_is_that_of_scipy(count: int, dof: float) -> None:
    expected = stats.studentized_range.ppf(0.95, count, dof)
    assert studentized_range(count, dof) == pytest.approx(expected, rel=1e-4)


# ---- bounds ----


def test_bounds_of_two_are_students_one_and_two_sided() -> None:
    found = with_the_best({(0, 1): Difference(-0.2, 4, Scatter(0.01, 3))}, 2)
    error = 0.1 / 2
    one, two = (stats.t.ppf(share, 3) * error for share in (0.95, 0.975))
    # The second alone may be the best: it falls short of nothing.
    assert found[0] == pytest.approx((-0.2 - one, -0.2 + two), rel=1e-3)
    assert found[1] == pytest.approx((0.0, 0.2 + two), rel=1e-3)


def test_bounds_of_two_that_both_may_be_the_best() -> None:
    found = with_the_best({(0, 1): Difference(-0.05, 4, Scatter(0.01, 3))}, 2)
    one, two = (stats.t.ppf(share, 3) * 0.05 for share in (0.95, 0.975))
    assert found[0] == pytest.approx((-0.05 - one, -0.05 + two), rel=1e-3)
    assert found[1] == pytest.approx((0.05 - one, 0.05 + two), rel=1e-3)


def test_what_delay_can_have_done_widens_the_bounds_each_to_its_side() -> None:
    pairs = {(0, 1): Difference(-0.2, 4, Scatter(0.01, 3))}
    delayed = {(0, 1): Difference(-0.2, 4, Scatter(0.01, 3), (0.03, 0.07))}
    first, second = np.array(with_the_best(delayed, 2)) - np.array(with_the_best(pairs, 2))
    assert first == pytest.approx([-0.03, 0.07])
    assert second == pytest.approx([0.0, 0.03])
    # With enough of it the worse may be the best, and then the better has no bound at 0.
    much = {(0, 1): Difference(-0.2, 4, Scatter(0.01, 3), (0.0, 0.3))}
    assert with_the_best(much, 2)[1][0] < -0.1


def test_each_is_compared_with_the_best_of_the_others() -> None:
    logs = np.array([[0.0, 0.02, -0.02], [0.5, 0.48, 0.52], [1.0, 1.01, 0.99]])
    found = with_the_best(pairs_of(logs), 3)
    assert best_of(pairs_of(logs), 3) == 2
    for (low, high), expected in zip(found, (-1.0, -0.5, 0.5), strict=True):
        assert low <= expected <= high or low == 0.0
        assert high == pytest.approx(expected, abs=0.15)


def test_one_may_always_be_the_best_whatever_pairs_from_different_rounds_say() -> None:
    """Each better than the next, in a circle."""
    better = Difference(1.0, 3, Scatter(0.0001, 2))
    found = with_the_best({(0, 1): better, (1, 2): better, (2, 0): better}, 3)
    assert min(low for low, _ in found) < -1


@pytest.mark.parametrize(
    ("pairs", "count"),
    [({}, 0), ({}, 1), ({(0, 1): Difference(0.5, 1, None)}, 2)],
)
def test_single_rounds_and_single_settings_have_no_bounds(
    pairs: Mapping[tuple[int, int], Difference], count: int
) -> None:
    assert with_the_best(pairs, count) == ()


def test_scatter_of_pairs_that_share_members_counts_once() -> None:
    """Six differences of four settings in three rounds: three times two degrees of freedom."""
    pairs = {
        (first, second): Difference(0.0, 3, Scatter(0.01, 2))
        for first in range(4)
        for second in range(first + 1, 4)
    }
    half = dunnett(3, 6) * 0.1 / math.sqrt(3)
    assert with_the_best(pairs, 4)[0][0] == pytest.approx(-half, rel=1e-6)


@given(
    st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), min_size=2, max_size=5).map(
        np.array
    )
)
def test_bounds_turn_with_the_order_and_the_best_is_never_worse(logs: Logs) -> None:
    pairs = pairs_of(logs)
    found = with_the_best(pairs, len(logs))
    best = best_of(pairs, len(logs))
    assert logs[best].mean() == pytest.approx(logs.mean(axis=1).max())
    assert found[best][1] > 0
    assert all(low <= high for low, high in found)
    turned = with_the_best(pairs_of(logs[::-1]), len(logs))
    assert [one for pair in turned for one in pair] == pytest.approx(
        [one for pair in found[::-1] for one in pair]
    )


# ---- how often they hold ----


def share_of(means: Sequence[float], scatter: Sequence[float], rounds: int) -> tuple[float, float]:
    """How often one of the best is called worse, and one outside of the margin enough."""
    random, repetitions = np.random.default_rng(7), 400
    true, worse, enough = np.array(means), 0, 0
    for _ in range(repetitions):
        logs = true[:, None] + random.normal(size=(len(true), rounds)) * np.array(scatter)[:, None]
        found = with_the_best(pairs_of(logs), len(true))
        worse += any(
            high < 0 for (_, high), mean in zip(found, true, strict=True) if mean == true.max()
        )
        enough += any(
            low >= -MARGIN
            for (low, _), mean in zip(found, true, strict=True)
            if mean < true.max() - MARGIN
        )
    return worse / repetitions, enough / repetitions


@pytest.mark.parametrize("rounds", [2, 3, 5])
@pytest.mark.parametrize("count", [2, 5, 8])
def test_equal_settings_are_called_worse_no_more_often_than_the_level_says(
    count: int, rounds: int
) -> None:
    worse, _ = share_of([0.0] * count, [0.05] * count, rounds)
    assert worse < 0.085  # 5%, and three standard errors of 400


@pytest.mark.parametrize("rounds", [3, 5])
@pytest.mark.parametrize("scatter", [0.03, 0.1, 0.15])
def test_one_that_is_a_fifth_slower_is_not_called_enough(rounds: int, scatter: float) -> None:
    _, enough = share_of([-math.log(1.2), *[0.0] * 4], [scatter] * 5, rounds)
    assert enough < 0.05


def test_settings_of_which_one_scatters_more_are_called_worse_hardly_more_often() -> None:
    worse, enough = share_of([-math.log(1.2), *[0.0] * 4], [0.1, 0.03, 0.03, 0.03, 0.1], 5)
    assert worse < 0.085
    assert enough < 0.05


def test_settings_that_are_alike_are_shown_to_be_within_the_margin() -> None:
    random = np.random.default_rng(9)
    shown = [
        all(low >= -MARGIN for low, _ in with_the_best(pairs_of(logs), 5))
        for logs in random.normal(0, 0.03, (100, 5, 3))
    ]
    assert np.mean(shown) > 0.7
