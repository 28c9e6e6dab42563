"""MSER and the halves on series whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis import steady_state
from loopmark.harness.analysis.steady_state import BINS, LEAST_KEPT, Change
from loopmark.harness.vocabulary.thresholds import SHIPPED, Materiality

MATERIALITY = Materiality(level=1.25, whole=1.1, trend=1.25)
levels = st.floats(0.01, 1e4)


def shifted(at: int, factor: float, level: float = 100.0) -> steady_state.Series:
    """Slightly uneven, so that the smallest scatter is not that of any constant piece."""
    uneven = level * (1 + 0.01 * np.resize([1.0, -1.0], BINS))
    return np.where(np.arange(BINS) < at, uneven * factor, uneven)


@given(levels)
def test_level_series_is_steady(level: float) -> None:
    series = shifted(0, 1.0, level)
    assert steady_state.is_steady(series, MATERIALITY)
    assert steady_state.between_halves(series).ratio == pytest.approx(1, rel=0.02)


@given(
    st.integers(LEAST_KEPT, BINS - LEAST_KEPT), levels, st.sampled_from([0.4, 1 / 1.6, 1.6, 3.0])
)
def test_clear_shift_is_found_wherever_it_is(at: int, level: float, factor: float) -> None:
    assert not steady_state.is_steady(shifted(at, factor, level), MATERIALITY)


@given(st.integers(1, BINS - 1), st.floats(0.85, 1.15))
def test_shift_that_does_not_matter_is_none(at: int, factor: float) -> None:
    assert steady_state.is_steady(shifted(at, factor), MATERIALITY)


@pytest.mark.parametrize(
    ("materiality", "factor"),
    [(SHIPPED.material_answers, 1 + 2 / 3), (SHIPPED.material_responses, 5.0)],
)
def test_transient_counts_when_it_moves_the_whole_window(
    materiality: Materiality, factor: float
) -> None:
    """3 of 20 bins five times as high make the whole 60% higher."""
    for at in (factor * 0.99, factor * 1.01):
        series = shifted(3, at)
        assert steady_state.is_steady(series, materiality) is (at < factor)
        assert steady_state.is_steady(series[::-1], materiality) is (at < factor)


def test_what_lasts_for_over_half_the_window_is_no_transient() -> None:
    lenient = Materiality(level=1.25, whole=3.0)
    assert steady_state.is_steady(shifted(10, 2.0), lenient)
    assert not steady_state.is_steady(shifted(11, 2.0), lenient)


def test_eight_bins_are_the_fewest_that_are_cut() -> None:
    series = np.repeat([30.0, 10.0], 4)
    assert not steady_state.is_steady(series, MATERIALITY)
    assert steady_state.is_steady(series[1:], MATERIALITY)
    assert steady_state.mser_cut(np.array([1.0, 9.0, 2.0, 8.0, 3.0, 5.0, 5.0, 5.0])) == 4


@pytest.mark.parametrize("at", [4, 5, 8])
def test_mser_cuts_where_the_transient_ends(at: int) -> None:
    assert steady_state.mser_cut(shifted(at, 3.0)) == at


@given(st.lists(st.just(0.0) | st.floats(1e-6, 1e6), min_size=2 * LEAST_KEPT, max_size=60))
def test_cut_leaves_enough_and_direction_is_no_matter(values: list[float]) -> None:
    series = np.array(values)
    assert 0 <= steady_state.mser_cut(series) <= len(series) - LEAST_KEPT
    forward = steady_state.is_steady(series, MATERIALITY)
    assert forward == steady_state.is_steady(series[::-1], MATERIALITY)


def test_mser_is_the_smallest_standard_error_of_what_is_left() -> None:
    series = np.random.default_rng(3).exponential(1.0, 30)
    errors = [series[cut:].var() / (30 - cut) for cut in range(30 - LEAST_KEPT + 1)]
    assert steady_state.mser_cut(series) == int(np.argmin(errors))


def test_halves_are_compared_and_chance_comes_from_neighbours() -> None:
    series = np.array([10.0, 12.0, 20.0, 22.0])
    found = steady_state.between_halves(series)
    assert found.ratio == pytest.approx(21 / 11)
    variance = (4 + 64 + 4) / 3 / 2
    assert found.chance == pytest.approx(
        4 * math.sqrt(variance / 2 + (21 / 11) ** 2 * variance / 2) / 11
    )
    assert not found.is_material(1.25)
    assert Change(1.3).is_material(1.25)
    assert Change(0.7).is_material(1.25)


def test_nothing_before_is_an_infinite_change_and_nothing_at_all_is_none() -> None:
    assert steady_state.between_halves(np.array([0.0, 0.0, 1.0, 1.0])).ratio == math.inf
    assert steady_state.between_halves(np.zeros(4)).ratio == 1.0


def test_bins_hold_every_answer_of_the_window_once() -> None:
    times = np.arange(0, 1000, 5)
    assert steady_state.answers_per_bin(times, 0, 1000).tolist() == [10.0] * 20
    means = steady_state.mean_per_bin(np.array([0, 1, 999]), np.array([2.0, 4.0, 9.0]), 0, 1000)
    assert means.tolist() == [3.0, 9.0]


@pytest.mark.parametrize(
    ("answers", "bins"), [(0, 2), (1, 2), (29, 2), (30, 3), (199, 19), (200, 20), (5000, 20)]
)
def test_few_answers_have_few_bins(answers: int, bins: int) -> None:
    series = steady_state.answers_per_bin(np.arange(answers), 0, 10_000)
    assert (series.size, series.sum()) == (bins, answers)


@pytest.mark.parametrize("answers", [22, 40, 60, 100, 200])
def test_few_answers_at_random_are_steady(answers: int) -> None:
    random = np.random.default_rng(answers)
    unsteady = 0
    for _ in range(400):
        times = random.integers(0, 1_000_000, max(random.poisson(answers), 20))
        series = steady_state.answers_per_bin(times, 0, 1_000_000)
        halves = steady_state.between_halves(series).is_material(MATERIALITY.level)
        unsteady += halves or not steady_state.is_steady(series, MATERIALITY)
    assert unsteady <= 0.06 * 400


# ---- a slow drift ----

PLACES = (np.arange(BINS) + 0.5) / BINS


@given(st.floats(0.3, 3.0), levels)
def test_drift_is_that_of_a_straight_line_beyond_the_factor(factor: float, level: float) -> None:
    line = level * (1 + (factor - 1) * PLACES)
    found = steady_state.trend(line, Materiality(level=9.0, whole=9.0, trend=1.25))
    if 1 / 1.249 < factor < 1.249:
        assert found is None
    elif not 1 / 1.251 < factor < 1.251:
        assert found == pytest.approx(factor, rel=1e-6)


def test_a_shift_is_no_line_and_few_bins_are_none_either() -> None:
    assert steady_state.trend(np.repeat([10.0, 20.0], 10), MATERIALITY) is None
    line = 10 * (1 + np.arange(8) / 7)
    assert steady_state.trend(line, MATERIALITY) is not None
    assert steady_state.trend(line[1:], MATERIALITY) is None
    assert steady_state.trend(line, replace(MATERIALITY, trend=None)) is None, "an old run"


def test_line_below_zero_and_nothing_at_all_are_no_drift() -> None:
    assert steady_state.trend(np.concatenate([np.zeros(15), np.ones(5)]), MATERIALITY) is None
    assert steady_state.trend(np.concatenate([np.ones(5), np.zeros(15)]), MATERIALITY) is None
    assert steady_state.trend(np.zeros(BINS), MATERIALITY) is None


def test_chance_of_a_drift_is_two_standard_errors_of_its_logarithm() -> None:
    """By the covariance of least squares, of residuals without a memory."""
    series = 100 * (1 + PLACES) + np.resize([5.0, -5.0], BINS)
    design = np.column_stack([np.ones(BINS), PLACES - 0.5])
    (mean, slope), (squares,), *_ = np.linalg.lstsq(design, series, rcond=None)
    covariance = squares / (BINS - 2) * np.linalg.inv(design.T @ design)
    start, end = mean - slope / 2, mean + slope / 2
    gradient = np.array([1 / end - 1 / start, (1 / end + 1 / start) / 2])
    limit = math.log(end / start) - 2 * math.sqrt(gradient @ covariance @ gradient)
    for factor, found in ((0.9999, True), (1.0001, False)):
        materiality = replace(MATERIALITY, trend=math.exp(limit * factor))
        assert (steady_state.trend(series, materiality) is not None) is found


def test_drift_must_exceed_chance() -> None:
    """The same line, with much and with little scatter about it."""
    scatter = np.resize([1.0, -1.0], BINS) * 20
    line = 100 * (1 + 0.4 * PLACES) + scatter
    assert steady_state.trend(line, MATERIALITY) is None
    assert steady_state.trend(100 * (1 + 0.4 * PLACES) + scatter / 20, MATERIALITY) is not None


def test_scatter_with_a_memory_excuses_more() -> None:
    """The same residuals, once in pairs: their line has been seen in half as many bins."""
    line = 100 * (1 + 0.5 * PLACES)
    quick = line + np.resize([8.0, -8.0], BINS)
    slow = line + np.resize([8.0, 8.0, 8.0, 8.0, -8.0, -8.0, -8.0, -8.0], BINS)
    assert steady_state.trend(quick, MATERIALITY) is not None
    assert steady_state.trend(slow, MATERIALITY) is None


def caught(shape: steady_state.Series, repetitions: int = 200) -> float:
    """Share of windows with such a rate, of 200 answers per bin, that drift."""
    random = np.random.default_rng(5)
    return float(
        np.mean(
            [
                steady_state.trend(
                    random.poisson(200 * shape).astype(float), SHIPPED.material_answers
                )
                is not None
                for _ in range(repetitions)
            ]
        )
    )


def test_a_rise_by_half_through_the_window_is_noticed_and_a_level_rate_is_not() -> None:
    assert caught(1 + PLACES / 2) > 0.8
    assert caught(1.5 - PLACES / 2) > 0.8
    assert caught(np.ones(BINS)) == 0
    assert caught(1 + PLACES / 8) < 0.05
