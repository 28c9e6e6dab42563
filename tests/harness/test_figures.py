"""No number of a cell that is not valid is reached without meeting its state."""

from __future__ import annotations

import ast
import json
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode, Validity
from loopmark.harness.vocabulary.figures import Figures
from loopmark.harness.vocabulary.result import CellResult, Invalid
from tests.harness.builders import VALID, cell, cell_result, round_result

ROOT = Path(__file__).resolve().parents[2]
INVALID = [Validity(code.state, (Objection(code),)) for code in ObjectionCode]
ADAPTER = TypeAdapter(CellResult)


def a_cell(validity: Validity) -> CellResult:
    return cell_result(cell(), [round_result()], validity)


def test_figures_of_a_valid_cell_are_there() -> None:
    assert isinstance(a_cell(VALID).figures, Figures)


@pytest.mark.parametrize("validity", INVALID)
def test_figures_of_an_invalid_cell_are_its_state(validity: Validity) -> None:
    found = a_cell(validity).figures
    assert found == Invalid(validity)
    for field in fields(Figures):
        assert not hasattr(found, field.name)
        assert not hasattr(a_cell(validity), field.name)


@pytest.mark.parametrize("validity", INVALID)
def test_figures_are_given_to_one_who_names_the_state(validity: Validity) -> None:
    found = a_cell(validity)
    assert found.figures_despite(found.validity) == a_cell(VALID).figures
    for other in (VALID, *INVALID):
        if other != validity:
            with pytest.raises(ValueError, match=validity.state):
                found.figures_despite(other)


@pytest.mark.parametrize("validity", [VALID, *INVALID])
def test_on_disk_figures_stand_beside_the_state_and_come_back(validity: Validity) -> None:
    found = a_cell(validity)
    stored = json.loads(ADAPTER.dump_json(found))
    assert {field.name for field in fields(Figures)} | {"validity"} <= set(stored)
    assert ADAPTER.validate_python(found) == ADAPTER.validate_json(json.dumps(stored)) == found


def test_nobody_goes_round_it() -> None:
    """Only the cell itself looks at the field; `summaries` fills it in."""
    looking = {
        path.relative_to(ROOT).as_posix()
        for package in ("harness", "reports", "scenarios", "targets")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "unjudged"
    }
    assert looking == {"harness/vocabulary/result.py"}
    templates = (ROOT / "reports" / "templates").glob("*.html")
    assert not any("unjudged" in path.read_text(encoding="utf-8") for path in templates)
