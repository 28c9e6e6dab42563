"""From a run folder to `results.json`; it can be done again at any time, on the same samples."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.resources import files

import pandas as pd
from pydantic import TypeAdapter

from harness.comparison import compare
from harness.store import RunFolder
from harness.summaries import COLUMNS, summarise
from harness.vocabulary.cell import Cell
from harness.vocabulary.record import SCHEMA_VERSION
from harness.vocabulary.result import (
    CellResult,
    DocumentedPoint,
    RunResults,
    ScenarioFacts,
    TargetFacts,
)
from scenarios.catalog import SCENARIOS
from targets.catalog import VARIANTS

_POINTS = TypeAdapter(tuple[DocumentedPoint, ...])


def analyse(folder: RunFolder) -> RunResults:
    """Summarise and compare all cells of a run, and store the results beside it.

    Raises:
        UserError: A file of the run is broken.
    """
    run = folder.read_run()
    cells = tuple(_summary(folder, cell) for cell in run.cells)
    results = RunResults(
        schema_version=SCHEMA_VERSION,
        run=run,
        scenarios=_scenario_facts(cell.scenario for cell in run.cells),
        targets=_target_facts(cell.target for cell in run.cells),
        documented=_documented(),
        cells=cells,
        comparisons=compare(cells),
    )
    folder.write_results(results)
    return results


def _summary(folder: RunFolder, cell: Cell) -> CellResult:
    records = folder.read_rounds(cell)
    measured = {record.round for record in records if record.state == "measured"}

    def samples_of(number: int) -> pd.DataFrame:
        return folder.read_samples(cell, number, COLUMNS, must_be_whole=number in measured)

    # A scenario may be gone when an old run is analysed again; its figures still stand.
    audits = SCENARIOS[cell.scenario].audits if cell.scenario in SCENARIOS else ()
    return summarise(cell, records, samples_of, audits)


def _scenario_facts(names: Iterable[str]) -> tuple[ScenarioFacts, ...]:
    found = [SCENARIOS[name] for name in dict.fromkeys(names) if name in SCENARIOS]
    return tuple(ScenarioFacts(one.name, one.title, one.description) for one in found)


def _target_facts(names: Iterable[str]) -> tuple[TargetFacts, ...]:
    found = [VARIANTS[name] for name in dict.fromkeys(names) if name in VARIANTS]
    return tuple(TargetFacts(one.name, one.description) for one in found)


def _documented() -> tuple[DocumentedPoint, ...]:
    text = (files("scenarios") / "documented.toml").read_text(encoding="utf-8")
    return _POINTS.validate_python(tomllib.loads(text)["point"])
