"""Whether the driver kept its schedule: at the thresholds."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from loopmark.harness.analysis.schedule import Arrivals, arrivals, objections, planned
from loopmark.harness.planning.pacing import arrival_times
from loopmark.harness.vocabulary.cell import ObjectionCode as Code
from loopmark.harness.vocabulary.figures import Percentiles
from loopmark.harness.vocabulary.job import Wait
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds
from tests.harness.builders import (
    MS,
    START,
    burst,
    closed,
    fan_out,
    frame,
    open_,
    ramp,
    report,
    sample,
)

OPEN = open_(100.0, 2.0)
POISSON = replace(OPEN, arrivals="poisson")
KEPT = Arrivals(
    planned=200.0, due=200, sent=200, unsent=0, window_s=2.0, late_ms=Percentiles(p50=0.5, p99=1.0)
)


LATENCY = Percentiles(p50=20.0, p99=100.0)


def late(p50: float = 0.5, p99: float = 1.0) -> Arrivals:
    return replace(KEPT, late_ms=Percentiles(p50=p50, p99=p99))


def codes(load: Load, *rounds: Arrivals, thresholds: Thresholds = SHIPPED) -> list[Code]:
    found = objections(load, rounds, len(rounds), LATENCY, thresholds)
    return [one.code for one in found]


@pytest.mark.parametrize(
    ("load", "of", "code"),
    [
        (OPEN, KEPT, None),
        (OPEN, replace(KEPT, sent=198), None),
        (OPEN, replace(KEPT, sent=197), Code.RATE_NOT_REACHED),
        (OPEN, replace(KEPT, due=199, sent=199), None),
        (OPEN, replace(KEPT, due=198, sent=198), Code.RATE_NOT_REACHED),
        (POISSON, replace(KEPT, due=201, sent=201), None),  # later steps of flows count as well
        (POISSON, replace(KEPT, due=199, sent=199), Code.RATE_NOT_REACHED),
        (OPEN, replace(KEPT, unsent=1), Code.SCHEDULE_MISSED),
        (OPEN, late(p99=15.0), None),  # 5 ms + a tenth of the tail's 100 ms
        (OPEN, late(p99=15.1), Code.SENT_LATE),
        (OPEN, late(p50=7.0), None),  # 5 ms + a tenth of the median's 20 ms
        (OPEN, late(p50=7.1, p99=7.1), Code.SENT_LATE),
        (OPEN, replace(KEPT, late_ms=Percentiles()), None),
        (fan_out(10, 100.0), late(p99=15.1), Code.SENT_LATE),
        (closed(), replace(late(99.0, 99.0), sent=0, unsent=9), None),
        (burst(10), replace(late(99.0, 99.0), sent=0, unsent=9), None),
    ],
)
def test_each_rule_at_its_threshold(load: Load, of: Arrivals, code: Code | None) -> None:
    assert codes(load, KEPT, of) == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("load", "thresholds"),
    [
        (OPEN, replace(SHIPPED, min_send_rate=1.0)),
        (OPEN, replace(SHIPPED, lag_allowance_ms=0.0)),
        (OPEN, replace(SHIPPED, max_lag_share=0.0)),
    ],
)
def test_thresholds_are_those_that_are_given(load: Load, thresholds: Thresholds) -> None:
    barely = replace(late(p99=11.0), sent=199)
    assert codes(load, barely) == []
    assert codes(load, barely, thresholds=thresholds) != []


def test_rates_are_per_second_and_none_without_a_window() -> None:
    (rate,) = objections(OPEN, [replace(KEPT, sent=150)], 1, Percentiles(), SHIPPED)
    assert rate.values == {"sent_per_s": 75.0, "asked_per_s": 100.0, "what": "requests"}
    (none,) = objections(OPEN, [replace(KEPT, sent=150, window_s=0.0)], 1, Percentiles(), SHIPPED)
    assert (none.values["sent_per_s"], none.values["asked_per_s"]) == (0.0, 0.0)


def test_lateness_spoils_the_same_percentile_and_the_median_where_no_tail_is_known() -> None:
    (tail,) = objections(OPEN, [late(9.0, 16.0)], 1, LATENCY, SHIPPED)
    assert tail.values == {"late_ms": 16.0, "what": "requests", "percentile": "p99"}
    (median,) = objections(OPEN, [late(9.0, 14.0)], 1, LATENCY, SHIPPED)
    assert median.values == {"late_ms": 9.0, "what": "requests", "percentile": "p50"}
    untailed = replace(LATENCY, p99=None)
    assert not list(objections(OPEN, [late(p99=7.0)], 1, untailed, SHIPPED))
    assert list(objections(OPEN, [late(p99=7.1)], 1, untailed, SHIPPED))
    assert list(objections(OPEN, [late(p99=5.05)], 1, Percentiles(), SHIPPED))


def test_lateness_is_that_of_each_percentile() -> None:
    rows = [sample(sent_ms=10 * n, took_ms=1, waited_ms=n + 1) for n in range(200)]
    found = arrivals(200.0, report(2.0), frame(rows)).late_ms
    assert [found.p50, found.p99] == pytest.approx([100, 198])
    assert arrivals(200.0, report(2.0), frame([])).late_ms == Percentiles()


def test_lateness_that_comes_from_waiting_is_bounded_and_no_objection() -> None:
    rows = [sample(sent_ms=30, took_ms=1, waited_ms=20)]
    waits = [Wait(START + 9 * MS, START + 31 * MS, 15 * MS)]
    found = arrivals(1.0, report(2.0, waited_s=0.015, waits=waits), frame(rows)).late_ms
    assert found.p50 == pytest.approx(5.0)


def test_what_was_refused_was_in_time_and_what_was_sent_after_the_window_was_not() -> None:
    rows = [
        sample(sent_ms=0, took_ms=10),
        sample(sent_ms=2500, took_ms=10, waited_ms=600),
        sample(sent_ms=2500, took_ms=0, waited_ms=550, error="refused"),
    ]
    found = arrivals(200.0, report(2.0, unsent=4), frame(rows), others=3)
    assert (found.planned, found.due, found.sent, found.unsent) == (200.0, 10, 5, 4)
    assert found.window_s == 2.0
    assert found.late_ms.p99 == pytest.approx(600.0, abs=2.0)


@pytest.mark.parametrize(("waited_ms", "sent"), [(0, 0), (10, 0), (11, 1)])
def test_request_that_only_waiting_kept_beyond_the_window_was_sent_in_it(
    waited_ms: int, sent: int
) -> None:
    rows = [sample(sent_ms=2010, took_ms=1, waited_ms=20)]
    waits = [Wait(START + 1990 * MS, START + 2010 * MS, waited_ms * MS)]
    found = arrivals(1.0, report(2.0, waited_s=0.02, waits=waits), frame(rows))
    assert (found.due, found.sent) == (1, sent)


@pytest.mark.parametrize("load", [OPEN, ramp(50.0, 150.0, 2.0), fan_out(10, 100.0)])
def test_evenly_spaced_arrivals_are_planned_by_their_rate_whatever_the_seed(load: Load) -> None:
    assert planned(load, 1, "crud", 0) == planned(load, 2, "wait", 3) == pytest.approx(200.0)


def test_poisson_arrivals_are_planned_by_their_seed() -> None:
    """As the driver draws them: those of the warm-up are none of the window."""
    times = list(arrival_times(POISSON, Random("7/crud/2/pacing")))
    inside = [at for at in times if 0.5 <= at < 2.5]
    assert len(times) > len(inside) > 150
    assert planned(POISSON, 7, "crud", 2) == len(inside)
    others = [(8, "crud", 2), (7, "wait", 2), (7, "crud", 3)]
    assert len({planned(POISSON, *one) for one in others} - {len(inside)}) > 1
