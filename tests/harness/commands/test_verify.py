"""What `loopmark verify` checks, and what it finds wrong with a cell."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from loopmark.harness.commands import verification
from loopmark.harness.commands.verification import problem
from loopmark.harness.errors import UserError
from loopmark.harness.run.request import RunRequest
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode, Validity, ValidityState
from loopmark.harness.vocabulary.figures import AuditResult
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.targets.catalog import VARIANTS
from tests.conftest import Invoke, assert_refused
from tests.harness.builders import cell, cell_result

RIGHT = replace(cell_result(cell()), rounds=1)


def test_all_scenarios_of_all_targets_are_checked(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[RunRequest] = []

    def carry_out(request: RunRequest, *_: object) -> None:
        requests.append(request)
        raise UserError("enough")

    monkeypatch.setattr(verification, "carry_out", carry_out)
    assert_refused(invoke("verify"), "enough")
    (request,) = requests
    cells = [(cell.scenario, cell.target) for cell in request.cells]
    assert sorted(cells) == sorted(product(SCENARIOS, VARIANTS))


def test_right_answers_are_right_whatever_the_figures_are_worth() -> None:
    assert problem(RIGHT) == ""
    few = Validity(ValidityState.TOO_FEW_SAMPLES)
    assert problem(replace(RIGHT, validity=few)) == ""


def test_wrong_answers_and_missing_rows_are_told() -> None:
    audit = AuditResult(what="resources", acknowledged=3, uncertain=0, found=2, ok=False)
    examples: dict[str, tuple[str, ...]] = {"wrong-answer": ("id is 2, not 1", "no id")}
    assert problem(replace(RIGHT, error_examples=examples, audits=(audit,))).splitlines() == [
        "wrong-answer: id is 2, not 1; no id",
        "resources: +3 rows acknowledged, +2 found",
    ]


def test_target_that_did_not_start_is_told_with_its_last_lines() -> None:
    unready = Objection.of(ObjectionCode.TARGET_NOT_READY, why="async ended at its start")
    died = Validity(ValidityState.TARGET_DIED, (unready,))
    tail = "async ended at its start\nout of memory"
    dead = replace(RIGHT, rounds=0, validity=died, stderr_tail=tail)
    assert problem(dead) == tail


def test_a_declared_fault_is_no_error(invoke: Invoke) -> None:
    told = invoke("verify", "forgotten-commit", "async", "--scenario", "open-account")
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert lines[0].split() == ["fault", "forgotten-commit", "open-account"]
    assert lines[1].startswith("its declared fault: ")
    assert lines[2] == "user accounts: +3 rows acknowledged, +0 found"
    assert lines[-1].split() == ["right", "async", "open-account"]
