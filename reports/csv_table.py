"""Results as CSV: one row per cell, plain numbers, the unit in the name of the column."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from loopmark.harness.vocabulary.conditions import Conditions
from loopmark.harness.vocabulary.figures import Figures
from loopmark.harness.vocabulary.metrics import METRICS, Value
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.harness.vocabulary.scenario import ScenarioFacts
from loopmark.reports import objections

_COLUMNS: Mapping[str, Callable[[CellResult], Value]] = MappingProxyType(
    {
        "cell": lambda cell: cell.name,
        "scenario": lambda cell: cell.scenario,
        "target": lambda cell: cell.target,
        "driver": lambda cell: cell.driver,
        "load_model": lambda cell: cell.load.model,
        "concurrency": lambda cell: cell.load.concurrency,
        "validity": lambda cell: cell.validity.state.value,
        "validity_reasons": lambda cell: "; ".join(objections.sentences(cell.validity)),
        "validity_states": lambda cell: "; ".join(cell.validity.all_states),
        "load": lambda cell: cell.load.label,
        "rate": lambda cell: getattr(cell.load, "rate", None),
        "think_s": lambda cell: cell.load.held.think_s if cell.load.held else None,
        "rounds": lambda cell: cell.rounds,
    }
)
"""The cell and its outcome, by name of the column, in order."""

_CONDITIONS: Mapping[str, Callable[[Conditions], Value]] = MappingProxyType(
    {
        "observed_s": lambda found: found.seconds,
        "steal_share": lambda found: found.steal_share,
        "outside_share": lambda found: found.outside_share,
        "cpu_pressure_s": lambda found: found.pressure.cpu_s,
        "memory_pressure_s": lambda found: found.pressure.memory_s,
        "io_pressure_s": lambda found: found.pressure.io_s,
        "throttled_s": lambda found: found.throttled_s,
        "target_waited_s": lambda found: found.target_waited_s,
    }
)
"""The conditions under which the rounds that count were measured, by name of the column."""

_CROWD = MappingProxyType(
    {
        "clients": "clients",
        "slow_clients": "slow",
        "stalled_clients": "stalled",
        "http_users": "http_users",
    }
)
"""The clients and users of a fan-out, by name of the column."""


def render(results: RunResults) -> str:
    """The cells as CSV text, with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    figures = (name for metric in METRICS.values() for name in metric.columns)
    told = ("rounds_disturbed", "rounds_set_aside", *_CONDITIONS)
    writer.writerow(["run", *_COLUMNS, *figures, *_CROWD, "sweep", "sweep_at", *told])
    facts = {fact.name: fact for fact in results.run.scenarios}
    for cell in results.cells:
        writer.writerow([results.run.run_id, *_row(cell, facts.get(cell.scenario))])
    return text.getvalue()


def _row(cell: CellResult, fact: ScenarioFacts | None) -> Iterator[Value]:
    yield from (field(cell) for field in _COLUMNS.values())
    # The columns before these say whether they are valid.
    yield from _figures(cell.figures_despite(cell.validity))
    yield from (getattr(cell.load, name, None) for name in _CROWD.values())
    place = fact.sweep if fact else None
    yield from (place.series, place.at) if place else (None, None)
    figures = cell.figures_despite(cell.validity)
    yield sum(one.disturbed for one in figures.per_round)
    yield sum(one.set_aside for one in figures.per_round)
    found = figures.conditions
    yield from (None if found is None else field(found) for field in _CONDITIONS.values())


def _figures(figures: Figures) -> Iterator[Value]:
    for metric in METRICS.values():
        yield metric.of(figures)
        if metric.interval is not None:
            yield from metric.interval(figures) or (None, None)
