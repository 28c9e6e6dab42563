"""From a run folder to `results.json`; it can be done again at any time, on the same samples."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pandas as pd
from pydantic import TypeAdapter

from loopmark.harness.analysis.comparison import compare, series_of
from loopmark.harness.analysis.summaries import summarise
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, SCHEMA_VERSION, RunRecord
from loopmark.harness.vocabulary.result import (
    CellResult,
    DocumentedPoint,
    RunResults,
    ScenarioFacts,
    TargetFacts,
)
from loopmark.harness.vocabulary.sample import SUMMARISED
from loopmark.harness.vocabulary.scenario import Audit
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.targets.catalog import VARIANTS

_POINTS = TypeAdapter(tuple[DocumentedPoint, ...])


def analyse(folder: RunFolder) -> RunResults:
    """Summarise and compare all cells of a run, and store the results beside it.

    Raises:
        UserError: A file of the run is broken.
    """
    run = folder.read_run()
    cells = tuple(_summary(folder, cell, _audits(run, cell)) for cell in run.cells)
    scenarios = _scenario_facts(run)
    series = series_of(cells, scenarios)
    results = RunResults(
        schema_version=SCHEMA_VERSION,
        run=run,
        scenarios=scenarios,
        targets=_target_facts(run),
        documented=_documented(),
        cells=cells,
        comparisons=compare(cells, series),
        series=tuple(one.result for one in series),
    )
    folder.write_results(results)
    return results


def _summary(folder: RunFolder, cell: Cell, asked: tuple[Audit, ...]) -> CellResult:
    records = folder.read_rounds(cell)
    whole = {record.round for record in records if record.state in RAN_TO_THEIR_END}

    def samples_of(number: int) -> pd.DataFrame:
        return folder.read_samples(cell, number, SUMMARISED, must_be_whole=number in whole)

    return summarise(cell, records, samples_of, asked)


def _audits(run: RunRecord, cell: Cell) -> tuple[Audit, ...]:
    # A scenario may be gone when an old run is analysed again; its figures still stand. And what
    # a locustfile is called says nothing: `crud.py` is not the scenario `crud`.
    known = run.locustfile is None and cell.scenario in SCENARIOS
    return SCENARIOS[cell.scenario].audits if known else ()


def _scenario_facts(run: RunRecord) -> tuple[ScenarioFacts, ...]:
    names = dict.fromkeys(cell.scenario for cell in run.cells)
    if (file := run.locustfile) is not None:
        users = f"Users of {', '.join(file.user_classes)}, who ask and wait as the file says."
        return tuple(ScenarioFacts(name, f"The requests of {file.name}", users) for name in names)
    found = [SCENARIOS[name] for name in names if name in SCENARIOS]
    return tuple(
        ScenarioFacts(one.name, one.title, one.description, one.sweep, one.events is not None)
        for one in found
    )


def _target_facts(run: RunRecord) -> tuple[TargetFacts, ...]:
    if run.targets:
        return tuple(TargetFacts(one.name, one.known) for one in run.targets)
    names = dict.fromkeys(cell.target for cell in run.cells)
    if (file := run.locustfile) is not None:
        return tuple(TargetFacts(name, f"What answers at {file.url}.") for name in names)
    found = [VARIANTS[name] for name in names if name in VARIANTS]
    return tuple(TargetFacts(one.name, one.description) for one in found)


def _documented() -> tuple[DocumentedPoint, ...]:
    text = (files("loopmark.scenarios") / "documented.toml").read_text(encoding="utf-8")
    return _POINTS.validate_python(tomllib.loads(text)["point"])
