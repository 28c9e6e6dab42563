"""The exit code of a run says whether it is complete and every response was right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.commands.outcome import exit_code, failures
from loopmark.harness.vocabulary.cell import (
    Objection,
    ObjectionCode,
    RoundObjections,
    Validity,
    ValidityState,
)
from loopmark.harness.vocabulary.fault import (
    CellFinding,
    Fault,
    FaultFinding,
    Showing,
    Symptom,
)
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.result import RunResults
from tests.reports.conftest import VALID, against, cell_result, run_results

FAILED_STATES = {"interrupted", "target-died", "wrong-answers", "errors"}
LIMITED = Objection.of(ObjectionCode.DRIVER_BUSY, share=0.99)


def results(*validities: Validity, interrupted: bool = False) -> RunResults:
    cells = [
        cell_result(f"scenario-{number}", "async", Burst(10, 1.0), figure=1.0, validity=one)
        for number, one in enumerate(validities)
    ]
    found = run_results(cells, [])
    return replace(found, run=replace(found.run, interrupted=interrupted))


def test_a_complete_run_with_right_responses_is_ok() -> None:
    assert exit_code(results(VALID, VALID), strict=True) == ExitCode.OK


@pytest.mark.parametrize("code", ObjectionCode)
def test_only_a_failure_is_an_error_and_every_invalid_cell_a_strict_one(
    code: ObjectionCode,
) -> None:
    found = results(VALID, against(Objection(code)))
    failed = code.state in FAILED_STATES
    assert exit_code(found) == (ExitCode.FAILED if failed else ExitCode.OK)
    assert exit_code(found, strict=True) == ExitCode.FAILED


@pytest.mark.parametrize(
    "behind",
    [
        Objection.of(ObjectionCode.REQUESTS_FAILED, failed=3, requests=10),
        Objection.of(ObjectionCode.ROWS_DIFFER, what="rows", acknowledged=2, found=1),
    ],
)
def test_a_limited_driver_hides_no_failure(behind: Objection) -> None:
    found = results(against(LIMITED, behind), against(LIMITED))
    assert exit_code(found) == ExitCode.FAILED
    (line,) = failures(found)
    assert line.startswith("failed: scenario-0/async/")
    assert "of a CPU core" not in line, "the driver is no failure"


def test_a_failure_in_a_round_that_does_not_count_is_an_error_of_a_valid_cell() -> None:
    failed = Objection.of(ObjectionCode.REQUESTS_FAILED, failed=3, requests=10)
    unsteady = Objection.of(ObjectionCode.HALVES_DIFFER, ratio=2.0, series="answers")
    rounds = (RoundObjections(1, (failed, unsteady)), RoundObjections(4, (unsteady,)))
    found = results(replace(VALID, rounds=rounds), replace(VALID, rounds=rounds[1:]))
    assert exit_code(found) == ExitCode.FAILED
    (line,) = failures(found)
    assert line.endswith(": round 2: 3 of 10 requests failed")
    assert exit_code(results(replace(VALID, rounds=rounds[1:]))) == ExitCode.OK


def test_an_interrupted_run_is_interrupted_whatever_else_it_is() -> None:
    died = against(Objection(ObjectionCode.TARGET_DIED, {"why": ""}))
    assert exit_code(results(died, interrupted=True), strict=True) == ExitCode.INTERRUPTED


def test_states_are_each_said_once_and_the_most_serious_first() -> None:
    many = Validity(
        ValidityState.DRIVER_LIMITED,
        tuple(
            Objection(code)
            for code in (
                ObjectionCode.DRIVER_BUSY,
                ObjectionCode.LOOP_LAGGED,
                ObjectionCode.REQUESTS_FAILED,
            )
        ),
    )
    assert many.states == (ValidityState.DRIVER_LIMITED, ValidityState.ERRORS)
    assert VALID.states == (ValidityState.VALID,)
    assert not VALID.has_failed


# ---- declared faults ----


LOST = Objection.of(ObjectionCode.ROWS_DIFFER, what="rows", acknowledged=2, found=0)
DIED = Objection(ObjectionCode.TARGET_DIED)


def declared(showing: Showing, *against_it: Objection) -> RunResults:
    """One cell, whose target declares that it loses writes."""
    found = results(against(*against_it) if against_it else VALID)
    (cell,) = found.cells
    finding = CellFinding(cell.name, showing, "2 rows are not in the database")
    fault = Fault(Symptom.LOSES_WRITES, "A mistake", "A cure", "twin")
    return replace(found, faults=(FaultFinding("async", fault, (finding,)),))


def test_a_declared_fault_that_shows_is_no_error() -> None:
    found = declared("shown", LOST)
    assert exit_code(found, strict=True) == ExitCode.OK
    assert failures(found) == ()


def test_a_declared_fault_that_does_not_show_is_one() -> None:
    found = declared("not-shown")
    assert exit_code(found) == ExitCode.FAILED
    assert failures(found) == (
        "failed: async: its declared fault has not shown: 2 rows are not in the database",
    )


def test_a_declared_fault_that_is_unclear_is_no_error_of_its_own() -> None:
    assert exit_code(declared("unclear")) == ExitCode.OK
    # And it explains nothing.
    assert exit_code(declared("unclear", LOST)) == ExitCode.FAILED


def test_a_declared_fault_explains_only_what_it_declares() -> None:
    found = declared("shown", DIED, LOST)
    assert exit_code(found) == ExitCode.FAILED
    assert failures(found) == (f"failed: {found.cells[0].name}: the target exited under load",)
