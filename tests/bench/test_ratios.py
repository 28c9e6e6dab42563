"""Ratios of paired rounds, and their intervals against the truth that they promise to cover."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.ratios import ratio_over_rounds

positive = st.floats(1e-6, 1e6)
rounds = st.lists(positive, min_size=3, max_size=8)
pairs = st.lists(st.tuples(positive, positive), min_size=1, max_size=8)

REPETITIONS = 2000


@pytest.mark.parametrize("count", [3, 5])
def test_interval_of_a_ratio_covers_the_truth_whatever_the_rounds_share(count: int) -> None:
    random = np.random.default_rng(4)
    covered = 0
    for _ in range(REPETITIONS):
        shared = random.lognormal(sigma=1.0, size=count)
        base = shared * random.lognormal(sigma=0.1, size=count)
        other = 1.5 * shared * random.lognormal(sigma=0.1, size=count)
        found = ratio_over_rounds(other.tolist(), base.tolist())
        assert found is not None
        _, interval = found
        assert interval is not None
        covered += interval[0] <= 1.5 <= interval[1]
    assert 0.93 <= covered / REPETITIONS <= 0.97


@given(pairs)
def test_swapping_the_sides_gives_the_reciprocal(both: list[tuple[float, float]]) -> None:
    other, base = [a for a, _ in both], [b for _, b in both]
    found, swapped = ratio_over_rounds(other, base), ratio_over_rounds(base, other)
    assert found is not None
    assert swapped is not None
    assert swapped[0] == pytest.approx(1 / found[0], rel=1e-6)
    if found[1] is None or swapped[1] is None:
        assert len(both) < 3
    else:
        low, high = found[1]
        assert math.log(swapped[1][0]) == pytest.approx(-math.log(high), abs=1e-6)
        assert math.log(swapped[1][1]) == pytest.approx(-math.log(low), abs=1e-6)


@given(pairs, st.lists(positive, min_size=8, max_size=8))
def test_what_both_sides_of_a_round_share_falls_out(
    both: list[tuple[float, float]], drift: list[float]
) -> None:
    found = ratio_over_rounds([a for a, _ in both], [b for _, b in both])
    drifted = ratio_over_rounds(
        [a * d for (a, _), d in zip(both, drift, strict=False)],
        [b * d for (_, b), d in zip(both, drift, strict=False)],
    )
    assert found is not None
    assert drifted is not None
    assert drifted[0] == pytest.approx(found[0], rel=1e-6)


@given(rounds)
def test_a_thing_compared_with_itself_is_one(values: list[float]) -> None:
    found = ratio_over_rounds(values, values)
    assert found is not None
    assert found[0] == pytest.approx(1.0)
    assert found[1] == pytest.approx((1.0, 1.0))


def test_ratio_is_the_geometric_mean_of_the_pairs() -> None:
    found = ratio_over_rounds([2.0, 8.0], [1.0, 1.0])
    assert found is not None
    assert found[0] == pytest.approx(4.0)


def test_single_pair_has_a_ratio_and_no_interval() -> None:
    found = ratio_over_rounds([3.0], [2.0])
    assert found is not None
    assert found[0] == pytest.approx(1.5)
    assert found[1] is None


def test_rounds_without_a_counterpart_are_left_out() -> None:
    found = ratio_over_rounds([4.0, 9.0, 9.0], [2.0])
    assert found is not None
    assert found[0] == pytest.approx(2.0)
    assert found[1] is None


@pytest.mark.parametrize(
    ("other", "base"),
    [([], []), ([], [1.0]), ([0.0], [1.0]), ([1.0], [0.0]), ([1.0, -1.0], [1.0, 1.0])],
)
def test_no_ratio_without_pairs_of_positive_figures(other: list[float], base: list[float]) -> None:
    assert ratio_over_rounds(other, base) is None
