"""From a run folder to `results.json`; can be repeated at any time on the same samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from loopmark.harness.analysis import blocking, faults
from loopmark.harness.analysis.comparison import LOOKS, Candidate, candidates, concluded
from loopmark.harness.analysis.questions import answered, asked, verdict_of
from loopmark.harness.analysis.series import series_of
from loopmark.harness.analysis.summaries import summarise
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.question import QuestionResult
from loopmark.harness.vocabulary.record import (
    RAN_TO_THEIR_END,
    SCHEMA_VERSION,
    RoundRecord,
    RunRecord,
)
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.harness.vocabulary.sample import SUMMARISED


def analyse(folder: RunFolder) -> RunResults:
    """Summarise and compare all cells of a run, and store the results beside it.

    Raises:
        UserError: A file of the run is broken, or the results cannot be written.
    """
    results = analysed(folder)
    folder.write_results(results)
    return results


def analysed(folder: RunFolder) -> RunResults:
    """Summarise and compare all cells of a run.

    Raises:
        UserError: A file of the run is broken.
    """
    run = folder.read_run()
    cells = tuple(_summary(folder, cell, run) for cell in run.cells)
    series = series_of(cells, run.scenarios, run.thresholds.series_margin)
    found = candidates(cells, run.waiting)
    questions = asked(run.questions, cells, run.waiting)
    # Together, as like comparisons know more of their scatter.
    comparisons = concluded([*found, *questions])
    of_series = (one for among in series for one in among.comparisons.values())
    return RunResults(
        schema_version=SCHEMA_VERSION,
        run=run,
        cells=cells,
        comparisons=(*comparisons[: len(found)], *of_series),
        series=tuple(one.result for one in series),
        questions=answered(run.questions, comparisons[len(found) :], round_seconds(folder, run)),
        faults=faults.findings(run, cells, _never_awaited(folder, run)),
    )


class AnswersSoFar:
    """The questions of a run that is under way."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], CellResult] = {}

    def __call__(self, folder: RunFolder) -> tuple[QuestionResult, ...]:
        """All of them.

        Raises:
            UserError: A file of the run is broken.
        """
        run = folder.read_run()
        found = concluded(self._candidates(folder, run))
        return answered(run.questions, found, round_seconds(folder, run))

    def undecided(self, folder: RunFolder) -> tuple[QuestionResult, ...]:
        """Those that no interval answers which holds at every look.

        Raises:
            UserError: A file of the run is broken.
        """
        run = folder.read_run()
        strict = concluded(self._candidates(folder, run), LOOKS)
        return tuple(
            one
            for one, found in zip(self(folder), strict, strict=True)
            if verdict_of(one.question, found) == "open"
        )

    def _candidates(self, folder: RunFolder, run: RunRecord) -> tuple[Candidate, ...]:
        """Summarises the cells that the questions are about, as far as these have new rounds."""
        names = {name for one in run.questions for name in (one.base, one.other)}
        cells = {
            (cell.name, len(run.round_states.get(cell.name, ()))): cell
            for cell in run.cells
            if cell.name in names
        }
        self._known = {
            key: self._known.get(key) or _summary(folder, cell, run) for key, cell in cells.items()
        }
        return asked(run.questions, [*self._known.values()], run.waiting)


def round_seconds(folder: RunFolder, run: RunRecord) -> dict[str, float]:
    """By cell: seconds that a round took, connecting and warming up included; the median."""
    return {
        cell.name: float(np.median(walls))
        for cell in run.cells
        if (walls := _walls(folder.read_rounds(cell)))
    }


def _never_awaited(folder: RunFolder, run: RunRecord) -> dict[str, tuple[str, ...]]:
    """By cell of a target with a declared fault: Python's warnings of it, each once."""
    return {
        cell.name: tuple(
            dict.fromkeys(
                warning for one in folder.read_rounds(cell) for warning in one.never_awaited
            )
        )
        for cell in run.cells
        if run.fault_of(cell.target) is not None
    }


def _walls(records: Sequence[RoundRecord]) -> list[float]:
    return [one.wall_s for one in records if one.state in RAN_TO_THEIR_END]


def _summary(folder: RunFolder, cell: Cell, run: RunRecord) -> CellResult:
    records = folder.read_rounds(cell)
    whole = {record.round for record in records if record.state in RAN_TO_THEIR_END}

    def samples_of(number: int) -> pd.DataFrame:
        return folder.read_samples(cell, number, SUMMARISED, must_be_whole=number in whole)

    summary = summarise(cell, records, samples_of, run.audits_of(cell), run.thresholds, run.seed)
    return replace(summary, blocking=blocking.of_cell(folder.read_loops(cell).values()))
