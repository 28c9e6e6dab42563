"""From a run folder to `results.json`; can be repeated at any time on the same samples."""

from __future__ import annotations

import pandas as pd

from loopmark.harness.analysis.comparison import compare, series_of
from loopmark.harness.analysis.summaries import summarise
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, SCHEMA_VERSION, RunRecord
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.harness.vocabulary.sample import SUMMARISED


def analyse(folder: RunFolder) -> RunResults:
    """Summarise and compare all cells of a run, and store the results beside it.

    Raises:
        UserError: A file of the run is broken.
    """
    run = folder.read_run()
    cells = tuple(_summary(folder, cell, run) for cell in run.cells)
    series = series_of(cells, run.scenarios)
    results = RunResults(
        schema_version=SCHEMA_VERSION,
        run=run,
        cells=cells,
        comparisons=compare(cells, series),
        series=tuple(one.result for one in series),
    )
    folder.write_results(results)
    return results


def _summary(folder: RunFolder, cell: Cell, run: RunRecord) -> CellResult:
    records = folder.read_rounds(cell)
    whole = {record.round for record in records if record.state in RAN_TO_THEIR_END}

    def samples_of(number: int) -> pd.DataFrame:
        return folder.read_samples(cell, number, SUMMARISED, must_be_whole=number in whole)

    return summarise(cell, records, samples_of, run.audits_of(cell), run.thresholds)
