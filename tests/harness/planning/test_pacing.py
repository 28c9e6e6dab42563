"""Schedules: how many flows are due, and when."""

from __future__ import annotations

import math
from itertools import islice, pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from loopmark.harness.planning.pacing import arrival_times, start_times, think_time
from loopmark.harness.vocabulary.load import Arriving
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.model import Stretch

RATES = st.floats(0.5, 200)
DURATIONS = st.floats(0.05, 2)
WARMUPS = st.just(0.0) | st.floats(0.05, 2)
SPACINGS = st.sampled_from(["constant", "poisson"])
LOADS: st.SearchStrategy[Arriving] = st.one_of(
    st.builds(Open, rate=RATES, duration_s=DURATIONS, arrivals=SPACINGS, warmup_s=WARMUPS),
    st.builds(
        Steps,
        rates=st.lists(RATES, min_size=2, max_size=5).map(tuple),
        step_s=DURATIONS,
        arrivals=SPACINGS,
        warmup_s=WARMUPS,
    ),
    st.builds(
        Ramp,
        from_rate=RATES,
        to_rate=RATES,
        duration_s=DURATIONS,
        arrivals=SPACINGS,
        warmup_s=WARMUPS,
    ),
)
CONSTANT = LOADS.filter(lambda load: load.arrivals == "constant")


def rate_at(load: Arriving, time_s: float) -> float:
    """The rate that the load describes, written down a second time."""
    into_s = time_s - load.warmup_s
    match load:
        case Open():
            return load.rate
        case Steps():
            step = min(max(0, math.floor(into_s / load.step_s)), len(load.rates) - 1)
            return load.rates[step]
        case Ramp():
            share = min(max(0.0, into_s / load.measured_s), 1.0)
            return load.from_rate + share * (load.to_rate - load.from_rate)


def expected_by(load: Arriving, time_s: float) -> float:
    """The area under the rate until then."""
    bends = [load.warmup_s]
    if isinstance(load, Steps):
        bends += [load.warmup_s + n * load.step_s for n in range(1, len(load.rates))]
    edges = [0.0, *(bend for bend in bends if 0 < bend < time_s), time_s]
    # Linear between its bends: the middle of each piece is its mean, whatever its edges do.
    return sum((high - low) * rate_at(load, (low + high) / 2) for low, high in pairwise(edges))


@given(LOADS, st.integers())
def test_arrivals_rise_and_lie_within_warm_up_and_window(load: Arriving, seed: int) -> None:
    times = list(arrival_times(load, Random(seed)))
    assert all(a <= b for a, b in pairwise(times))
    assert all(0 <= time <= load.warmup_s + load.measured_s + 1e-9 for time in times)


@given(CONSTANT)
def test_constant_arrivals_are_as_many_as_the_area_under_the_rate(load: Arriving) -> None:
    times = list(arrival_times(load, Random(0)))
    area = expected_by(load, load.warmup_s + load.measured_s)
    assert math.ceil(area - 1e-6) <= len(times) <= math.ceil(area + 1e-6)


@given(CONSTANT)
def test_the_nth_constant_arrival_is_due_when_n_are_expected(load: Arriving) -> None:
    for number, time in enumerate(islice(arrival_times(load, Random(0)), 0, None, 37)):
        assert expected_by(load, time) == pytest.approx(37 * number, rel=1e-6, abs=1e-6)


@given(RATES, DURATIONS, WARMUPS)
def test_a_constant_rate_is_spaced_evenly_across_the_warm_up_s_end(
    rate: float, duration_s: float, warmup_s: float
) -> None:
    load = Open(rate=rate, duration_s=duration_s, warmup_s=warmup_s)
    for number, time in enumerate(arrival_times(load, Random(0))):
        assert time == pytest.approx(number / rate, rel=1e-9, abs=1e-9)


@given(DURATIONS, RATES, RATES, st.floats(0, 1))
def test_a_stretch_s_time_is_the_inverse_of_its_expected_count(
    duration_s: float, start: float, end: float, share: float
) -> None:
    stretch = Stretch(duration_s, start, end)
    arrivals = share * stretch.arrivals
    time = stretch.time_of(arrivals)
    assert 0 <= time <= duration_s * (1 + 1e-9)
    counted = start * time + (end - start) / duration_s * time**2 / 2
    assert counted == pytest.approx(arrivals, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("start", "end"), [(1e-6, 1e6), (1e6, 1e-6), (1000, 1000 + 1e-9)])
def test_extreme_ramps_are_inverted_exactly(start: float, end: float) -> None:
    stretch = Stretch(60.0, start, end)
    times = [stretch.time_of(share * stretch.arrivals) for share in np.linspace(0, 1, 1001)]
    assert times[0] == 0
    assert times[-1] == pytest.approx(60.0, rel=1e-6)
    assert all(a < b for a, b in pairwise(times))


@given(LOADS)
def test_stretches_cover_the_warm_up_at_the_first_rate_and_the_window(load: Arriving) -> None:
    found = load.stretches
    total_s = sum(one.duration_s for one in found)
    assert total_s == pytest.approx(load.warmup_s + load.measured_s)
    assert found[0].start_rate == rate_at(load, 0.0)
    if load.warmup_s:
        assert found[0] == Stretch(load.warmup_s, rate_at(load, 0.0), rate_at(load, 0.0))


@given(LOADS, st.integers())
def test_a_schedule_is_repeated_from_its_seed(load: Arriving, seed: int) -> None:
    assert list(arrival_times(load, Random(seed))) == list(arrival_times(load, Random(seed)))


def test_poisson_arrivals_have_exponential_gaps() -> None:
    load = Open(rate=200, duration_s=50, arrivals="poisson", warmup_s=0)
    for seed in range(5):
        gaps = np.diff(list(arrival_times(load, Random(seed))))
        assert stats.kstest(gaps, "expon", args=(0, 1 / 200)).pvalue > 0.01
        # Independent of each other: one gap says nothing of the next.
        assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.04


@pytest.mark.parametrize(
    "load",
    [
        Open(rate=50, duration_s=2, arrivals="poisson", warmup_s=0),
        Steps(rates=(20, 80), step_s=1, arrivals="poisson", warmup_s=0),
        Ramp(from_rate=10, to_rate=90, duration_s=2, arrivals="poisson", warmup_s=0),
    ],
    ids=lambda load: load.model,
)
def test_poisson_counts_have_their_mean_as_variance(load: Arriving) -> None:
    """In the whole and in each quarter of the window: here 100 are expected in all."""
    seeds = 600
    edges = np.linspace(0, load.measured_s, 5)
    counts = np.array(
        [np.histogram(list(arrival_times(load, Random(n))), edges)[0] for n in range(seeds)]
    )
    expected = np.diff([0.0, *(expected_by(load, edge) for edge in edges[1:])])
    for column, mean in [*zip(counts.T, expected, strict=True), (counts.sum(axis=1), 100.0)]:
        assert column.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / seeds))
        # The variance of a sample variance is about 2 / n of its square.
        assert column.var() == pytest.approx(mean, rel=4 * math.sqrt(2 / seeds) + 0.02)


def test_arrivals_of_a_rising_poisson_rate_are_where_the_rate_is() -> None:
    load = Ramp(from_rate=1, to_rate=399, duration_s=20, arrivals="poisson", warmup_s=0)
    times = list(arrival_times(load, Random(3)))
    total = expected_by(load, 20.0)
    shares = [expected_by(load, time) / total for time in times]
    assert stats.kstest(shares, "uniform").pvalue > 0.01


def test_an_enormous_schedule_is_drawn_as_it_is_needed() -> None:
    load = Open(rate=1e6, duration_s=86_400)
    assert list(islice(arrival_times(load, Random(0)), 3)) == pytest.approx([0, 1e-6, 2e-6])


@given(st.integers(1, 500), WARMUPS)
def test_users_start_evenly_over_the_first_half_of_the_warm_up(users: int, warmup_s: float) -> None:
    times = start_times(Closed(users=users, duration_s=1, warmup_s=warmup_s))
    assert len(times) == users
    assert times[0] == 0
    gaps = np.diff([*times, warmup_s / 2])
    assert np.allclose(gaps, warmup_s / 2 / users, rtol=1e-9)


@given(st.floats(0.001, 60), st.integers())
def test_constant_think_time_is_what_was_asked_for(think_s: float, seed: int) -> None:
    load = Closed(users=1, duration_s=1, think_s=think_s)
    assert think_time(load, Random(seed)) == think_s


def test_no_think_time_draws_nothing() -> None:
    random = Random(1)
    load = Closed(users=1, duration_s=1, think_s=0, think="exponential")
    assert think_time(load, random) == 0
    assert random.getstate() == Random(1).getstate()


def test_exponential_think_time_has_the_mean_asked_for() -> None:
    load = Closed(users=1, duration_s=1, think_s=0.25, think="exponential")
    random = Random(7)
    pauses = [think_time(load, random) for _ in range(5000)]
    assert stats.kstest(pauses, "expon", args=(0, 0.25)).pvalue > 0.01


@given(CONSTANT, st.integers())
def test_constant_arrivals_owe_nothing_to_chance(load: Arriving, seed: int) -> None:
    assume(seed != 0)
    assert list(arrival_times(load, Random(seed))) == list(arrival_times(load, Random(0)))
