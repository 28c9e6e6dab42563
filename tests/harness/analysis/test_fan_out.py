"""Fan-outs: the outcome of publications, the knee of steps, and reasons against cells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from loopmark.harness.analysis import summaries
from loopmark.harness.vocabulary.figures import FanOutFigures, Figures
from loopmark.harness.vocabulary.job import DriverReport, FanOutReport
from loopmark.harness.vocabulary.load import EventLoad
from loopmark.harness.vocabulary.record import TargetReading
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import DELIVERY_STEP, SLOW_DELIVERY_STEP, ErrorKind
from loopmark.reports.objections import sentences
from tests.harness import builders
from tests.harness.builders import (
    START,
    by_round,
    cell,
    fan_out_report,
    fan_out_steps,
    fanned_out,
    frame,
    published,
    reading,
    record,
    report,
    sample,
)

Rows = list[dict[str, Any]]

LOAD = builders.fan_out(clients=10, rate=20.0, duration_s=2.0)
STEPS = fan_out_steps(20.0, 40.0, 80.0, 160.0)


def summary(
    load: EventLoad,
    rows: Rows,
    *,
    said: FanOutReport | None = None,
    driver: DriverReport | None = None,
    target: tuple[TargetReading, ...] = (),
) -> CellResult:
    """One round; the driver says what the rows show unless it is said what else."""
    end = START + round(load.measured_s * 1e9)
    inside = [row for row in rows if START <= row["due_ns"] < end and row["step"] == "publish"]
    right = sum(row["error"] == "" for row in inside)
    said = said or fan_out_report(right, failed=len(inside) - right)
    driver = replace(driver or report(load.measured_s), fan_out=said)
    return summaries.summarise(
        cell(load=load), [record(0, driver, target=target)], by_round(frame(rows)), ()
    )


def figures(of: CellResult) -> Figures:
    return of.figures_despite(of.validity)


def fanned(of: CellResult) -> FanOutFigures:
    found = figures(of).fan_out
    assert found is not None
    return found


def deliveries(rows: Rows) -> Rows:
    return [row for row in rows if row["step"] == DELIVERY_STEP]


def with_error(rows: Rows, kind: str, which: Callable[[int], bool]) -> Rows:
    """The same rows, some of whose deliveries have gone wrong."""
    found, number = [], 0
    for row in rows:
        if row["step"] == DELIVERY_STEP:
            found.append(row | {"error": kind} if which(number) else row)
            number += 1
        else:
            found.append(row)
    return found


# ---- figures ----


def test_everybody_hears_everything_once_and_in_order() -> None:
    found = summary(LOAD, fanned_out(LOAD))
    assert found.validity.is_valid, sentences(found.validity)
    of = fanned(found)
    assert (of.published, of.expected, of.received, of.reach) == (40, 400, 400, 1.0)
    assert (of.duplicates, of.out_of_order, of.reconnects, of.dropped) == (0, 0, 0, 0)
    assert of.delivered_per_s == pytest.approx(200)
    assert of.spread_ms.max == pytest.approx(0.9)
    assert of.connect_ms.max == pytest.approx(3.0)
    assert of.driver_cpu_us == pytest.approx(0.2e6 / 400)


def test_latency_counts_from_the_emission_and_response_from_due() -> None:
    measured = figures(summary(LOAD, fanned_out(LOAD)))
    assert measured.latency_ms == measured.service_ms
    assert measured.latency_ms.max == pytest.approx(5.9)
    assert measured.response_ms.max == pytest.approx(7.9)
    assert (measured.requests, measured.errors) == (400, 0)
    assert measured.throughput_rps == pytest.approx(200)
    assert measured.offered_rps == pytest.approx(20)


def test_every_step_is_in_the_table_of_steps_and_only_deliveries_in_the_figures() -> None:
    load = builders.fan_out(clients=10, slow=2, http_users=1)
    rows = fanned_out(load)
    rows += [
        sample(sent_ms=at + 0.3, took_ms=40, step="read", user=99) for at in range(0, 2000, 50)
    ]
    rows += [sample(sent_ms=at, took_ms=900, step=SLOW_DELIVERY_STEP, user=8) for at in (5, 9)]
    measured = figures(summary(load, rows))
    steps = {one.step: one for one in measured.steps}
    assert {name: one.requests for name, one in steps.items()} == {
        "connect": 10,
        "publish": 40,
        "deliver": 320,
        "deliver-slow": 2,
        "read": 40,
    }
    assert steps["read"].latency_ms.p50 == pytest.approx(40)
    assert measured.requests == 320
    assert measured.latency_ms.max is not None
    assert measured.latency_ms.max < 10


def test_what_is_due_in_the_window_counts_whenever_it_is_heard() -> None:
    rows = published(-10, 10) + published(0, 10) + published(1990, 10, heard_ms=300)
    rows += published(2000, 10)
    found = summary(LOAD, rows)
    assert fanned(found).expected == 20
    # The first of these was heard within the window, and the last of them was not.
    assert figures(found).throughput_rps == pytest.approx(10 / 2)


def test_cpu_is_per_delivery_heard_in_the_window() -> None:
    readings = (reading(-100, 0), reading(2100, 220))
    measured = figures(summary(LOAD, fanned_out(LOAD), target=readings))
    assert measured.target_use.cpu_ms_per_request == pytest.approx(200 / 400)
    assert measured.per_round[0].cpu_ms_per_request == pytest.approx(200 / 400)


def test_memory_per_connection_grows_from_the_first_reading_to_the_start_of_the_window() -> None:
    readings = (
        reading(-2000, 0, rss_mib=100),
        reading(-900, 0, rss_mib=102),
        reading(-20, 0, rss_mib=105),
        reading(400, 0, rss_mib=150),
        reading(2100, 0, rss_mib=150),
    )
    assert fanned(summary(LOAD, fanned_out(LOAD), target=readings)).kib_per_connection == (
        pytest.approx(5 * 1024 / 10)
    )
    for few in ((), readings[:1], readings[3:]):
        assert fanned(summary(LOAD, fanned_out(LOAD), target=few)).kib_per_connection is None


def test_drops_are_those_of_the_target_while_the_clients_were_connected() -> None:
    for dropped in (0, 12, None):
        said = fan_out_report(40, dropped=dropped)
        assert fanned(summary(LOAD, fanned_out(LOAD), said=said)).dropped == dropped
    halfway = replace(fan_out_report(40), before=None)
    assert fanned(summary(LOAD, fanned_out(LOAD), said=halfway)).dropped is None


def test_rounds_are_added_up() -> None:
    rows = [row for n in range(3) for row in fanned_out(LOAD, round_number=n)]
    driver = replace(report(), fan_out=fan_out_report(40, closed=1, slow_heard=2, dropped=3))
    found = summaries.summarise(
        cell(load=LOAD, rounds=3), [record(n, driver) for n in range(3)], by_round(frame(rows)), ()
    )
    assert found.validity.is_valid, sentences(found.validity)
    of = fanned(found)
    assert (of.published, of.expected, of.closed, of.slow_heard, of.dropped) == (120, 1200, 3, 6, 9)
    assert of.delivered_per_s == pytest.approx(200)
    assert figures(found).latency_ci_from == "rounds"


# ---- reasons against a cell ----


def test_a_delivery_that_did_not_come_is_told_with_the_reach() -> None:
    found = summary(LOAD, with_error(fanned_out(LOAD), ErrorKind.MISSING, lambda n: n == 7))
    assert found.validity.state == "errors"
    assert sentences(found.validity) == ("1 delivery is missing (reach 99.75%)",)
    of = fanned(found)
    assert (of.expected, of.received, of.reach) == (400, 399, 399 / 400)
    assert figures(found).errors == 1


def test_duplicates_and_wrong_order_are_objections_and_no_losses() -> None:
    rows = fanned_out(LOAD)
    again = [row | {"error": ErrorKind.DUPLICATE} for row in deliveries(rows)[:2]]
    rows = with_error(rows, ErrorKind.OUT_OF_ORDER, lambda n: n == 50)
    found = summary(LOAD, rows + again)
    of = fanned(found)
    assert (of.expected, of.received, of.reach) == (400, 400, 1.0)
    assert (of.duplicates, of.out_of_order) == (2, 1)
    assert found.validity.state == "errors"
    assert found.error_kinds == {"duplicate": 2, "out-of-order": 1}
    assert len(sentences(found.validity)) == 2


def test_clients_that_read_and_had_to_connect_again_are_an_objection() -> None:
    found = summary(LOAD, fanned_out(LOAD), said=fan_out_report(40, reconnects=2))
    assert found.validity.state == "errors"
    assert "active clients reconnected 2 times" in sentences(found.validity)[0]


def test_nothing_of_those_that_do_not_read_is_held_against_a_cell() -> None:
    load = builders.fan_out(clients=10, slow=2, stalled=1)
    rows = fanned_out(load)
    rows += [
        sample(sent_ms=at, took_ms=1900, step=SLOW_DELIVERY_STEP, user=8, error=error)
        for at, error in ((5, ""), (9, ErrorKind.OUT_OF_ORDER), (12, ErrorKind.MISSING))
    ]
    said = fan_out_report(40, slow_heard=1, closed=3, dropped=70)
    found = summary(load, rows, said=said)
    assert found.validity.is_valid, sentences(found.validity)
    assert (fanned(found).closed, fanned(found).dropped) == (3, 70)


def test_delivery_without_a_sample_is_missed() -> None:
    rows = fanned_out(LOAD)
    rows.remove(deliveries(rows)[5])
    found = summary(LOAD, rows)
    assert found.validity.state == "too-few-samples"
    assert sentences(found.validity) == ("1 sample that the driver recorded is missing",)


def test_driver_that_does_not_say_what_it_published_is_not_believed() -> None:
    rows = fanned_out(LOAD)
    found = summaries.summarise(cell(load=LOAD), [record(0, report())], by_round(frame(rows)), ())
    assert found.validity.state == "driver-limited"
    assert figures(found).fan_out is None


def test_driver_that_publishes_too_seldom_is_limited() -> None:
    rows = [row for number in range(30) for row in published(number * 50, 10)]
    found = summary(LOAD, rows)
    assert found.validity.state == "driver-limited"
    assert "sent 15 of 20 scheduled publications per second" in sentences(found.validity)[0]


def test_driver_that_publishes_late_is_limited() -> None:
    rows = [row for number in range(40) for row in published(number * 50, 10, late_ms=20)]
    found = summary(LOAD, rows)
    assert found.validity.state == "driver-limited"
    assert "publications were sent 20.0 ms late" in sentences(found.validity)[0]
    assert figures(found).driver_use.send_spread_ms == pytest.approx(20)


def refusal(due_ms: float) -> dict[str, Any]:
    return sample(sent_ms=due_ms, took_ms=0, step="arrival", error=ErrorKind.REFUSED)


def test_publication_that_found_all_publishers_under_way_is_an_objection_to_the_target() -> None:
    rows = [row for n in range(30) for row in published(n * 50, 10)]
    found = summary(LOAD, rows + [refusal(n * 50) for n in range(30, 40)])
    assert found.validity.state == "errors"
    assert sentences(found.validity) == ("10 publications were refused: 32 were already in flight",)
    assert figures(found).offered_rps == pytest.approx(20)
    assert figures(found).refused == 10
    assert fanned(found).reach == 1.0


def test_refused_publications_beyond_the_knee_are_the_finding() -> None:
    rows = [row for row in fanned_out(STEPS) if row["due_ns"] < START + 3 * 10**9]
    rows += [refusal(3000 + n * 1e3 / 160) for n in range(160)]
    found = summary(STEPS, rows)
    assert found.validity.is_valid, sentences(found.validity)
    assert figures(found).knee_rps == 80
    assert figures(found).stages[3].errors == 160


def test_what_is_heard_of_a_publication_that_failed_is_no_second_publication() -> None:
    rows = fanned_out(LOAD)
    rows = [
        row | {"error": "timeout"} if row["step"] == "publish" and n < 30 else row
        for n, row in enumerate(rows)
    ]
    failed = sum(row["error"] == "timeout" for row in rows)
    assert failed == 2
    found = summary(LOAD, rows)
    assert figures(found).offered_rps == pytest.approx(20)
    assert sentences(found.validity) == ("2 requests or connections failed: timeout",)


def test_growing_response_times_are_unsteady() -> None:
    rows = [row for n in range(40) for row in published(n * 50, 10, emit_ms=2 + n * 5)]
    assert summary(LOAD, rows).validity.state == "unsteady"


# ---- steps ----


def delayed(rate: float, *, limit: float = 60.0) -> float:
    """Beyond the limit everything is heard half a second late."""
    return 5.0 if rate <= limit else 500.0


def test_knee_is_the_last_rate_at_which_everybody_heard_all_in_time() -> None:
    found = summary(STEPS, fanned_out(STEPS, heard_ms=delayed))
    measured = figures(found)
    assert measured.knee_rps == 40
    assert [one.kept_up for one in measured.stages] == [True, True, False, False]
    assert [one.rate for one in measured.stages] == [20, 40, 80, 160]
    assert [one.offered_rps for one in measured.stages] == pytest.approx([200, 400, 800, 1600])
    assert [one.answered_rps for one in measured.stages] == pytest.approx([200, 400, 800, 1600])
    assert found.validity.is_valid, sentences(found.validity)


def test_knee_counts_from_the_moment_a_publication_was_due() -> None:
    load = fan_out_steps(20.0, 40.0)
    rows = [row for n in range(20) for row in published(n * 50, 10)]
    rows += [row for n in range(40) for row in published(1000 + n * 25, 10, emit_ms=120)]
    found = figures(summary(load, rows))
    assert found.knee_rps == 20
    assert found.latency_ms.max is not None
    assert found.latency_ms.max < 10, "of the emission nobody would have noticed it"


def test_one_that_is_missing_ends_it_and_is_the_finding() -> None:
    rows = with_error(fanned_out(STEPS), ErrorKind.MISSING, lambda n: n == 200 + 400 + 5)
    found = summary(STEPS, rows)
    assert figures(found).knee_rps == 40
    assert found.error_kinds == {"missing": 1}
    assert found.validity.is_valid, sentences(found.validity)


def test_one_in_a_hundred_may_be_late_and_no_more() -> None:
    load = fan_out_steps(50.0, 100.0)  # 500 and 1,000 deliveries
    for late, limit in ((10, None), (11, 50.0)):
        rows = fanned_out(load)
        for row in deliveries(rows)[500 : 500 + late]:
            row["done_ns"] += 95_000_000
        assert figures(summary(load, rows)).knee_rps == limit


def test_publications_that_fail_beyond_the_knee_are_the_finding() -> None:
    rows = fanned_out(STEPS)
    lost = max(row["due_ns"] for row in rows)
    rows = [row for row in rows if not (row["due_ns"] == lost and row["step"] == DELIVERY_STEP)]
    rows = [row | {"error": "timeout"} if row["due_ns"] == lost else row for row in rows]
    found = summary(STEPS, rows)
    assert figures(found).knee_rps == 80
    assert found.validity.is_valid, sentences(found.validity)


@pytest.mark.parametrize("kind", sorted(ErrorKind.MISDELIVERED))
def test_duplicates_and_wrong_order_are_objections_at_any_rate(kind: str) -> None:
    rows = fanned_out(STEPS, heard_ms=delayed)
    rows.append(deliveries(rows)[-1] | {"error": kind})
    assert summary(STEPS, rows).validity.state == "errors"


def test_target_that_keeps_up_with_all_or_with_none() -> None:
    found = summary(STEPS, fanned_out(STEPS))
    assert figures(found).knee_rps is None
    assert found.validity.is_valid, sentences(found.validity)
    found = summary(STEPS, fanned_out(STEPS, heard_ms=lambda _: 500.0))
    assert figures(found).knee_rps == 0
    assert found.validity.is_valid, "the yardstick is 100 ms and no stage"
    missed = with_error(fanned_out(STEPS), ErrorKind.MISSING, lambda n: n in (0, 900))
    found = summary(STEPS, missed)
    assert sentences(found.validity) == ("1 delivery is missing",), "that of the slowest stage"


@pytest.mark.parametrize(("limit", "state"), [(60.0, "valid"), (1000.0, "errors")])
def test_who_has_to_connect_again_beyond_the_knee_is_part_of_the_finding(
    limit: float, state: str
) -> None:
    rows = fanned_out(STEPS, heard_ms=lambda rate: delayed(rate, limit=limit))
    found = summary(STEPS, rows, said=fan_out_report(300, reconnects=1))
    assert found.validity.state == state


@pytest.mark.parametrize(
    ("rates", "late", "knee"),
    [
        ((50.0, 100.0, 100.0), {2}, 50),
        ((50.0, 100.0, 100.0), {1}, 50),
        ((100.0, 50.0, 100.0), {0}, 50),
        ((100.0, 100.0), {1}, 0),
        ((100.0, 50.0), {0}, 50),
        ((50.0, 100.0, 50.0), {2}, 0),
        ((100.0, 100.0), set(), None),
    ],
)
def test_rate_is_kept_up_with_where_each_stage_of_it_is(
    rates: tuple[float, ...], late: set[int], knee: float | None
) -> None:
    load = fan_out_steps(*rates)
    rows = fanned_out(load)
    for row in rows:
        if row["step"] == DELIVERY_STEP and (row["due_ns"] - START) // 10**9 in late:
            row["done_ns"] += 500_000_000
    found = summary(load, rows)
    assert figures(found).knee_rps == knee
    assert [number for number, one in enumerate(figures(found).stages) if not one.kept_up] == [
        *late
    ]
    assert found.validity.is_valid, sentences(found.validity)


def test_what_fails_in_a_stage_is_the_finding_though_its_rate_was_once_kept_up_with() -> None:
    load = fan_out_steps(50.0, 100.0, 100.0)
    found = summary(load, with_error(fanned_out(load), ErrorKind.MISSING, lambda n: n == 1600))
    assert figures(found).knee_rps == 50
    assert found.error_kinds == {"missing": 1}
    assert found.validity.is_valid, sentences(found.validity)


# ---- a large one ----


def test_four_hundred_thousand_deliveries_are_no_matter_of_minutes() -> None:
    clients, rate, duration_s = 1000, 40, 10
    due = START + np.repeat(np.arange(rate * duration_s) * (10**9 // rate), clients + 1)
    place = np.tile(np.arange(-1, clients), rate * duration_s)
    sent = due + np.where(place < 0, 0, 2_000_000)
    rows = pd.DataFrame(
        {
            "round": 0,
            "user": place.astype(np.int32),
            "step": pd.Categorical(np.where(place < 0, "publish", DELIVERY_STEP)),
            "due_ns": due,
            "sent_ns": sent,
            "connected_ns": 0,
            "first_byte_ns": sent,
            "done_ns": sent + 5_000_000 + np.maximum(place, 0) * 20_000,
            "status": 200,
            "error": pd.Categorical([""] * len(due)),
        }
    )
    load = builders.fan_out(clients, rate, duration_s)
    driver = replace(report(duration_s), fan_out=fan_out_report(rate * duration_s))
    start = time.perf_counter()
    found = summaries.summarise(cell(load=load), [record(0, driver)], lambda _: rows, ())
    assert time.perf_counter() - start < 30
    assert found.validity.is_valid, sentences(found.validity)
    assert fanned(found).received == 400_000
    assert fanned(found).spread_ms.p50 == pytest.approx(19.98)
