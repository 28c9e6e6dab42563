"""Scenarios that differ by one number: which was best, and from where more did not help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loopmark.harness.analysis.paired_rounds import asked, paired_ratio
from loopmark.harness.vocabulary.comparison import SweepResult
from loopmark.harness.vocabulary.figures import Figures
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.result import CellResult, Invalid, ScenarioFacts

_FEW = 2
"""A series of one has nothing to be held against."""


def sweeps(
    cells: Sequence[CellResult], scenarios: Sequence[ScenarioFacts]
) -> tuple[SweepResult, ...]:
    """Judge every series that was measured, by target, driver and load.

    Args:
        cells: In the plan's order.
        scenarios: Of these cells; those that are in no series are passed over.
    """
    places = {one.name: one.sweep for one in scenarios if one.sweep is not None}
    series: dict[tuple[object, ...], dict[float, CellResult]] = {}
    for cell in cells:
        if (place := places.get(cell.scenario)) is not None:
            key = place.series, cell.target, cell.driver, asked(cell.load)
            series.setdefault(key, {})[place.at] = cell
    return tuple(
        _judged(str(key[0]), dict(sorted(found.items())))
        for key, found in series.items()
        if len(found) >= _FEW
    )


def _judged(series: str, cells: Mapping[float, CellResult]) -> SweepResult:
    """Hold each cell against the best one, round by round.

    One is clearly worse where the interval of the ratio leaves 1 out. Two numbers between which
    these rounds show no difference may differ all the same.
    """
    first = next(iter(cells.values()))
    metric, more_is_better = _metric(first.load)
    known = {
        at: figure for at, cell in cells.items() if (figure := _figure(cell, metric)) is not None
    }
    left_out = tuple(at for at in cells if at not in known)
    if len(known) < _FEW:
        best_at = enough_at = worse_from = None
        rounds = 0
    else:
        best_at = (max if more_is_better else min)(known, key=lambda at: known[at])
        found = {
            at: paired_ratio(cells[best_at], cells[at], metric, lambda cell: cell.scenario)
            for at in known
            if at != best_at
        }
        worse = {
            at
            for at, one in found.items()
            if one.interval is not None
            and (one.interval[1] < 1 if more_is_better else one.interval[0] > 1)
        }
        below = [at for at in worse if at < best_at]
        enough_at = min(at for at in known if at > max(below, default=float("-inf")))
        worse_from = min((at for at in worse if at > best_at), default=None)
        rounds = min(one.rounds for one in found.values())
    return SweepResult(
        series=series,
        target=first.target,
        driver=first.driver,
        load=first.load,
        metric=metric,
        best_at=best_at,
        enough_at=enough_at,
        worse_from=worse_from,
        rounds=rounds,
        left_out=left_out,
    )


def _metric(load: Load) -> tuple[str, bool]:
    """What counts under a load, and whether more of it is better."""
    if isinstance(load, Burst):
        return "makespan_s", False
    if isinstance(load, Closed | Population):
        return "throughput_rps", True
    return "latency_ms.p50", False


def _figure(cell: CellResult, metric: str) -> float | None:
    """Over all rounds, as the tables of a report show it; None of a cell that is not valid."""
    figures = cell.figures
    if isinstance(figures, Invalid):
        return None
    return _of(figures, metric)


def _of(figures: Figures, metric: str) -> float | None:
    if metric == "makespan_s":
        return figures.makespan_s
    return figures.throughput_rps if metric == "throughput_rps" else figures.latency_ms.p50
