"""The section of declared faults."""

from dataclasses import replace

import pytest

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.fault import CellFinding, Fault, FaultFinding, Showing, Symptom
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import answer, html, markdown, pitfalls
from loopmark.reports.sections import doubtful
from tests.reports.conftest import HOSTILE, against, cell_result, run_results

LOST = Objection.of(ObjectionCode.ROWS_DIFFER, what="rows", acknowledged=2, found=0)


def with_fault(showing: Showing, *, mistake: str = "A mistake") -> RunResults:
    """A run of one target, which declares that it loses writes and has lost some."""
    cell = cell_result("crud", "faulty", Burst(100, 1.0), figure=1.0, validity=against(LOST))
    fault = Fault(Symptom.LOSES_WRITES, mistake, "A cure", "twin")
    short = "2 rows lost" if showing == "shown" else ""
    finding = CellFinding(cell.name, showing, "2 of 2 rows are lost", short)
    found = FaultFinding("faulty", fault, (finding,))
    return replace(run_results([cell]), faults=(found,))


def test_a_mistake_is_shown_with_symptom_and_cure() -> None:
    results = with_fault("shown")
    (row,) = pitfalls.rows(results)
    assert (row.target, row.mistake, row.cure) == ("faulty", "A mistake", "A cure")
    assert row.symptom == "2 of 2 rows are lost"
    assert row.line == "faulty, 100 concurrent requests: 2 rows lost"
    for text in (html.render(results), markdown.render(results)):
        for said in ("Pitfalls", "A mistake", "2 of 2 rows are lost"):
            assert said in text
    assert answer.text(results) == "1 of 1 documented mistake showed."


def test_a_cell_that_is_invalid_as_declared_is_not_called_doubtful() -> None:
    assert doubtful(with_fault("shown")) == ()
    assert len(doubtful(with_fault("unclear"))) == 1


@pytest.mark.parametrize(
    ("showing", "said"), [("not-shown", "faulty did not"), ("unclear", "faulty is inconclusive")]
)
def test_a_mistake_that_has_not_shown_is_named(showing: Showing, said: str) -> None:
    results = with_fault(showing)
    assert answer.text(results) == f"0 of 1 documented mistake showed; {said}."
    (row,) = pitfalls.rows(results)
    assert row.line.endswith(f"{pitfalls.SHOWING[showing]}: 2 of 2 rows are lost")


def test_a_run_without_declared_faults_has_no_such_section(results: RunResults) -> None:
    assert pitfalls.rows(results) == ()
    assert 'id="pitfalls"' not in html.render(results)
    assert "Pitfalls" not in markdown.render(results)


def test_texts_are_escaped() -> None:
    assert HOSTILE not in html.render(with_fault("shown", mistake=HOSTILE))
