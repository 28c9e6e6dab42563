"""What a driver's delay can have done: the bounds hold the truth, and are no wider than need be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis.delays import overlaps_ns, shortest_percentile, undelayed
from loopmark.harness.analysis.paired_rounds import paired_rounds
from loopmark.harness.vocabulary.figures import Percentiles, RoundResult
from loopmark.harness.vocabulary.job import Wait
from loopmark.harness.vocabulary.metrics import METRICS
from tests.harness.builders import (
    START,
    burst,
    cell,
    cell_result,
    closed,
    frame,
    report,
    round_result,
    sample,
)

VALUES = st.lists(st.floats(0.1, 1000), min_size=1, max_size=30)


def took(count: int, ms: float) -> pd.DataFrame:
    """So many requests that are due and sent at the start of the window."""
    return frame([sample(sent_ms=0, took_ms=ms) for _ in range(count)])


def percentile_of(values: np.ndarray, p: float) -> float:
    return float(np.sort(values)[max(int(np.ceil(p * values.size - 1e-9)), 1) - 1])


@given(VALUES, st.floats(0.01, 1.0), st.floats(0, 500), st.floats(0, 2000), st.integers(0, 2**32))
def test_no_shortening_within_the_limits_gets_below(
    values: list[float], p: float, each: float, together: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    ordered = np.sort(np.array(values))
    least = shortest_percentile(ordered, p, each, together)
    assert least <= percentile_of(ordered, p)
    # Whatever is taken off, spread at random or where it does most.
    weights = random.random(ordered.size) ** random.integers(1, 20)
    off = np.minimum(np.minimum(weights / weights.sum() * together, each), ordered)
    assert percentile_of(ordered - off, p) >= least - 1e-6


@given(VALUES, st.floats(0.01, 1.0), st.floats(0, 2000))
def test_the_bound_is_reached(values: list[float], p: float, together: float) -> None:
    """Bringing down to it what is just above takes no more than there is."""
    ordered = np.sort(np.array(values))
    least = shortest_percentile(ordered, p, each=np.inf, together=together)
    needed = max(int(np.ceil(p * ordered.size - 1e-9)), 1)
    off = np.maximum(ordered[:needed] - least, 0)
    assert off.sum() <= together * (1 + 1e-9) + 1e-6
    if least > 0:
        assert off.sum() == pytest.approx(together, abs=1e-6)


def test_without_delay_nothing_is_taken_off() -> None:
    ordered = np.arange(1.0, 101.0)
    assert shortest_percentile(ordered, 0.5, 0.0, 0.0) == 50.0


def test_a_burst_ends_earlier_by_what_the_driver_waited() -> None:
    result = round_result(makespan_s=2.0, throughput_rps=100.0, p50=None)
    found = undelayed(burst(200), result, took(200, 500.0), report(waited_s=0.5))
    assert found is not None
    assert (found.makespan_s, found.throughput_rps) == pytest.approx((1.5, 100 / 0.75))
    assert found.cpu_ms_per_request == result.cpu_ms_per_request


def test_latencies_are_shorter_by_the_wait_of_each_in_flight() -> None:
    """Ten users lose a tenth of the window: so much is taken off half of the latencies."""
    latencies = took(200, 100.0)  # 10 users for 2 s
    found = undelayed(closed(10), round_result(p50=100.0), latencies, report(waited_s=0.2))
    assert found is not None
    assert found.latency_ms.p50 == pytest.approx(100.0 - 10 * 200.0 / 100)


def test_what_delay_alone_could_explain_is_bounded_by_nearly_nothing() -> None:
    found = undelayed(burst(10), round_result(makespan_s=2.0), took(10, 5.0), report(waited_s=9.0))
    assert found is not None
    assert found.makespan_s == pytest.approx(0.02)
    assert found.latency_ms.p50 == pytest.approx(0.1)


def test_where_nothing_is_known_of_delay_nothing_is_claimed() -> None:
    assert undelayed(closed(), round_result(), took(10, 5.0), report(waited_s=None)) is None


@pytest.mark.parametrize("starved", ["base", "other", "both"])
def test_a_starved_driver_hides_no_truth(starved: str) -> None:
    """A target that takes 100 ms; the driver adds up to 30% and says how long it waited."""
    random = np.random.default_rng(5)
    held = tried = 0
    for _ in range(40):
        truth = float(random.uniform(0.5, 2.0))
        cells = []
        for name, seconds in (("base", 1.0), ("other", truth)):
            rounds = []
            for number in range(3):
                true_s = seconds * float(np.exp(random.normal(0, 0.02)))
                waited_s = float(random.uniform(0, 0.3)) * true_s
                if starved not in {name, "both"}:
                    waited_s = 0.0
                # Only a part of what it waited was on the way of the last answer.
                delayed_s = true_s + waited_s * float(random.random())
                result = round_result(number, makespan_s=delayed_s, p50=None)
                result = result_with(result, delayed_s, waited_s)
                rounds.append(result)
            cells.append(cell_result(cell(name, burst(10)), rounds))
        paired = paired_rounds(cells[0], cells[1], METRICS["makespan_s"], lambda one: one.target)
        interval = paired.interval(paired.scatter())
        assert interval is not None
        tried += 1
        held += interval[0] <= truth <= interval[1]
    assert held / tried >= 0.95


def result_with(result: RoundResult, delayed_s: float, waited_s: float) -> RoundResult:
    """The same round with this bound."""
    whole = replace(result, window_s=delayed_s, latency_ms=Percentiles())
    return replace(
        whole, undelayed=undelayed(burst(10), whole, took(0, 1.0), report(waited_s=waited_s))
    )


def test_delay_widens_only_in_the_direction_in_which_it_acts() -> None:
    calm = [round_result(n, makespan_s=1.0) for n in range(3)]
    late = [result_with(round_result(n, makespan_s=1.0), 1.0, 0.2) for n in range(3)]
    paired = paired_rounds(
        cell_result(cell("calm", burst()), calm),
        cell_result(cell("late", burst()), late),
        METRICS["makespan_s"],
        lambda one: one.target,
    )
    assert paired.ratio == pytest.approx(1.0)
    assert paired.delay == pytest.approx((-np.log(0.8), 0.0))


INTERVALS = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50), st.floats(0, 1)), max_size=8)


@given(INTERVALS, st.lists(st.tuples(st.integers(0, 600), st.integers(0, 300)), max_size=12))
def test_overlaps_are_those_of_each_request_with_each_wait(
    spans: list[tuple[int, int, float]], requests: list[tuple[int, int]]
) -> None:
    waits, at = [], 0
    for length, pause, share in spans:
        waits.append(Wait(at + pause, at + pause + length, int(share * length)))
        at += pause + length
    begins = np.array([begin for begin, _ in requests], dtype=np.int64)
    ends = np.array([begin + length for begin, length in requests], dtype=np.int64)
    expected = [
        sum(
            max(0, min(one.waited_ns, min(one.to_ns, end) - max(one.from_ns, begin)))
            for one in waits
        )
        for begin, end in zip(begins, ends, strict=True)
    ]
    assert overlaps_ns(begins, ends, waits).tolist() == expected


def test_only_requests_under_way_while_the_driver_waited_are_shorter() -> None:
    """Of 100 requests of 10 ms, one after the other, the driver waited within one of ten."""
    rows = frame([sample(sent_ms=10 * n, took_ms=10) for n in range(100)])
    ms = 1_000_000
    waits = [
        Wait(START + n * 10 * ms + ms, START + n * 10 * ms + 8 * ms, 5 * ms)
        for n in range(0, 100, 10)
    ]
    told = report(waited_s=0.05, waits=waits)
    result = replace(round_result(), latency_ms=Percentiles(p50=10.0, p90=10.0))
    found = undelayed(closed(1), result, rows, told)
    assert found is not None
    assert found.latency_ms.p50 == pytest.approx(10.0)
    assert found.latency_ms.p90 == pytest.approx(10.0)
    shortened = undelayed(closed(1), result, rows, replace(told, waits=()))
    assert shortened is not None
    assert shortened.latency_ms.p50 is not None
    assert shortened.latency_ms.p50 < 10.0
