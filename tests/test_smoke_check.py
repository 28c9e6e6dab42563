"""The smoke check refuses what a busy machine does not explain, and runs without valid cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest

from loopmark.harness.vocabulary.cell import (
    Objection,
    ObjectionCode,
    RoundObjections,
    Validity,
    ValidityState,
)
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.reports import csv_table
from tests.reports.conftest import VALID, cell_result, run_results
from tests.smoke_check import FAILED, GOOD, TOO_FEW_VALID, Row, verdict

LIMITED = Validity(
    ValidityState.DRIVER_LIMITED, (Objection.of(ObjectionCode.DRIVER_BUSY, share=0.99),)
)
ERRORS_BEHIND = Validity(
    ValidityState.DRIVER_LIMITED,
    (*LIMITED.objections, Objection.of(ObjectionCode.REQUESTS_FAILED, failed=1, requests=10)),
)

ERRORS_IN_A_ROUND = Validity(
    ValidityState.VALID, rounds=(RoundObjections(0, ERRORS_BEHIND.objections[1:]),)
)


def run(*validities: Validity) -> Sequence[Row]:
    """The CSV rows of a run whose cells have these validities."""
    cells = [
        cell_result(f"scenario-{number}", "async", Burst(10, 1.0), figure=1.0, validity=one)
        for number, one in enumerate(validities)
    ]
    return list(csv.DictReader(io.StringIO(csv_table.render(run_results(cells, [])))))


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([run(VALID, VALID, LIMITED)], GOOD),
        ([run(VALID, LIMITED)], TOO_FEW_VALID),
        ([run(LIMITED, LIMITED, LIMITED)], TOO_FEW_VALID),
        ([run(VALID, LIMITED, LIMITED), run(LIMITED, VALID, LIMITED)], GOOD),
        ([run(VALID, VALID, ERRORS_BEHIND)], FAILED),
        ([run(ERRORS_BEHIND, VALID, VALID), run(VALID, VALID, VALID)], FAILED),
        ([run(VALID, VALID, ERRORS_IN_A_ROUND)], FAILED),
        ([run()], FAILED),
        ([], FAILED),
    ],
)
def test_most_cells_are_valid_once_and_none_ever_fails(
    runs: Sequence[Sequence[Row]], code: int
) -> None:
    assert verdict(runs)[0] == code


def test_a_failure_is_named_with_its_reasons() -> None:
    lines = verdict([run(VALID, ERRORS_BEHIND)])[1]
    (line,) = [line for line in lines if "failed: scenario-1/" in line]
    assert "driver-limited; errors" in line
    assert "1 of 10 requests failed" in line
