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
from loopmark.harness.vocabulary.job import DriverReport, Wait, WorkerReport
from loopmark.harness.vocabulary.metrics import METRICS
from tests.harness.builders import (
    MS,
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


def waits_ms(*spans: tuple[float, float, float]) -> list[Wait]:
    """Intervals: from, to, and waited, in milliseconds of the window."""
    return [
        Wait(START + round(a * MS), START + round(b * MS), round(waited * MS))
        for a, b, waited in spans
    ]


def told(*spans: tuple[float, float, float], window_s: float = 2.0) -> DriverReport:
    """A report of a driver that waited so."""
    waited_s = sum(waited for _, _, waited in spans) / 1e3
    return report(window_s, waited_s=waited_s, waits=waits_ms(*spans))


def test_a_burst_ends_earlier_by_the_delays_of_who_was_last() -> None:
    """Ten users for 2 s; before the last was read the driver waited for 100 of 105 ms."""
    rows = frame([sample(sent_ms=0, took_ms=200 * (n + 1), user=n) for n in range(10)])
    result = round_result(makespan_s=2.0, throughput_rps=5.0, p50=None)
    found = undelayed(burst(10), result, rows, told((1900, 2005, 100), window_s=2.0))
    assert found is not None
    assert (found.makespan_s, found.throughput_rps) == pytest.approx((1.9, 5.0 * 2.0 / 1.9))
    assert found.cpu_ms_per_request == result.cpu_ms_per_request


def test_who_was_last_but_one_is_last_then() -> None:
    rows = frame([sample(sent_ms=0, took_ms=ms, user=n) for n, ms in enumerate((1950, 2000))])
    found = undelayed(burst(2), round_result(makespan_s=2.0), rows, told((1990, 2001, 11)))
    assert found is not None
    assert found.makespan_s == pytest.approx(1.989)
    found = undelayed(burst(2), round_result(makespan_s=2.0), rows, told((1800, 2001, 200)))
    assert found is not None
    assert found.makespan_s == pytest.approx(1.8), "both were read late"


def test_the_delays_of_a_flow_add_up() -> None:
    rows = frame([sample(sent_ms=500 * n, took_ms=500, user=0) for n in range(4)])
    spans = [(500 * n + 450, 500 * n + 501, 50) for n in range(4)]
    found = undelayed(burst(1), round_result(makespan_s=2.0), rows, told(*spans))
    assert found is not None
    assert found.makespan_s == pytest.approx(1.8)


def test_what_the_driver_waits_while_nothing_comes_delays_nothing() -> None:
    rows = frame([sample(sent_ms=0, took_ms=2000)])
    result = round_result(makespan_s=2.0)
    found = undelayed(burst(1), result, rows, told((100, 1000, 800)))
    assert found is not None
    assert found.makespan_s == pytest.approx(2.0, rel=1e-4)


def test_a_request_that_was_sent_late_was_delayed_by_what_the_driver_waited_before() -> None:
    rows = frame([sample(sent_ms=300, took_ms=700, waited_ms=300)])
    result = replace(round_result(makespan_s=1.0), latency_ms=Percentiles(p50=1000.0))
    found = undelayed(burst(1), result, rows, told((0, 250, 200), window_s=1.0))
    assert found is not None
    assert found.makespan_s == pytest.approx(0.8)
    assert found.latency_ms.p50 == pytest.approx(800.0)


def test_users_who_go_on_lose_the_time_of_their_delays() -> None:
    """Two users, ten turns of 200 ms each, all of them read 20 ms late."""
    rows = frame([sample(sent_ms=200 * n, took_ms=200, user=u) for n in range(10) for u in (0, 1)])
    spans = [(200 * n + 175, 200 * n + 201, 20) for n in range(10)]
    result = replace(round_result(throughput_rps=10.0), latency_ms=Percentiles(p50=200.0))
    found = undelayed(closed(2), result, rows, told(*spans))
    assert found is not None
    assert found.throughput_rps == pytest.approx(10.0 / 0.9)
    assert found.latency_ms.p50 == pytest.approx(180.0)


def test_of_a_record_without_waits_nothing_is_known_but_their_sum() -> None:
    rows = frame([sample(sent_ms=100 * n, took_ms=100) for n in range(20)])
    earlier = report(waited_s=1.2)
    found = undelayed(closed(1), round_result(throughput_rps=10.0), rows, earlier)
    assert found is not None
    assert found.throughput_rps == pytest.approx(10.0 / 0.4)


def test_waits_too_short_to_note_delay_each_request_by_no_more() -> None:
    rows = frame([sample(sent_ms=100 * n, took_ms=100) for n in range(20)])
    result = replace(round_result(throughput_rps=10.0), latency_ms=Percentiles(p50=100.0))
    found = undelayed(closed(1), result, rows, report(waited_s=0.005))
    assert found is not None
    assert found.throughput_rps == pytest.approx(10.0 / (1 - 20 * 20e-6 / 2))
    assert found.latency_ms.p50 == pytest.approx(99.98)


def test_waits_of_unknown_workers_may_have_delayed_anything() -> None:
    worker = WorkerReport("one", 100, "shared")
    unknown = replace(report(waited_s=0.2), workers=(worker,))
    rows = frame([sample(sent_ms=100 * n, took_ms=100) for n in range(20)])
    found = undelayed(closed(1), round_result(throughput_rps=10.0), rows, unknown)
    assert found is not None
    assert found.throughput_rps == pytest.approx(10.0 / 0.9)


def test_what_delay_alone_could_explain_is_bounded_by_nearly_nothing() -> None:
    rows = frame([sample(sent_ms=0, took_ms=5, user=n) for n in range(10)])
    result = replace(round_result(makespan_s=0.005), latency_ms=Percentiles(p50=5.0))
    found = undelayed(burst(10), result, rows, told((-1, 5.1, 6), window_s=0.005))
    assert found is not None
    assert found.makespan_s == pytest.approx(0.00005)
    assert found.latency_ms.p50 == pytest.approx(0.05)


def test_where_nothing_is_known_of_delay_nothing_is_claimed() -> None:
    assert undelayed(closed(), round_result(), took(10, 5.0), report(waited_s=None)) is None


@pytest.mark.parametrize("starved", ["base", "other", "both"])
def test_a_starved_driver_hides_no_truth(starved: str) -> None:
    """A target whose time is known; the driver reads its answer up to 30% late, and says so."""
    random = np.random.default_rng(5)
    held = 0
    for _ in range(40):
        truth = float(random.uniform(0.5, 2.0))
        cells = []
        for name, seconds in (("base", 1.0), ("other", truth)):
            rounds = []
            for number in range(3):
                true_ms = 1e3 * seconds * float(np.exp(random.normal(0, 0.02)))
                late_ms = float(random.uniform(0, 0.3)) * true_ms
                if starved not in {name, "both"}:
                    late_ms = 0.0
                rounds.append(burst_of_one(number, true_ms + late_ms, late_ms))
            cells.append(cell_result(cell(name, burst(1)), rounds))
        paired = paired_rounds(cells[0], cells[1], METRICS["makespan_s"], lambda one: one.target)
        interval = paired.interval(paired.scatter)
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert held / 40 >= 0.95


def burst_of_one(number: int, took_ms: float, late_ms: float) -> RoundResult:
    """One request, before whose answer was read the driver waited for so long."""
    result = replace(round_result(number, makespan_s=took_ms / 1e3, p50=None))
    rows = frame([sample(sent_ms=0, took_ms=took_ms)])
    spans = [(took_ms - late_ms - 1, took_ms + 0.1, late_ms)] if late_ms else []
    return replace(
        result,
        undelayed=undelayed(burst(1), result, rows, told(*spans, window_s=took_ms / 1e3)),
    )


def test_delay_widens_only_in_the_direction_in_which_it_acts() -> None:
    calm = [round_result(n, makespan_s=1.0) for n in range(3)]
    late = [burst_of_one(n, 1000.0, 200.0) for n in range(3)]
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


def test_only_requests_that_were_read_late_are_shorter() -> None:
    """Of 100 requests of 10 ms, one after the other, every tenth was read 5 ms late."""
    rows = frame([sample(sent_ms=10 * n, took_ms=10) for n in range(100)])
    spans = [(10 * n + 3.9, 10 * n + 10.1, 5) for n in range(0, 100, 10)]
    result = replace(round_result(), latency_ms=Percentiles(p50=10.0, p90=10.0))
    found = undelayed(closed(1), result, rows, told(*spans))
    assert found is not None
    assert found.latency_ms.p50 == pytest.approx(10.0)
