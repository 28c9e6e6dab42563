"""Summaries of made-up samples and records whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis import audits, latencies, rounds, summaries
from loopmark.harness.vocabulary.cell import Cell, ObjectionCode
from loopmark.harness.vocabulary.figures import (
    AuditResult,
    DriverUse,
    Figures,
    PercentileIntervals,
    Percentiles,
)
from loopmark.harness.vocabulary.job import DriverReport, WorkerReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.record import (
    AuditCount,
    ConnectionsLeft,
    RoundRecord,
    TargetReading,
)
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import SUMMARISED, ErrorKind
from loopmark.harness.vocabulary.scenario import Audit
from loopmark.harness.vocabulary.thresholds import SHIPPED
from loopmark.reports.objections import sentences
from tests.harness.builders import (
    MS,
    START,
    burst,
    by_round,
    cell,
    closed,
    frame,
    open_,
    population,
    reading,
    record,
    report,
    sample,
    steady,
)

Rows = list[dict[str, Any]]

CREATED = Audit("resources", "SELECT 1", {"create": 1})
CRUD = Audit("accounts", "SELECT 1", {"create": 1, "delete": -1})


@dataclass(frozen=True)
class Summary:
    """A cell and its figures side by side, to look at whatever its validity."""

    cell: CellResult

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the field is
        figures: Figures = self.cell.figures_despite(self.cell.validity)
        return getattr(figures if hasattr(figures, name) else self.cell, name)


def summarise(
    of: Cell, records: Sequence[RoundRecord], samples: pd.DataFrame, asked: Sequence[Audit]
) -> Summary:
    return Summary(summaries.summarise(of, records, by_round(samples), asked))


def burst_rows(took_ms: Sequence[float], round_number: int = 0) -> Rows:
    return [sample(sent_ms=0, took_ms=one, round_number=round_number) for one in took_ms]


def burst_cell(*took_ms: Sequence[float]) -> Summary:
    """The summary of a burst with a round for each sequence of latencies."""
    rows = [row for n, one in enumerate(took_ms) for row in burst_rows(one, n)]
    records = [record(n, report(max(one) / 1e3)) for n, one in enumerate(took_ms)]
    load = burst(len(took_ms[0]))
    return summarise(cell(load=load, rounds=len(took_ms)), records, frame(rows), ())


def closed_cell(
    rows: Rows,
    *,
    driver: DriverReport | None = None,
    target: Sequence[TargetReading] = (),
    loop_lag: Sequence[tuple[int, int]] = (),
    users: int = 10,
) -> Summary:
    """The summary of one round of two seconds."""
    records = [record(0, driver or report(), target=target, loop_lag=loop_lag)]
    return summarise(cell(load=closed(users)), records, frame(rows), ())


# ---- bursts ----


def test_makespan_of_a_burst_counts_from_the_common_due_moment() -> None:
    rows = [sample(sent_ms=n, took_ms=500, waited_ms=n) for n in range(10)]
    found = summarise(cell(load=burst(10)), [record(0, report(0.509))], frame(rows), ())
    assert found.makespan_s == pytest.approx(0.509)
    assert found.throughput_rps == pytest.approx(10 / 0.509)
    assert found.latency_ms.max == pytest.approx(509)
    assert found.driver_use.send_spread_ms == pytest.approx(9)
    assert found.driver_use.late_sends == pytest.approx(0.8)
    assert (found.requests, found.errors, found.rounds) == (10, 0, 1)
    assert found.validity.is_valid


def test_makespan_of_a_burst_is_the_median_of_the_rounds_with_their_interval() -> None:
    found = burst_cell([100, 1000], [100, 2000], [100, 1500])
    assert found.makespan_s == pytest.approx(1.5)
    assert found.makespan_s_ci is not None
    assert found.makespan_s_ci[0] < 1.0
    assert found.makespan_s_ci[1] > 2.0
    assert [one.makespan_s for one in found.per_round] == pytest.approx([1.0, 2.0, 1.5])


def test_makespan_of_a_single_round_has_no_interval() -> None:
    found = burst_cell([100, 1000])
    assert found.makespan_s == pytest.approx(1.0)
    assert found.makespan_s_ci is None
    assert found.throughput_rps_ci is None


def test_answer_at_the_very_end_of_a_burst_counts() -> None:
    assert burst_cell([10] * 19 + [500]).requests == 20


def test_burst_that_was_sent_too_slowly_is_the_drivers_fault() -> None:
    rows = [sample(sent_ms=100 * n, took_ms=100, waited_ms=100 * n) for n in range(10)]
    found = summarise(cell(load=burst(10)), [record(0, report(1.0))], frame(rows), ())
    assert found.validity.state == "driver-limited"


# ---- closed loads ----


def test_closed_load_counts_what_was_answered_within_the_window() -> None:
    rows = [
        sample(sent_ms=-10, took_ms=9),  # answered before the window
        sample(sent_ms=-10, took_ms=10),  # at its first moment
        sample(sent_ms=-10, took_ms=20),  # sent before it, answered within
        sample(sent_ms=500, took_ms=20),
        sample(sent_ms=500, took_ms=20, error=ErrorKind.TIMEOUT),
        sample(sent_ms=1990, took_ms=10),  # answered when it was over
        sample(sent_ms=1990, took_ms=50, error=ErrorKind.RESET),
    ]
    found = closed_cell(rows)
    assert (found.requests, found.errors) == (4, 1)
    assert found.throughput_rps == pytest.approx(3 / 2.0)
    assert found.latency_ms.max == pytest.approx(20)
    assert found.makespan_s is None
    assert [one.requests for one in found.steps] == [4]


def test_steady_closed_load_is_valid_and_keeps_littles_law() -> None:
    found = closed_cell(steady(10, 2.0, 20.0, lead_ms=500))
    assert found.validity.is_valid
    assert found.requests == pytest.approx(10 * 2000 / 20, abs=10)
    assert found.throughput_rps == pytest.approx(500, rel=0.02)
    known = (found.latency_ms.p50, found.latency_ms.p90, found.latency_ms.p95)
    assert (*known, found.latency_ms.max) == pytest.approx((20,) * 4)


def test_users_who_pause_break_littles_law() -> None:
    rows = steady(5, 2.0, 8.0, lead_ms=100)
    assert closed_cell(rows, users=10).validity.state == "littles-law"


def test_target_that_slows_down_is_unsteady() -> None:
    rows = steady(10, 1.0, 10.0, lead_ms=100)
    rows += [sample(sent_ms=1000 + 100 * n, took_ms=100) for n in range(10) for _ in range(10)]
    assert closed_cell(rows).validity.state == "unsteady"


def test_target_that_answers_only_in_the_second_half_is_unsteady() -> None:
    late = [sample(sent_ms=1500, took_ms=20) for _ in range(40)]
    even = steady(10, 2.0, 20.0, lead_ms=100)
    rows = [
        row | {"round": n} for n, round_rows in enumerate([late, late, even]) for row in round_rows
    ]
    records = [record(n, report()) for n in range(3)]
    found = summarise(cell(load=closed(), rounds=3), records, frame(rows), ())
    assert found.validity.state == "unsteady"


def test_round_without_a_right_answer_is_neither_steady_nor_not() -> None:
    failed = frame([row | {"error": "reset"} for row in steady(10, 2.0, 20.0)])
    for load, samples in ((closed(), failed), (population(None), frame(steady(10, 2.0, 20.0)))):
        found = rounds.measured_round(load, record(), report(), samples, SHIPPED, 0.0)
        assert (found.halves, found.cut, found.trend) == (None, None, None)


@given(
    st.lists(
        st.tuples(
            st.floats(-1000, 2500), st.floats(0, 1000), st.sampled_from(["", "timeout", "reset"])
        ),
        max_size=20,
    )
)
def test_every_request_is_counted_once(found: list[tuple[float, float, str]]) -> None:
    rows = [sample(sent_ms=sent, took_ms=took, error=error) for sent, took, error in found]
    result = closed_cell(rows)
    end = START + 2000 * MS
    inside = [row for row in rows if START <= row["done_ns"] < end]
    assert result.requests == len(inside)
    assert result.errors == sum(row["error"] != "" for row in inside)
    assert sum(one.requests for one in result.steps) == result.requests
    assert sum(one.errors for one in result.steps) == result.errors
    assert sum(result.error_kinds.values()) == sum(row["error"] != "" for row in rows)
    if any(row["error"] for row in rows):
        assert not result.validity.is_valid


# ---- open loads ----


def open_cell(rows: Rows, load: Load | None = None, unsent: int = 0) -> Summary:
    of = cell(load=load or open_(100.0, 2.0))
    return summarise(of, [record(0, report(unsent=unsent))], frame(rows), ())


def arrivals(took_ms: float = 20.0, waited_ms: float = 0.0) -> Rows:
    """A hundred per second from half a second before the window."""
    return [sample(sent_ms=10 * n, took_ms=took_ms, waited_ms=waited_ms) for n in range(-50, 200)]


def test_open_load_counts_what_was_due_in_the_window_whenever_it_was_answered() -> None:
    rows = [
        sample(sent_ms=5, took_ms=10, waited_ms=10),  # due before the window
        sample(sent_ms=10, took_ms=10, waited_ms=10),  # at its first moment
        sample(sent_ms=1990, took_ms=500),  # answered after it
        sample(sent_ms=2100, took_ms=1, waited_ms=200),  # sent after it
        sample(sent_ms=2000, took_ms=1),  # due at its end
    ]
    found = open_cell(rows)
    assert (found.requests, found.errors) == (3, 0)
    assert found.throughput_rps == pytest.approx(2 / 2.0)  # answered within the window
    assert found.offered_rps == pytest.approx(3 / 2.0)
    assert found.response_ms.max == pytest.approx(500)


def test_steady_open_load_is_valid() -> None:
    found = open_cell(arrivals(waited_ms=1.0))
    assert found.validity.is_valid, sentences(found.validity)
    assert found.offered_rps == pytest.approx(100, rel=0.01)
    assert found.latency_ms.p50 == found.response_ms.p50 == pytest.approx(21)
    assert found.service_ms.p50 == pytest.approx(20)


WAITED = [sample(sent_ms=5 + n, took_ms=20, waited_ms=5, step="write") for n in range(20)]


@pytest.mark.parametrize(
    ("load", "latency_ms"),
    [(burst(20), 25.0), (open_(10.0), 25.0), (closed(), 20.0), (population(), 20.0)],
)
def test_latency_counts_from_the_same_moment_wherever_it_is_shown(
    load: Load, latency_ms: float
) -> None:
    """From due, also of a burst, whose users all arrive at its start; else from sent."""
    figures = summarise(cell(load=load), [record(0, report())], frame(WAITED), ())
    everywhere = [figures.latency_ms, figures.steps[0].latency_ms, figures.per_round[0].latency_ms]
    assert [one.p50 for one in everywhere] == pytest.approx([latency_ms] * 3)
    assert (figures.response_ms.p50, figures.service_ms.p50) == pytest.approx((25.0, 20.0))


def test_interval_of_latency_counts_from_the_moment_of_the_latency() -> None:
    rows = [
        sample(sent_ms=10, took_ms=10, waited_ms=wait, round_number=n)
        for n, wait in enumerate((0, 10, 20))
        for _ in range(20)
    ]
    records = [record(n, report()) for n in range(3)]
    found = summarise(cell(load=burst(20), rounds=3), records, frame(rows), ())
    low, high = found.latency_ms_ci.p50 or (0.0, 0.0)
    assert high / low > 2


def test_latency_of_a_closed_load_is_the_service_time() -> None:
    rows = [sample(sent_ms=n, took_ms=20, waited_ms=5) for n in range(20)]
    found = closed_cell(rows)
    assert found.latency_ms == found.service_ms
    assert found.response_ms.p50 == pytest.approx(25)


def test_stall_of_the_target_is_in_the_latency_of_what_was_due_meanwhile() -> None:
    rows = [sample(sent_ms=10 * n, took_ms=max(5, 1500 - 10 * n)) for n in range(100, 200)]
    rows += [sample(sent_ms=10 * n, took_ms=5) for n in range(-50, 100)]
    assert open_cell(rows).response_ms.p90 == pytest.approx(300)


def test_phases_are_told_apart() -> None:
    rows = [
        sample(sent_ms=3 + n, took_ms=20, waited_ms=3, first_byte_ms=15, connecting_ms=4 * (n < 30))
        for n in range(60)
    ]
    phases = open_cell(rows).phases_ms
    assert phases.to_send.p50 == pytest.approx(3)
    assert (phases.connecting.requests, phases.connecting.p50) == (30, pytest.approx(4))
    assert phases.to_first_byte.p50 == pytest.approx(11)  # 15 on a connection that was open
    assert phases.transfer.p50 == pytest.approx(5)
    assert (phases.transfer.requests, phases.transfer.p99) == (60, None)


@given(
    st.lists(
        st.tuples(st.floats(0, 50), st.floats(0, 50), st.floats(0, 50), st.floats(0, 50)),
        min_size=1,
        max_size=5,
    )
)
def test_phases_of_a_request_add_up_to_its_response(times: list[tuple[float, ...]]) -> None:
    rows = [
        sample(
            sent_ms=100,
            waited_ms=wait,
            connecting_ms=connect,
            first_byte_ms=connect + first,
            took_ms=connect + first + rest,
        )
        for wait, connect, first, rest in times
    ]
    answers = latencies.answers(frame(rows))
    parts = answers.to_send + answers.to_first_byte + answers.transfer
    assert answers.response.sum() == pytest.approx(parts.sum() + answers.connecting.sum(), abs=1e-3)
    assert (answers.response >= answers.service - 1e-9).all()


def test_refused_arrivals_are_errors_that_say_so() -> None:
    rows = arrivals()
    rows += [sample(sent_ms=10 * n, took_ms=0, error=ErrorKind.REFUSED) for n in range(20)]
    found = open_cell(rows)
    assert found.refused == found.errors == 20
    assert found.offered_rps == pytest.approx(110, rel=0.01)
    assert found.validity.state == "errors"
    assert "20 requests were refused: 256 were already in flight" in sentences(found.validity)[0]


def test_request_is_sent_late_beyond_a_millisecond() -> None:
    rows = [sample(sent_ms=9 + n, took_ms=1, waited_ms=1.0 if n < 30 else 1.01) for n in range(100)]
    assert open_cell(rows).driver_use.late_sends == pytest.approx(0.7)


def test_driver_that_sends_late_is_limited() -> None:
    assert open_cell(arrivals(waited_ms=9.0)).validity.state == "driver-limited"


def test_driver_that_did_not_get_to_all_is_limited() -> None:
    found = open_cell(arrivals(), unsent=5)
    assert found.validity.state == "driver-limited"
    assert found.offered_rps == pytest.approx(102.5)


def test_driver_that_left_arrivals_out_is_limited() -> None:
    found = open_cell(arrivals()[::2])
    assert found.validity.state == "driver-limited"
    assert "sent 50 of 100 scheduled requests per second" in sentences(found.validity)[0]


def test_target_that_falls_behind_an_open_load_is_not_steady() -> None:
    rows = [sample(sent_ms=10 * n, took_ms=10 + 5 * max(0, n)) for n in range(-50, 200)]
    assert open_cell(rows).validity.state in {"unsteady", "littles-law"}


def test_user_who_thinks_is_no_deviation_from_littles_law() -> None:
    load = Closed(users=10, duration_s=2.0, think_s=0.08)
    rows = [
        row | {"user": user}
        for user in range(10)
        for row in (sample(sent_ms=100 * n + 10 * user, took_ms=20) for n in range(-5, 20))
    ]
    found = summarise(cell(load=load), [record(0, report())], frame(rows), ())
    assert found.validity.is_valid, sentences(found.validity)
    hurried = summarise(cell(load=closed(10)), [record(0, report())], frame(rows), ())
    assert hurried.validity.state == "littles-law"


# ---- errors ----


def test_errors_are_counted_by_kind_those_outside_of_the_window_included() -> None:
    rows = steady(10, 2.0, 20.0)
    rows += [sample(sent_ms=1, took_ms=1, error=ErrorKind.TIMEOUT) for _ in range(2)]
    rows.append(sample(sent_ms=-500, took_ms=1, error=ErrorKind.WRONG_STATUS))
    found = closed_cell(rows)
    assert found.error_kinds == {ErrorKind.TIMEOUT: 2, ErrorKind.WRONG_STATUS: 1}
    assert found.errors == 2
    assert found.validity.state == "wrong-answers"


def test_failed_requests_have_no_latency() -> None:
    rows = [sample(sent_ms=n, took_ms=10) for n in range(20)]
    rows += [sample(sent_ms=n, took_ms=900, error=ErrorKind.TIMEOUT) for n in range(20)]
    found = closed_cell(rows)
    assert found.latency_ms.max == pytest.approx(10)
    assert found.throughput_rps == pytest.approx(10)


def test_error_that_only_a_round_without_an_end_saw_is_kept() -> None:
    rows = [*steady(10, 2.0, 20.0), sample(sent_ms=0, took_ms=1, error="reset", round_number=1)]
    records = [record(0, report()), record(1, state="target-died", stderr_tail="killed")]
    found = summarise(cell(load=closed(), rounds=2), records, frame(rows), ())
    assert found.error_kinds == {"reset": 1}
    assert found.errors == 0
    assert (found.rounds, len(found.per_round)) == (1, 1)
    assert found.stderr_tail == "killed"
    assert found.validity.state == "target-died"
    assert len(sentences(found.validity)) == 2


def test_a_target_that_was_not_ready_is_invalid_for_what_it_lacked() -> None:
    tail = "mine ended at its start: KeyError: 'x' (app.py:3)\nTraceback\n[exit code 1]"
    unready = replace(record(state="target-died", stderr_tail=tail), wall_s=0.0)
    (reason,) = sentences(summarise(cell(rounds=1), [unready], frame([]), ()).validity)
    assert reason == "mine ended at its start: KeyError: 'x' (app.py:3)"


def test_a_reason_is_short_and_moves_no_terminal() -> None:
    unready = replace(record(state="target-died", stderr_tail=f"\x1b[31m{'x' * 900}"), wall_s=0.0)
    (reason,) = sentences(summarise(cell(rounds=1), [unready], frame([]), ()).validity)
    assert reason.startswith("[31mxxx")
    assert len(reason) == 301


def test_a_target_that_died_under_load_is_invalid_with_its_last_words() -> None:
    died = record(state="target-died", stderr_tail="ready\nout of memory\n[ended by signal 9]")
    (reason,) = sentences(summarise(cell(rounds=1), [died], frame([]), ()).validity)
    assert reason == "the target exited under load: out of memory [ended by signal 9]"


def test_examples_of_errors_are_joined_without_repetition() -> None:
    drivers = [
        report(examples={"timeout": ("a", "b")}),
        report(examples={"timeout": ("b", "c", "d"), "reset": ("e",)}),
    ]
    records = [record(n, driver) for n, driver in enumerate(drivers)]
    found = summarise(cell(load=closed(), rounds=2), records, frame([]), ())
    assert found.error_examples == {"timeout": ("a", "b", "c"), "reset": ("e",)}


BUSY, LOST, SLOW = (
    f"GET /x answered {code}, expected 200: {why}"
    for code, why in ((503, "no connection was free"), (502, "reset"), (504, "\x1b[31mtoo late"))
)


def failing(*statuses: int, kind: str = "server-error") -> list[dict[str, Any]]:
    """Ten right answers, and one failure of each status."""
    right = [sample(sent_ms=n, took_ms=1, status=200) for n in range(10)]
    wrong = [sample(sent_ms=n, took_ms=1, status=s, error=kind) for n, s in enumerate(statuses)]
    return right + wrong


def test_why_requests_failed_is_part_of_the_reason() -> None:
    driver = report(requests=13, examples={"server-error": (BUSY,)})
    found = summarise(cell(rounds=1), [record(0, driver)], frame(failing(503, 503, 503)), ())
    assert f"3 of 13 requests failed: {BUSY}" in sentences(found.validity)
    assert [one.name for one in found.failures] == ["server-error 503"]


def test_of_several_failures_the_reason_has_the_most_frequent_with_its_own_example() -> None:
    driver = report(requests=16, examples={"server-error": (LOST, SLOW), "timeout": ("late",)})
    rows = [
        *failing(502, 504, 504, 504),
        *(sample(sent_ms=n, took_ms=1, error="timeout") for n in range(2)),
    ]
    found = summarise(cell(rounds=1), [record(0, driver)], frame(rows), ())
    (reason,) = [one for one in sentences(found.validity) if "failed" in one]
    shown = SLOW.replace("\x1b", "")
    assert reason == f"6 of 16 requests failed, mostly: {shown}"
    assert [(one.name, one.many, one.examples) for one in found.failures] == [
        ("server-error 504", 3, (shown,)),
        ("timeout", 2, ("late",)),
        ("server-error 502", 1, (LOST,)),
    ]


def test_wrong_responses_have_their_reason_too() -> None:
    driver = report(requests=12, examples={"wrong-status": ("GET /x answered 404, expected 200",)})
    rows = frame(failing(404, 404, kind="wrong-status"))
    found = summarise(cell(rounds=1), [record(0, driver)], rows, ())
    what = "2 of 12 responses were wrong: GET /x answered 404, expected 200"
    assert what in sentences(found.validity)


def test_failures_of_several_rounds_are_added_up() -> None:
    records = [
        record(n, report(requests=12, examples={"server-error": (text,)}))
        for n, text in enumerate((LOST, BUSY))
    ]
    rows = failing(502, 503) + [row | {"round": 1} for row in failing(503, 503)]
    found = summarise(cell(rounds=2), records, frame(rows), ())
    assert f"4 of 24 requests failed, mostly: {BUSY}" in sentences(found.validity)
    assert [(one.name, one.many) for one in found.failures] == [
        ("server-error 503", 3),
        ("server-error 502", 1),
    ]


# ---- percentiles ----


@pytest.mark.parametrize(
    ("count", "known"),
    [
        (0, set()),
        (1, {"max"}),
        (19, {"max"}),
        (20, {"max", "p50"}),
        (100, {"max", "p50", "p90"}),
        (999, {"max", "p50", "p90", "p95"}),
        (1000, {"max", "p50", "p90", "p95", "p99"}),
    ],
)
def test_percentile_with_too_few_samples_is_not_told(count: int, known: set[str]) -> None:
    rows = [sample(sent_ms=n, took_ms=n + 1) for n in range(count)]
    latency = closed_cell(rows).latency_ms
    names = ("p50", "p90", "p95", "p99", "p999", "max")
    assert {name for name in names if getattr(latency, name) is not None} == known


def test_percentiles_are_those_that_their_names_say() -> None:
    found = latencies.percentiles(np.arange(1.0, 20_001.0))
    assert found == Percentiles(10_000, 18_000, 19_000, 19_800, 19_980, 20_000)


def test_percentiles_are_over_the_samples_of_all_rounds() -> None:
    found = burst_cell(list(range(1, 11)), list(range(11, 21)))
    assert found.latency_ms.p50 == pytest.approx(10)
    assert [one.latency_ms.p50 for one in found.per_round] == [None, None]


def test_interval_of_a_percentile_rests_on_the_rounds_where_there_are_several() -> None:
    found = burst_cell([10.0] * 20, [20.0] * 20, [40.0] * 20)
    assert found.latency_ci_from == "rounds"
    assert found.latency_ms.p50 == pytest.approx(20)
    interval = found.latency_ms_ci.p50
    assert interval is not None
    assert interval[0] * interval[1] == pytest.approx(400)
    assert found.latency_ms_ci.p99 is None


@pytest.mark.parametrize("rounds", [1, 2])
def test_percentile_of_fewer_than_three_rounds_has_no_interval(rounds: int) -> None:
    found = burst_cell(*[list(range(1, 41))] * rounds)
    assert found.latency_ms.p50 == pytest.approx(20)
    assert found.latency_ci_from is None
    assert found.latency_ms_ci == PercentileIntervals()


def test_no_percentile_has_no_interval() -> None:
    found = burst_cell([1.0, 2.0])
    assert found.latency_ci_from is None
    assert found.latency_ms_ci.p50 is None


# ---- rounds that do not count ----


def three_rounds(*changed: Rows) -> Summary:
    """Three rounds of a closed load that answers in 20 ms, some replaced."""
    rows = [
        row | {"round": number}
        for number in range(3)
        for row in (
            changed[number] if number < len(changed) else steady(10, 2.0, 20.0, lead_ms=500)
        )
    ]
    records = [record(number, report()) for number in range(3)]
    return summarise(cell(load=closed(10), rounds=3), records, frame(rows), ())


SLOWER = steady(10, 2.0, 40.0, lead_ms=500)


def spoiled(rows: Rows) -> Rows:
    """The same with a request that failed within the window."""
    first = next(number for number, row in enumerate(rows) if row["sent_ns"] > START)
    return [*rows[:first], rows[first] | {"error": "reset"}, *rows[first + 1 :]]


def test_figures_are_those_of_the_rounds_that_count() -> None:
    sound = three_rounds()
    found = three_rounds(spoiled(SLOWER))
    assert found.validity.is_valid
    assert [one.round for one in found.validity.rounds] == [0]
    assert [one.counts for one in found.per_round] == [False, True, True]
    assert (found.throughput_rps, found.latency_ms) == (
        sound.throughput_rps,
        replace(sound.latency_ms, p999=None, p99=found.latency_ms.p99),
    )
    assert found.latency_ms.max == pytest.approx(20)
    (step,) = found.steps
    assert step.latency_ms.max == pytest.approx(20)
    # What was measured is counted all the same.
    assert found.requests == step.requests == sum(one.requests for one in found.per_round)
    assert found.errors == step.errors == 1
    assert found.error_kinds == {"reset": 1}
    assert found.rounds == 3


def test_resources_are_those_of_the_rounds_that_count() -> None:
    good = steady(10, 2.0, 20.0, lead_ms=500)
    rows = [row | {"round": n} for n, one in enumerate([spoiled(good), good, good]) for row in one]
    records = [
        record(n, report(), target=[reading(-100, 0, rss_mib=mib), reading(2100, 100, rss_mib=mib)])
        for n, mib in enumerate([900.0, 100.0, 110.0])
    ]
    found = summarise(cell(load=closed(10), rounds=3), records, frame(rows), ())
    assert found.validity.is_valid
    assert found.target_use.rss_mib == pytest.approx(110)


def test_too_many_bad_rounds_show_the_figures_of_all() -> None:
    found = three_rounds(spoiled(SLOWER), spoiled(SLOWER))
    assert found.validity.states == ("errors",)
    assert found.latency_ms.max == pytest.approx(40)
    assert [one.counts for one in found.per_round] == [False, False, True]


def test_each_round_is_judged_by_its_own_answers() -> None:
    late = [row for row in SLOWER if row["sent_ns"] > START + 10**9]
    found = three_rounds(late)
    (bad,) = found.validity.rounds
    codes = [one.code for one in bad.objections]
    assert codes == [ObjectionCode.FIRST_HALF_EMPTY, ObjectionCode.USERS_UNACCOUNTED]
    assert found.validity.is_valid


# ---- what the target spent ----


def test_cpu_of_a_closed_load_is_interpolated_at_the_edges_of_the_window() -> None:
    rows = [sample(sent_ms=n, took_ms=10) for n in range(100)]
    readings = [reading(-100, 1000), reading(100, 1200), reading(1900, 3000), reading(2100, 3400)]
    use = closed_cell(rows, target=readings).target_use
    used = 3200 - 1100  # halfway between the readings around each edge
    assert use.cpu_ms_per_request == pytest.approx(used / 100)
    assert use.cpu_fraction == pytest.approx(used / 2000)
    assert use.cpu_ms_per_request_ci is None


def test_cpu_of_a_burst_is_between_the_readings_just_outside() -> None:
    readings = [
        reading(-500, 0),
        reading(-10, 100),
        reading(5, 102),
        reading(400, 180),
        reading(510, 200),
        reading(900, 999),
    ]
    records = [record(0, report(0.5), target=readings)]
    found = summarise(cell(load=burst(10)), records, frame(burst_rows([500] * 10)), ())
    assert found.target_use.cpu_ms_per_request == pytest.approx((200 - 100) / 10)


def test_reading_at_the_edge_of_a_burst_is_the_one_outside() -> None:
    readings = [reading(-50, 10), reading(0, 20), reading(500, 50), reading(600, 99)]
    records = [record(0, report(0.5), target=readings)]
    found = summarise(cell(load=burst(10)), records, frame(burst_rows([500] * 10)), ())
    assert found.target_use.cpu_ms_per_request == pytest.approx((50 - 20) / 10)


@pytest.mark.parametrize(
    "readings",
    [
        [],
        [reading(1000, 5)],
        [reading(-300, 1), reading(-200, 2)],
        [reading(100, 0), reading(2100, 9)],
        [reading(-100, 0), reading(1900, 9)],
    ],
    ids=["none", "one", "before", "from within", "until within"],
)
@pytest.mark.parametrize("load", [closed(), burst(10)])
def test_cpu_is_not_told_where_the_readings_do_not_span_the_window(
    readings: list[TargetReading], load: Load
) -> None:
    rows = [sample(sent_ms=n, took_ms=10) for n in range(10)]
    records = [record(0, report(2.0), target=readings)]
    use = summarise(cell(load=load), records, frame(rows), ()).target_use
    assert use.cpu_ms_per_request is None
    assert use.cpu_fraction is None


def test_cpu_per_request_is_the_median_of_the_rounds() -> None:
    rows = [sample(sent_ms=n, took_ms=10, round_number=r) for r in range(3) for n in range(10)]
    records = [
        record(r, report(), target=[reading(0, 0), reading(2000, cpu)])
        for r, cpu in enumerate([10, 40, 20])
    ]
    use = summarise(cell(load=closed(), rounds=3), records, frame(rows), ()).target_use
    assert use.cpu_ms_per_request == pytest.approx(2.0)
    assert use.cpu_ms_per_request_ci is not None


def test_largest_memory_and_threads_of_any_reading_are_kept() -> None:
    readings = [reading(0, 0, rss_mib=50, threads=3), reading(1, 0, rss_mib=80, threads=44)]
    use = closed_cell([], target=[*readings, reading(2, 0)]).target_use
    assert use.rss_mib == pytest.approx(100)
    assert use.threads == 44


def test_loop_lag_of_the_target_is_taken_within_the_window() -> None:
    end = START + 2000 * MS
    lags = [(START - 1, 900 * MS), (START, 1 * MS), (START + 5, 3 * MS), (end, 2 * MS)]
    lag = closed_cell([], loop_lag=[*lags, (end + 1, 900 * MS)]).target_use.loop_lag_ms
    assert (lag.p50, lag.p99, lag.max) == pytest.approx((2, 3, 3))


def test_nobody_looked_at_the_target() -> None:
    use = closed_cell([]).target_use
    assert (use.rss_mib, use.threads, use.cpu_fraction, use.loop_lag_ms.max) == (None,) * 4


# ---- what the driver spent ----


def test_driver_use_is_the_worst_of_the_rounds() -> None:
    drivers = [
        report(cpu_s=1.0, lag_ms=4.0, waited_s=0.2),
        report(cpu_s=0.4, lag_ms=6.0, waited_s=None),
    ]
    rows = [
        sample(sent_ms=0, took_ms=1, waited_ms=5, round_number=0),
        sample(sent_ms=0, took_ms=1, waited_ms=0, round_number=0),
        sample(sent_ms=0, took_ms=1, waited_ms=0.5, round_number=1),
    ]
    records = [record(n, driver) for n, driver in enumerate(drivers)]
    use = summarise(cell(load=closed(), rounds=2), records, frame(rows), ()).driver_use
    assert use.cpu_fraction == pytest.approx(0.5)
    assert use.waited_fraction == pytest.approx(0.1)
    assert (use.loop_lag_ms.p99, use.loop_lag_ms.max) == pytest.approx((6, 12))
    assert use.late_sends == pytest.approx(0.5)
    assert use.send_spread_ms == pytest.approx(5)


def test_busy_driver_is_limited() -> None:
    found = closed_cell(steady(10, 2.0, 20.0), driver=report(cpu_s=1.9))
    assert found.validity.state == "driver-limited"


# ---- steps ----


def test_missing_percentiles_say_how_long_they_take() -> None:
    rows = [sample(sent_ms=n, took_ms=1.0) for n in range(1000)]
    assert closed_cell(rows).seconds_for == pytest.approx({"p999": 20.0})
    assert closed_cell(rows[:10]).seconds_for == pytest.approx(
        {"p50": 4.0, "p90": 20.0, "p95": 40.0, "p99": 200.0, "p999": 2000.0}
    )
    assert closed_cell([]).seconds_for == {}
    assert burst_cell([100, 1000], [100, 2000]).seconds_for == {}, "a burst does not go on"


def test_cost_of_the_driver_is_that_of_a_request_in_the_windows() -> None:
    rows = steady(10, 2.0, 20.0) + steady(10, 2.0, 40.0, round_number=1)
    records = [record(n, report(cpu_s=cpu_s)) for n, cpu_s in enumerate((0.2, 0.4))]
    found = summarise(cell(load=closed(), rounds=2), records, frame(rows), ())
    assert found.driver_use.cpu_ms_per_request == pytest.approx(600 / 1500, rel=0.01)
    shared = replace(report(), workers=(WorkerReport("one", 1000, "shared", lost=""),))
    of_workers = closed_cell(steady(10, 2.0, 20.0), driver=shared)
    assert of_workers.driver_use.cpu_ms_per_request is None, "only that of the busiest is known"


def test_steps_are_told_apart_in_the_order_of_the_flow() -> None:
    rows = []
    for n in range(20):
        rows.append(sample(sent_ms=n, took_ms=10, step="write"))
        rows.append(sample(sent_ms=n + 10, took_ms=2, step="read"))
    rows.append(sample(sent_ms=5, took_ms=99, step="read", error="timeout"))
    write, read = closed_cell(rows).steps
    assert (write.step, write.requests, write.errors) == ("write", 20, 0)
    assert (read.step, read.requests, read.errors) == ("read", 21, 1)
    assert (write.latency_ms.p50, read.latency_ms.p50) == pytest.approx((10, 2))
    assert read.latency_ms.max == pytest.approx(2)


def test_labels_may_be_text_or_categories() -> None:
    rows = [*steady(10, 2.0, 20.0), sample(sent_ms=0, took_ms=1, error="timeout", step="other")]
    as_categories = frame(rows)
    as_text = as_categories.astype({"step": str, "error": str})
    records = [record(0, report())]
    of = cell(load=closed())
    assert summarise(of, records, as_categories, [CREATED]) == summarise(
        of, records, as_text, [CREATED]
    )


def test_category_that_no_row_has_is_no_step_and_no_error() -> None:
    samples = frame(steady(10, 2.0, 20.0))
    samples["step"] = samples["step"].cat.add_categories(["never"])
    samples["error"] = samples["error"].cat.add_categories(["timeout"])
    found = summarise(cell(load=closed()), [record(0, report())], samples, ())
    assert [one.step for one in found.steps] == ["read"]
    assert found.error_kinds == {}
    assert found.validity.is_valid


# ---- rounds ----


def test_rounds_stand_side_by_side() -> None:
    rows = [row for n in range(3) for row in steady(10, 2.0, 20.0 + n, round_number=n, lead_ms=100)]
    records = [record(n, report()) for n in range(3)]
    found = summarise(cell(load=closed(), rounds=3), records, frame(rows), ())
    assert [one.round for one in found.per_round] == [0, 1, 2]
    assert found.requests == sum(one.requests for one in found.per_round)
    rates = [one.throughput_rps for one in found.per_round]
    assert rates == sorted(rates, reverse=True)
    assert found.throughput_rps == rates[1]
    assert found.throughput_rps_ci is not None
    assert found.throughput_rps_ci[0] < rates[1] < found.throughput_rps_ci[1]
    assert found.validity.is_valid


def test_round_that_was_not_measured_is_in_no_figure() -> None:
    rows = [*steady(10, 2.0, 20.0), *steady(10, 2.0, 100.0, round_number=1)]
    records = [record(0, report()), record(1, report(), state="interrupted")]
    found = summarise(cell(load=closed(), rounds=2), records, frame(rows), ())
    assert found.rounds == 1
    assert found.latency_ms.max == pytest.approx(20)
    assert found.validity.state == "interrupted"


def test_cell_is_told_by_its_names() -> None:
    found = summarise(Cell("crud", "async", closed(), "native", 1), [], frame([]), ())
    assert found.name == "crud/async/closed-10/native"
    assert (found.scenario, found.target, found.driver) == ("crud", "async", "native")
    assert found.load == closed()


# ---- a locustfile's users ----


def crowd(rows: Rows, users: int | None = 10) -> Summary:
    """The summary of one round of two seconds of a locustfile."""
    of = Cell("shop", "shop:80", population(users), "locust", 1)
    return summarise(of, [record(0, report())], frame(rows), ())


def anonymous(rows: Rows) -> Rows:
    """Who asked is not known of a locustfile, nor when the first byte came."""
    return [row | {"user": 0, "first_byte_ns": 0} for row in rows]


def test_users_who_wait_as_they_like_are_valid() -> None:
    rows = anonymous(
        [
            sample(sent_ms=10.0 * n, took_ms=20.0, waited_ms=0.0, step="GET /items")
            for n in range(-20, 210)
        ]
    )
    found = crowd(rows)
    assert found.validity.is_valid, found.validity
    assert found.throughput_rps == pytest.approx(100)
    assert found.latency_ms.p50 == pytest.approx(20)
    assert found.latency_ms == found.service_ms
    assert [step.step for step in found.steps] == ["GET /items"]
    assert (found.offered_rps, found.makespan_s) == (None, None)


def test_first_byte_that_nobody_heard_is_in_no_phase() -> None:
    rows = [sample(sent_ms=n, took_ms=20.0, first_byte_ms=5.0) for n in range(100)]
    found = crowd([*anonymous(rows[:40]), *rows[40:]])
    assert found.phases_ms.to_first_byte.requests == 60
    assert found.phases_ms.to_first_byte.p50 == pytest.approx(5)
    assert found.phases_ms.transfer.requests == 60
    assert found.phases_ms.transfer.p50 == pytest.approx(15)
    assert found.latency_ms.p50 == pytest.approx(20)


def test_crowd_that_dwindles_is_unsteady_and_a_shape_that_does_is_what_was_asked() -> None:
    rows = anonymous([sample(sent_ms=5.0 * n, took_ms=4.0) for n in range(200)])
    rows += anonymous([sample(sent_ms=1000 + 50.0 * n, took_ms=4.0) for n in range(20)])
    assert crowd(rows).validity.state == "unsteady"
    assert crowd(rows, users=None).validity.is_valid


def test_failure_that_a_locustfile_reports_is_an_error() -> None:
    rows = [sample(sent_ms=10.0 * n, took_ms=5.0) for n in range(200)]
    rows[7]["error"] = ErrorKind.FAILED
    found = crowd(anonymous(rows))
    assert (found.errors, found.error_kinds) == (1, {"failed": 1})
    assert found.validity.state == "errors"


def test_driver_of_a_round_without_figures_has_no_use() -> None:
    died = record(0, report(), state="target-died")
    found = summarise(cell(load=closed()), [died], frame(steady(10, 2.0, 20.0)), [])
    assert found.driver_use == DriverUse()


def test_an_interrupted_round_has_figures_if_there_is_no_other_and_its_driver_told_of_it() -> None:
    rows = steady(10, 2.0, 20.0, lead_ms=100)
    told = record(0, report(), state="interrupted")
    found = summarise(cell(load=population()), [told], frame(rows), [])
    assert found.requests == 1000
    assert found.rounds == 0, "none was measured to its end"
    assert found.validity.state == "interrupted"
    untold = summarise(cell(load=population()), [replace(told, driver=None)], frame(rows), [])
    assert untold.requests == 0


def test_tasks_that_raised_are_counted_beside_the_requests() -> None:
    rows = steady(10, 2.0, 20.0, lead_ms=100)
    what = "Shopper: KeyError: 'price' at shop, line 9"
    told = report(requests=len(rows), examples={ErrorKind.LOCUSTFILE: (what,)})
    records = [record(0, replace(told, task_exceptions=4, ended_early="it was stopped"))]
    found = summarise(cell(load=population()), records, frame(rows), [])
    assert found.error_kinds == {"locustfile": 4}
    assert found.errors == 0, "no request failed"
    assert found.validity.state == "interrupted"
    assert sentences(found.validity)[1:] == (f"tasks raised an exception 4 times: {what}",)


# ---- workers ----


def test_round_that_lost_a_worker_counts_and_is_not_believed() -> None:
    rows = [row for n in range(2) for row in steady(10, 2.0, 20.0, round_number=n, lead_ms=100)]
    lost = WorkerReport("b-2", 17, "shared", lost="it fell silent")
    records = [
        record(0, replace(report(), workers=(WorkerReport("a-1", 900, "shared"),))),
        record(1, replace(report(), workers=(lost,)), state="worker-lost"),
    ]
    found = summarise(cell(load=closed(), rounds=2), records, frame(rows), [CREATED])
    assert found.rounds == len(found.per_round) == 2
    assert found.requests == 2000
    assert found.validity.state == "interrupted"
    reason = "round 2 lost worker b-2: it fell silent; its 17 samples received before are kept"
    assert sentences(found.validity)[0] == reason
    assert [(one.name, one.samples, one.lost) for one in found.workers] == [
        ("a-1", 900, ""),
        ("b-2", 17, "it fell silent"),
    ]


def test_rows_are_not_held_against_a_round_that_lost_a_worker() -> None:
    rows = steady(10, 2.0, 20.0, lead_ms=100, step="create")
    counted = [AuditCount("resources", 0, len(rows) + 5)]
    worker = WorkerReport("b-2", 17, "shared", lost="it fell silent")
    driver = replace(report(), workers=(worker,))
    lost = record(0, driver, state="worker-lost", audits=counted)
    found = summarise(cell(load=closed()), [lost], frame(rows), [CREATED])
    assert found.audits == ()
    assert found.validity.state == "interrupted"
    whole = summarise(
        cell(load=closed()),
        [replace(lost, driver=report(), state="measured")],
        frame(rows),
        [CREATED],
    )
    assert whole.validity.state == "wrong-answers"


def test_round_that_lost_a_worker_and_its_report_was_not_measured() -> None:
    found = summarise(cell(), [record(0, None, state="worker-lost")], frame([]), ())
    assert (found.rounds, found.validity.state) == (0, "interrupted")


# ---- missing evidence ----


@pytest.mark.parametrize("load", [closed(), burst(10)])
@pytest.mark.parametrize("samples", [frame([]), pd.DataFrame(columns=list(SUMMARISED))])
@pytest.mark.parametrize(
    "records",
    [
        [],
        [record(0)],
        [record(0, report())],
        [record(0, report(0.0), target=[reading(-1, 0), reading(1, 5)])],
        [record(0, state="driver-died"), record(1, state="target-died")],
    ],
    ids=["no record", "no report", "no answers", "no window", "no rounds"],
)
def test_nothing_was_measured(
    load: Load, samples: pd.DataFrame, records: list[RoundRecord]
) -> None:
    found = summarise(cell(load=load), records, samples, [CREATED])
    assert (found.requests, found.errors) == (0, 0)
    assert found.latency_ms == Percentiles()
    assert (found.driver_use == DriverUse()) is not any(one.driver for one in records)
    assert found.throughput_rps in (None, 0.0)
    assert found.steps == ()
    assert not found.validity.is_valid


@pytest.mark.parametrize("load", [closed(), burst(10)])
def test_round_without_the_drivers_report_is_not_measured(load: Load) -> None:
    rows = [*steady(10, 2.0, 20.0, lead_ms=100)]
    records = [record(0, report()), record(1, None)]
    found = summarise(cell(load=load, rounds=2), records, frame(rows), ())
    assert found.rounds == 1
    assert found.validity.state == "interrupted"


def test_burst_with_a_missing_answer_is_not_valid() -> None:
    rows = burst_rows([500] * 9)
    found = summarise(cell(load=burst(10)), [record(0, report(0.5))], frame(rows), ())
    assert found.validity.state == "too-few-samples"


def test_samples_that_the_driver_took_and_nobody_has_are_missed() -> None:
    rows = [row for n in range(2) for row in steady(10, 2.0, 20.0, round_number=n, lead_ms=100)]
    requests = (len(rows) // 2, len(rows) // 2, 77)
    records = [record(n, report(requests=one)) for n, one in enumerate(requests)]
    found = summarise(cell(load=closed(), rounds=3), records, frame(rows), ())
    assert not found.validity.is_valid
    assert "77 samples that the driver recorded are missing" in sentences(found.validity)


# ---- audits ----


def audited(
    audit: Audit, change: int, *errors: str, step: str = "create"
) -> tuple[AuditResult, Summary]:
    """Requests of one step with these errors (empty: acknowledged) changed so many rows."""
    rows = [sample(sent_ms=n, took_ms=1, step=step, error=one) for n, one in enumerate(errors)]
    records = [record(0, report(), audits=[AuditCount(audit.what, 1000, 1000 + change)])]
    found = summarise(cell(load=closed()), records, frame(rows), [audit])
    return found.audits[0], found


def test_audit_agrees_when_all_acknowledged_rows_are_there() -> None:
    found, _ = audited(CREATED, 3, "", "", "")
    assert found == AuditResult("resources", 3, 0, 3, ok=True)


@pytest.mark.parametrize("change", [2, 4, 0, -3])
def test_audit_notices_rows_too_few_and_too_many(change: int) -> None:
    found, result = audited(CREATED, change, "", "", "")
    assert not found.ok
    assert result.validity.state == "wrong-answers"
    assert any("resources: +3 rows acknowledged" in one for one in sentences(result.validity))


@pytest.mark.parametrize(
    ("left", "sentence"),
    [
        (ConnectionsLeft(20, 20, 0), ""),
        (ConnectionsLeft(20, 20, 1), "1 connection was left idle in transaction after the round"),
        (
            ConnectionsLeft(23, 20, 0),
            "3 connections were leaked: connections beyond the 20 of its pool, after the round",
        ),
        # How many it keeps is not known.
        (ConnectionsLeft(23, 0, 0), ""),
    ],
)
def test_connections_after_a_round_are_audited(left: ConnectionsLeft, sentence: str) -> None:
    rows = [sample(sent_ms=0, took_ms=1, step="create")]
    one = record(0, report(), audits=[AuditCount("resources", 0, 1)])
    found = summarise(cell(load=closed()), [replace(one, connections=left)], frame(rows), [CREATED])
    assert [audit.ok for audit in found.audits] == [
        True,
        not left.idle_in_transaction,
        not left.beyond,
    ]
    assert (sentence in sentences(found.validity)) == bool(sentence)


def test_connections_of_a_round_that_did_not_end_are_not_audited() -> None:
    one = record(0, None, state="interrupted")
    one = replace(one, connections=ConnectionsLeft(99, 20, 9))
    found = summarise(cell(load=closed()), [one], frame([]), [])
    assert found.audits == ()


def test_half_applied_changes_are_none_or_an_error() -> None:
    audit = Audit("accounts without", "SELECT 1", {"create": 0}, kind="half-applied")
    found, result = audited(audit, 2, "", "server-error")
    assert (found.ok, found.found, found.kind) == (False, 2, "half-applied")
    assert "2 requests were half-applied: accounts without" in sentences(result.validity)
    assert audited(audit, 0, "", "server-error")[0].ok


def test_acknowledgements_outside_of_the_window_count_in_an_audit() -> None:
    rows = [
        sample(sent_ms=at, took_ms=1, step="create") for at in (-900, -1, 0, 1000, 1999.5, 2100)
    ]
    records = [record(0, report(), audits=[AuditCount("resources", 0, 6)])]
    found = summarise(cell(load=closed()), records, frame(rows), [CREATED])
    assert found.audits == (AuditResult("resources", 6, 0, 6, ok=True),)


@pytest.mark.parametrize(
    "error", ["timeout", "reset", "protocol", "server-error", "abandoned", "wrong-answer"]
)
@pytest.mark.parametrize(("change", "ok"), [(2, True), (3, True), (1, False), (4, False)])
def test_request_without_an_answer_may_have_added_its_row_but_takes_none_away(
    error: str, change: int, *, ok: bool
) -> None:
    found, _ = audited(CREATED, change, "", "", error)
    assert found == AuditResult("resources", 2, 1, change, ok=ok)


@pytest.mark.parametrize("error", ["connect", "wrong-status"])
def test_request_that_was_refused_has_no_effect(error: str) -> None:
    assert audited(CREATED, 1, "", error)[0] == AuditResult("resources", 1, 0, 1, ok=True)
    assert not audited(CREATED, 2, "", error)[0].ok


@pytest.mark.parametrize(("change", "ok"), [(-1, True), (-2, True), (0, False), (-3, False)])
def test_delete_without_an_answer_may_have_taken_its_row(change: int, *, ok: bool) -> None:
    found, _ = audited(CRUD, change, "", "timeout", step="delete")
    assert found == AuditResult("accounts", -1, 1, change, ok=ok)


@pytest.mark.parametrize(("change", "ok"), [(0, True), (5, True), (6, False), (1, True)])
def test_effect_of_several_rows_is_uncertain_by_as_many(change: int, *, ok: bool) -> None:
    audit = Audit("rows", "SELECT 1", {"create": 5})
    assert audited(audit, change, "timeout")[0].ok is ok


def test_steps_without_an_effect_leave_an_audit_alone() -> None:
    reads = Audit("accounts", "SELECT 1", {"read": 0})
    assert audited(reads, 0, "", "timeout", step="read")[0] == AuditResult(
        "accounts", 0, 0, 0, ok=True
    )
    assert not audited(reads, 1, "", step="read")[0].ok
    assert audited(CREATED, 0, "", "", step="read")[0].ok


def test_creates_and_deletes_balance() -> None:
    rows = [sample(sent_ms=n, took_ms=1, step=step) for n, step in enumerate(["create", "delete"])]
    rows += [sample(sent_ms=9, took_ms=1, step="create"), sample(sent_ms=9, took_ms=1, step="x")]
    records = [record(0, report(), audits=[AuditCount("accounts", 5, 6)])]
    found = summarise(cell(load=closed()), records, frame(rows), [CRUD])
    assert found.audits == (AuditResult("accounts", 1, 0, 1, ok=True),)


def test_audits_add_up_over_all_rounds_whatever_became_of_them() -> None:
    rows = [
        sample(sent_ms=0, took_ms=1, step="create", round_number=0),
        sample(sent_ms=0, took_ms=1, step="create", round_number=1),
        sample(sent_ms=0, took_ms=1, step="create", round_number=1, error="abandoned"),
    ]
    records = [
        record(0, report(), audits=[AuditCount("resources", 0, 1)]),
        record(1, None, state="interrupted", audits=[AuditCount("resources", 0, 2)]),
        record(2, None, state="target-died"),
    ]
    found = summarise(cell(load=closed(), rounds=3), records, frame(rows), [CREATED])
    assert found.audits == (AuditResult("resources", 2, 1, 3, ok=True),)


def test_audits_are_told_apart_by_what_they_count() -> None:
    rows = [sample(sent_ms=0, took_ms=1, step="create")]
    counts = [AuditCount("accounts", 7, 8), AuditCount("resources", 0, 1)]
    records = [record(0, report(), audits=counts)]
    found = summarise(cell(load=closed()), records, frame(rows), [CREATED, CRUD])
    assert [one.what for one in found.audits] == ["resources", "accounts"]
    assert all(one.ok for one in found.audits)


def test_measured_round_that_was_not_audited_does_not_pass() -> None:
    rows = [sample(sent_ms=0, took_ms=1, step="create", round_number=n) for n in range(2)]
    records = [
        record(0, report(), audits=[AuditCount("resources", 0, 1)]),
        record(1, report()),
    ]
    found = summarise(cell(load=closed(), rounds=2), records, frame(rows), [CREATED])
    assert found.audits == (AuditResult("resources", 2, 0, 1, ok=False),)
    assert found.validity.state == "wrong-answers"


def test_round_that_was_not_audited_does_not_pass_without_effects_either() -> None:
    nothing_changes = Audit("resources", "SELECT 1", {"create": 0})
    rows = [sample(sent_ms=0, took_ms=1, step="create")]
    found = summarise(cell(load=closed()), [record(0, report())], frame(rows), [nothing_changes])
    assert found.audits == (AuditResult("resources", 0, 0, 0, ok=False),)


@given(
    st.lists(
        st.tuples(st.sampled_from(["create", "delete", "read"]), st.sampled_from(["", "timeout"])),
        max_size=30,
    ),
    st.randoms(use_true_random=False),
)
def test_audit_agrees_with_whatever_a_right_database_did(
    requests: list[tuple[str, str]], random: Random
) -> None:
    done = [error == "" or random.random() < 0.5 for _, error in requests]
    change = sum(
        CRUD.effect.get(step, 0) for (step, _), was in zip(requests, done, strict=True) if was
    )
    rows = [sample(sent_ms=0, took_ms=1, step=step, error=error) for step, error in requests]
    counted = record(0, report(), audits=[AuditCount("accounts", 50, 50 + change)])
    found = audits.of_round(CRUD, counted, frame(rows))
    assert found is not None
    assert found.ok


def test_errors_of_opposite_sign_in_two_rounds_do_not_cancel() -> None:
    rows = [
        sample(sent_ms=n, took_ms=1, step="create", round_number=number)
        for number in range(2)
        for n in range(5)
    ]
    records = [
        record(number, report(requests=5), audits=[AuditCount(CREATED.what, 100, 100 + change)])
        for number, change in enumerate((4, 6))
    ]
    found = summarise(cell(load=closed(), rounds=2), records, frame(rows), [CREATED])
    assert found.audits[0] == AuditResult(CREATED.what, 10, 0, 10, ok=False)
    assert found.validity.state == "wrong-answers"
