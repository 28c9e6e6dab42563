"""Estimates against numpy, and intervals against the truth that they promise to cover."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loopmark.harness.analysis.statistics import (
    has_enough_beyond,
    interpolated,
    interval_over_rounds,
    needed_for,
    percentile,
)

finite = st.floats(-1e12, 1e12)
samples = st.lists(finite, min_size=1, max_size=200)
positive = st.floats(1e-6, 1e6)
rounds = st.lists(positive, min_size=3, max_size=8)
shares = st.integers(1, 1000).map(lambda permille: Fraction(permille, 1000))

REPETITIONS = 2000


# ---- percentile ----


@given(samples, st.floats(0, 1, exclude_min=True))
def test_percentile_is_numpys_inverted_cdf(values: list[float], p: float) -> None:
    product = p * len(values)
    # Within rounding of a whole number numpy takes the next value for a product such as 0.07 * 100.
    assume(abs(product - round(product)) > 1e-8)
    assert percentile(values, p) == np.percentile(values, 100 * p, method="inverted_cdf")


@given(samples, shares)
def test_percentile_is_the_smallest_value_with_that_share_at_or_below_it(
    values: list[float], share: Fraction
) -> None:
    found = percentile(values, float(share))
    at_or_below = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert found in values
    assert Fraction(at_or_below, len(values)) >= share > Fraction(below, len(values))


@pytest.mark.parametrize(("p", "expected"), [(0.07, 7), (0.95, 95), (0.29, 29), (0.58, 58)])
def test_rounding_does_not_move_the_rank(p: float, expected: int) -> None:
    assert percentile(range(1, 101), p) == expected


def test_percentile_of_the_smallest_share_is_the_smallest_value() -> None:
    assert percentile([3, 1, 2], 1e-12) == 1
    assert percentile([3, 1, 2], 1) == 3


def test_percentile_leaves_its_argument_as_it_was() -> None:
    values = np.array([3.0, 1.0, 2.0])
    percentile(values, 0.5)
    assert values.tolist() == [3.0, 1.0, 2.0]


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize("p", [0, -0.1, 1.1, 50, math.nan])
def test_percentile_outside_of_zero_to_one_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="within"):
        percentile([1.0], p)


@pytest.mark.parametrize(
    ("p", "fewest"), [(0.5, 20), (0.9, 100), (0.95, 200), (0.99, 1000), (0.999, 10_000)]
)
def test_percentile_needs_ten_samples_beyond_it(p: float, fewest: int) -> None:
    assert has_enough_beyond(fewest, p)
    assert not has_enough_beyond(fewest - 1, p)
    assert needed_for(p) == fewest


# ---- interval_over_rounds ----


@pytest.mark.parametrize(("rounds", "t"), [([1, 2, 3], 4.30265), ([1, 2, 3, 4, 5], 2.77645)])
def test_interval_over_rounds_is_students_with_one_degree_of_freedom_less(
    rounds: list[float], t: float
) -> None:
    interval = interval_over_rounds(7.0, [math.exp(one) for one in rounds])
    half = t * statistics.stdev(rounds) / len(rounds) ** 0.5
    assert interval == pytest.approx((7.0 * math.exp(-half), 7.0 * math.exp(half)), rel=1e-4)


@pytest.mark.parametrize("count", [3, 5])
def test_interval_over_rounds_covers_the_truth(count: int) -> None:
    random = np.random.default_rng(2)
    drawn = random.lognormal(mean=1.0, sigma=0.2, size=(REPETITIONS, count))
    covered = 0
    for one in drawn:
        interval = interval_over_rounds(float(np.exp(np.log(one).mean())), one.tolist())
        assert interval is not None
        covered += interval[0] <= math.e <= interval[1]
    assert 0.93 <= covered / REPETITIONS <= 0.97


def test_interval_about_the_median_of_the_rounds_covers_nearly_as_often() -> None:
    random = np.random.default_rng(3)
    drawn = random.lognormal(mean=1.0, sigma=0.2, size=(REPETITIONS, 5))
    covered = 0
    for one in drawn:
        interval = interval_over_rounds(float(np.median(one)), one.tolist())
        assert interval is not None
        covered += interval[0] <= math.e <= interval[1]
    assert 0.92 <= covered / REPETITIONS <= 0.97


@given(positive, rounds, st.sampled_from([0.001, 0.5, 3.0, 1024.0]))
def test_interval_scales_with_the_unit(
    estimate: float, per_round: list[float], unit: float
) -> None:
    interval = interval_over_rounds(estimate, per_round)
    scaled = interval_over_rounds(unit * estimate, [unit * one for one in per_round])
    assert interval is not None
    assert scaled is not None
    assert scaled == pytest.approx((unit * interval[0], unit * interval[1]), rel=1e-6)


@given(positive, rounds, st.randoms(use_true_random=False))
def test_interval_holds_the_estimate_whatever_the_order_of_the_rounds(
    estimate: float, per_round: list[float], random: Random
) -> None:
    interval = interval_over_rounds(estimate, per_round)
    shuffled = list(per_round)
    random.shuffle(shuffled)
    assert interval is not None
    assert interval[0] <= estimate * (1 + 1e-12)
    assert estimate <= interval[1] * (1 + 1e-12)
    assert interval_over_rounds(estimate, shuffled) == pytest.approx(interval, rel=1e-6)


@pytest.mark.parametrize(
    ("estimate", "per_round"),
    [
        (1.0, []),
        (1.0, [1.0]),
        (1.0, [1.0, 2.0]),
        (1.0, [1.0, 2.0, 0.0]),
        (1.0, [1.0, 2.0, -1.0]),
        (0.0, [1.0, 2.0, 3.0]),
        (-1.0, [1.0, 2.0, 3.0]),
    ],
)
def test_no_interval_without_three_positive_rounds(estimate: float, per_round: list[float]) -> None:
    assert interval_over_rounds(estimate, per_round) is None


def test_rounds_that_agree_leave_no_room() -> None:
    assert interval_over_rounds(2.0, [2.0, 2.0, 2.0]) == pytest.approx((2.0, 2.0))


# ---- interpolated ----


@pytest.mark.parametrize(
    ("at", "expected"), [(0, 10), (1, 10), (2, 15), (3, 20), (3.5, 40), (4, 60), (9, 60)]
)
def test_interpolation_is_linear_between_readings_and_constant_beyond(
    at: float, expected: float
) -> None:
    assert interpolated(at, [1, 3, 4], [10, 20, 60]) == pytest.approx(expected)
