"""Whether the driver kept its schedule: at the thresholds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.analysis.schedule import Arrivals, arrivals, objections
from loopmark.harness.vocabulary.cell import ObjectionCode as Code
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds
from tests.harness.builders import burst, closed, fan_out, frame, open_, report, sample

OPEN = open_(100.0, 2.0)
POISSON = replace(OPEN, arrivals="poisson")
KEPT = Arrivals(planned=200.0, due=200, sent=200, unsent=0, window_s=2.0, late_ms=1.0)


def codes(load: Load, *rounds: Arrivals, thresholds: Thresholds = SHIPPED) -> list[Code]:
    found = objections(load, rounds, len(rounds), 20.0, thresholds)
    return [one.code for one in found]


@pytest.mark.parametrize(
    ("load", "of", "code"),
    [
        (OPEN, KEPT, None),
        (OPEN, replace(KEPT, sent=198), None),
        (OPEN, replace(KEPT, sent=197), Code.RATE_NOT_REACHED),
        (OPEN, replace(KEPT, due=199, sent=199), None),
        (OPEN, replace(KEPT, due=198, sent=198), Code.RATE_NOT_REACHED),
        (POISSON, replace(KEPT, due=143, sent=143), None),  # 200 - 1 - 4 x sqrt(200) = 142.4
        (POISSON, replace(KEPT, due=142, sent=142), Code.RATE_NOT_REACHED),
        (OPEN, replace(KEPT, unsent=1), Code.SCHEDULE_MISSED),
        (OPEN, replace(KEPT, late_ms=7.0), None),  # 5 ms + a tenth of 20 ms
        (OPEN, replace(KEPT, late_ms=7.1), Code.SENT_LATE),
        (OPEN, replace(KEPT, late_ms=None), None),
        (fan_out(10, 100.0), replace(KEPT, late_ms=7.1), Code.SENT_LATE),
        (closed(), replace(KEPT, sent=0, unsent=9, late_ms=99.0), None),
        (burst(10), replace(KEPT, sent=0, unsent=9, late_ms=99.0), None),
    ],
)
def test_each_rule_at_its_threshold(load: Load, of: Arrivals, code: Code | None) -> None:
    assert codes(load, KEPT, of) == ([] if code is None else [code])


@pytest.mark.parametrize(
    ("load", "thresholds"),
    [
        (OPEN, replace(SHIPPED, min_send_rate=1.0)),
        (POISSON, replace(SHIPPED, schedule_sigmas=0.0)),
        (OPEN, replace(SHIPPED, lag_allowance_ms=0.0)),
        (OPEN, replace(SHIPPED, max_lag_share=0.0)),
    ],
)
def test_thresholds_are_those_that_are_given(load: Load, thresholds: Thresholds) -> None:
    due = 190 if load is POISSON else 200
    barely = replace(KEPT, due=due, sent=due * 995 // 1000, late_ms=6.0)
    assert codes(load, barely) == []
    assert codes(load, barely, thresholds=thresholds) != []


def test_rates_are_per_second_and_none_without_a_window() -> None:
    (rate,) = objections(OPEN, [replace(KEPT, sent=150)], 1, None, SHIPPED)
    assert rate.values == {"sent_per_s": 75.0, "asked_per_s": 100.0, "what": "requests"}
    late = replace(KEPT, late_ms=5.05)
    assert [one.code for one in objections(OPEN, [late], 1, None, SHIPPED)] == [Code.SENT_LATE]
    (none,) = objections(OPEN, [replace(KEPT, sent=150, window_s=0.0)], 1, None, SHIPPED)
    assert (none.values["sent_per_s"], none.values["asked_per_s"]) == (0.0, 0.0)


def test_lateness_is_that_of_the_99th_of_a_hundred() -> None:
    rows = [sample(sent_ms=10 * n, took_ms=1, waited_ms=n + 1) for n in range(200)]
    assert arrivals(OPEN, report(2.0), frame(rows)).late_ms == pytest.approx(198)


def test_what_was_refused_was_in_time_and_what_was_sent_after_the_window_was_not() -> None:
    rows = [
        sample(sent_ms=0, took_ms=10),
        sample(sent_ms=2500, took_ms=10, waited_ms=600),
        sample(sent_ms=2500, took_ms=0, waited_ms=550, error="refused"),
    ]
    found = arrivals(OPEN, report(2.0, unsent=4), frame(rows), others=3)
    assert (found.planned, found.due, found.sent, found.unsent) == (200.0, 10, 5, 4)
    assert found.window_s == 2.0
    assert found.late_ms == pytest.approx(600.0, abs=2.0)
