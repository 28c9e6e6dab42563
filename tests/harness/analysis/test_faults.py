"""Declared faults: shown, not shown or unclear, cell by cell, beside the twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from loopmark.harness.analysis.faults import findings
from loopmark.harness.vocabulary.cell import Validity, ValidityState
from loopmark.harness.vocabulary.fault import CellFinding, Fault, FaultFinding, Symptom
from loopmark.harness.vocabulary.figures import AuditResult, Percentiles, StepResult
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.target import Target
from tests.harness.builders import burst, cell, cell_result, closed, round_result, run_record

ERRORS = Validity(ValidityState.ERRORS)
UNSTEADY = Validity(ValidityState.UNSTEADY)


def of(target: str, *, innocent_ms: float | None = None, users: int = 10) -> CellResult:
    """A cell with innocent requests of this median, if they have one."""
    result = replace(cell_result(cell(target, closed(users))), rounds=1)
    step = StepResult("innocent", 100, 0, Percentiles(p50=innocent_ms))
    return replace(result, unjudged=replace(result.unjudged, steps=(step,)))


def audited(target: str, *audits: AuditResult) -> CellResult:
    return replace(of(target), audits=audits)


def rows(acknowledged: int, found: int) -> AuditResult:
    ok = acknowledged == found
    return AuditResult("accounts", acknowledged, 0, found, ok=ok)


def halves(found: int) -> AuditResult:
    return AuditResult("accounts without", 0, 0, found, ok=not found, kind="half-applied")


def left(found: int) -> AuditResult:
    what = "connections left in a transaction"
    return AuditResult(what, 0, 0, found, ok=not found, kind="idle-in-transaction")


def found_of(
    symptom: Symptom, *cells: CellResult, warnings: Mapping[str, Sequence[str]] | None = None
) -> FaultFinding:
    """What these cells show of a target named faulty, whose twin is the variant named twin."""
    fault = Fault(symptom, "A mistake", "A cure", "twin")
    targets = (
        Target(name="faulty", variant="faulty", fault=fault),
        Target(name="t", variant="twin"),
    )
    run = replace(run_record(), targets=targets)
    (finding,) = findings(run, cells, warnings or {})
    return finding


def said(symptom: Symptom, *cells: CellResult) -> tuple[str, str]:
    (one,) = found_of(symptom, *cells).cells
    return one.showing, one.sentence


def test_targets_that_declare_nothing_are_not_judged() -> None:
    run = replace(run_record(), targets=(Target(name="async", variant="async"),))
    assert findings(run, [of("async", innocent_ms=1.0)], {}) == ()


# ---- blocked loops ----


def test_a_blocked_loop_is_shown_by_its_innocent_requests_beside_the_twins() -> None:
    finding = found_of(
        Symptom.BLOCKS_LOOP, of("faulty", innocent_ms=205.0), of("t", innocent_ms=5.0)
    )
    (one,) = finding.cells
    assert one.showing == finding.showing == "shown"
    assert one.sentence == (
        "its innocent requests took 41 times as long as beside t (p50 205 ms against 5.0 ms)"
    )
    assert one.short == "innocent requests take 41 times as long"
    assert one.beside == "crud/t/closed-10/native"


def test_a_loop_that_is_hardly_slower_is_not_shown() -> None:
    showing, sentence = said(
        Symptom.BLOCKS_LOOP, of("faulty", innocent_ms=9.9), of("t", innocent_ms=5.0)
    )
    assert showing == "not-shown"
    assert "2.0 times" in sentence


def test_a_busy_machine_makes_a_loop_that_is_hardly_slower_unclear() -> None:
    twin = of("t", innocent_ms=5.0)
    disturbed = replace(round_result(), disturbed=True)
    busy = replace(twin, unjudged=replace(twin.unjudged, per_round=(disturbed,)))
    showing, sentence = said(Symptom.BLOCKS_LOOP, of("faulty", innocent_ms=5.5), busy)
    assert showing == "unclear"
    assert sentence.startswith("others took the processors of t; ")
    # An effect as large as this shows all the same.
    assert said(Symptom.BLOCKS_LOOP, of("faulty", innocent_ms=50.0), busy)[0] == "shown"


def test_bursts_of_throughput_are_what_a_blocked_loop_does() -> None:
    blocked = replace(of("faulty", innocent_ms=50.0), validity=UNSTEADY)
    assert said(Symptom.BLOCKS_LOOP, blocked, of("t", innocent_ms=5.0))[0] == "shown"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ([of("faulty", innocent_ms=50.0)], "no cell of its twin"),
        # Another load is another question.
        (
            [of("faulty", innocent_ms=50.0), of("t", innocent_ms=5.0, users=100)],
            "no cell of its twin",
        ),
        ([of("faulty"), of("t", innocent_ms=5.0)], "faulty: too few innocent"),
        ([of("faulty", innocent_ms=50.0), of("t")], "t: too few innocent"),
        (
            [replace(of("faulty", innocent_ms=50.0), validity=ERRORS), of("t", innocent_ms=5.0)],
            "faulty: its cell is invalid",
        ),
        (
            [of("faulty", innocent_ms=50.0), replace(of("t", innocent_ms=5.0), validity=ERRORS)],
            "t: its cell is invalid",
        ),
        (
            [of("faulty", innocent_ms=50.0), replace(of("t", innocent_ms=5.0), rounds=0)],
            "t: no round",
        ),
        ([replace(of("faulty", innocent_ms=50.0), rounds=0)], "no round was measured"),
    ],
)
def test_what_cannot_be_compared_is_unclear(cells: Sequence[CellResult], why: str) -> None:
    showing, sentence = said(Symptom.BLOCKS_LOOP, *cells)
    assert showing == "unclear"
    assert why in sentence


def test_requests_that_time_out_behind_a_blocked_loop_belong_to_it() -> None:
    late = replace(of("faulty", innocent_ms=50.0), validity=ERRORS, error_kinds={"timeout": 6})
    showing, sentence = said(Symptom.BLOCKS_LOOP, late, of("t", innocent_ms=5.0))
    assert showing == "shown"
    assert sentence.endswith("; 6 requests timed out")
    other = replace(late, error_kinds={"timeout": 6, "server-error": 1})
    assert said(Symptom.BLOCKS_LOOP, other, of("t", innocent_ms=5.0))[0] == "unclear"


def test_a_scenario_without_innocent_requests_is_unclear() -> None:
    plain = [replace(cell_result(cell(name)), rounds=1) for name in ("faulty", "t")]
    assert said(Symptom.BLOCKS_LOOP, *plain)[0] == "unclear"


# ---- wrong responses ----


def failing(kind: str) -> CellResult:
    example: dict[str, tuple[str, ...]] = {
        kind: ("GET /api/v2/users/1 answered 500, expected 200",)
    }
    return replace(of("faulty"), error_kinds={kind: 12}, error_examples=example)


def test_wrong_responses_are_shown_with_an_example_and_the_warning() -> None:
    wrong = failing("server-error")
    finding = found_of(
        Symptom.WRONG_ANSWERS,
        wrong,
        warnings={wrong.name: ["coroutine 'q' was never awaited at a.py:3"]},
    )
    assert finding.main.showing == "shown"
    assert finding.main.sentence == (
        "refused, its figures do not count: 12 responses were wrong, GET /api/v2/users/1 answered "
        "500, expected 200; coroutine 'q' was never awaited at a.py:3"
    )


def test_right_responses_do_not_show_it_and_timeouts_do_not_decide_it() -> None:
    assert said(Symptom.WRONG_ANSWERS, of("faulty"))[0] == "not-shown"
    assert said(Symptom.WRONG_ANSWERS, failing("timeout"))[0] == "unclear"


# ---- writes ----


def test_lost_writes_are_counted_beside_the_twins() -> None:
    lost = audited("faulty", rows(61, 0), left(2))
    showing, sentence = said(Symptom.LOSES_WRITES, lost, audited("t", rows(70, 70)))
    assert showing == "shown"
    assert sentence == (
        "61 of 61 acknowledged accounts are not in the database; connections left in a "
        "transaction: 2; t under the same load: 0 lost"
    )


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (audited("faulty", rows(61, 61)), "not-shown"),
        (audited("faulty", rows(0, 0)), "unclear"),
        # More than acknowledged is wrong, and not lost.
        (audited("faulty", rows(61, 62)), "not-shown"),
        (of("faulty"), "unclear"),
    ],
)
def test_writes_that_are_there_are_not_lost(result: CellResult, expected: str) -> None:
    assert said(Symptom.LOSES_WRITES, result)[0] == expected


def test_half_applied_changes_are_counted_beside_the_twins() -> None:
    half = audited("faulty", rows(20, 23), halves(3), left(1))
    showing, sentence = said(Symptom.HALF_APPLIES, half, audited("t", rows(9, 9), halves(0)))
    assert showing == "shown"
    assert sentence == (
        "accounts without: 3; connections left in a transaction: 1; t under the same load: 0 "
        "half-applied"
    )


def test_nothing_half_applied_counts_only_where_a_request_failed_in_the_middle() -> None:
    whole = audited("faulty", halves(0))
    assert said(Symptom.HALF_APPLIES, whole)[0] == "unclear"
    refused = StepResult("open-taken", 3, 0, Percentiles())
    whole = replace(whole, unjudged=replace(whole.unjudged, steps=(refused,)))
    assert said(Symptom.HALF_APPLIES, whole)[0] == "not-shown"
    assert said(Symptom.HALF_APPLIES, of("faulty"))[0] == "unclear"


# ---- over all cells ----


def finding_of(*showings: str) -> FaultFinding:
    fault = Fault(Symptom.BLOCKS_LOOP, "m", "c", "t")
    cells = tuple(
        CellFinding(f"cell-{number}", showing, "s")  # type: ignore[arg-type] # one of them
        for number, showing in enumerate(showings)
    )
    return FaultFinding("faulty", fault, cells)


@pytest.mark.parametrize(
    ("showings", "whole", "main"),
    [
        (("shown", "not-shown", "unclear"), "shown", "cell-0"),
        (("not-shown", "shown", "shown"), "shown", "cell-2"),
        (("unclear", "not-shown"), "not-shown", "cell-1"),
        (("unclear", "unclear"), "unclear", "cell-1"),
    ],
)
def test_one_cell_that_shows_it_is_enough(showings: Sequence[str], whole: str, main: str) -> None:
    finding = finding_of(*showings)
    assert (finding.showing, finding.main.cell) == (whole, main)


def test_a_burst_is_judged_as_any_other_load() -> None:
    bursts = [replace(cell_result(cell(name, burst())), rounds=1) for name in ("faulty", "t")]
    found = found_of(Symptom.LOSES_WRITES, *(replace(one, audits=(rows(5, 3),)) for one in bursts))
    assert found.showing == "shown"
