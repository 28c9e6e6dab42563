"""Cells that differ in one thing: the ratios of their rounds, and the conclusions of series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from loopmark.harness.analysis.paired_rounds import paired_ratio
from loopmark.harness.vocabulary.comparison import Axis, Comparison, SeriesResult, Side
from loopmark.harness.vocabulary.metrics import METRICS
from loopmark.harness.vocabulary.result import CellResult, Invalid
from loopmark.harness.vocabulary.scenario import ScenarioFacts

_FEW = 2
"""A series needs at least two values to compare."""

_LABELS: Mapping[Axis, Callable[[CellResult], str]] = {
    "target": lambda cell: cell.target,
    "driver": lambda cell: cell.driver,
    "disturbance": lambda cell: cell.load.label,
    "place": lambda cell: cell.scenario,
}
_SHARED: Mapping[Axis, Callable[[CellResult], tuple[object, ...]]] = {
    "target": lambda cell: (cell.scenario, cell.load.comparable, cell.driver),
    "driver": lambda cell: (cell.scenario, cell.load.comparable, cell.target),
    "disturbance": lambda cell: (
        *(cell.scenario, cell.target, cell.driver),
        cell.load.undisturbed.comparable,
    ),
}
"""What must be the same in two cells for a comparison along an axis."""


@dataclass(frozen=True, slots=True)
class Series:
    """The cells of a series, of one target, driver and load, in ascending order of its number."""

    name: str
    cells: Mapping[float, CellResult]

    @property
    def metric(self) -> str:
        """Key of the compared metric."""
        return self._first.load.traits.main

    @property
    def figures(self) -> Mapping[float, float]:
        """The figure of each valid cell that has one."""
        return {
            at: figure
            for at, cell in self.cells.items()
            if (figure := _figure(cell, self.metric)) is not None
        }

    @property
    def best_at(self) -> float | None:
        """The number with the best figure; None if too few have one."""
        known = self.figures
        pick = max if METRICS[self.metric].better == "more" else min
        return None if len(known) < _FEW else pick(known, key=lambda at: known[at])

    @property
    def comparisons(self) -> Mapping[float, Comparison]:
        """Each number compared with the best one."""
        best = self.best_at
        if best is None:
            return {}
        return {
            at: _compared("place", self.cells[best], self.cells[at], self.metric)
            for at in self.figures
            if at != best
        }

    @property
    def result(self) -> SeriesResult:
        """The conclusion of the series.

        Two numbers without a significant difference in these rounds may still differ.
        """
        known, best, comparisons = self.figures, self.best_at, self.comparisons
        enough_at = worse_from = None
        if best is not None:
            worse = [at for at, one in comparisons.items() if _is_worse(one)]
            below = max((at for at in worse if at < best), default=float("-inf"))
            enough_at = min(at for at in known if at > below)
            worse_from = min((at for at in worse if at > best), default=None)
        return SeriesResult(
            series=self.name,
            target=self._first.target,
            driver=self._first.driver,
            load=self._first.load,
            metric=self.metric,
            best_at=best,
            enough_at=enough_at,
            worse_from=worse_from,
            rounds=min((one.rounds for one in comparisons.values()), default=0),
            left_out=tuple(at for at in self.cells if at not in known),
        )

    @property
    def _first(self) -> CellResult:
        return next(iter(self.cells.values()))


def compare(cells: Sequence[CellResult], series: Iterable[Series] = ()) -> tuple[Comparison, ...]:
    """Compare all cells that differ along one axis.

    A figure that neither of two drivers has is omitted.

    Args:
        cells: In the plan's order.
        series: The series among them.
    """
    found = [
        _compared(axis, base, other, metric)
        for axis in _SHARED
        for base, other in _pairs(axis, cells)
        for metric in _metrics(axis, base)
        if axis != "driver" or not _neither_has(base, other, metric)
    ]
    return (*found, *(one for of_one in series for one in of_one.comparisons.values()))


def series_of(
    cells: Sequence[CellResult], scenarios: Sequence[ScenarioFacts]
) -> tuple[Series, ...]:
    """Every measured series, by target, driver and load.

    Loads with rising rates have no single main figure, and form no series.

    Args:
        cells: In the plan's order.
        scenarios: Of these cells; those in no series are ignored.
    """
    places = {one.name: one.sweep for one in scenarios if one.sweep is not None}
    found: dict[tuple[object, ...], dict[float, CellResult]] = {}
    for cell in cells:
        place = places.get(cell.scenario)
        if place is not None and cell.load.traits.main:
            key = place.series, cell.target, cell.driver, cell.load.comparable
            found.setdefault(key, {})[place.at] = cell
    return tuple(
        Series(str(key[0]), dict(sorted(members.items())))
        for key, members in found.items()
        if len(members) >= _FEW
    )


def _pairs(axis: Axis, cells: Sequence[CellResult]) -> Iterator[tuple[CellResult, CellResult]]:
    """Pairs of cells that differ only along an axis, the base first."""
    label, shared = _LABELS[axis], _SHARED[axis]
    pairs: Iterable[tuple[CellResult, CellResult]] = combinations(cells, 2)
    if axis == "driver":  # Each against the first that the plan names.
        firsts: dict[tuple[object, ...], CellResult] = {}
        pairs = ((firsts.setdefault(shared(cell), cell), cell) for cell in cells)
    elif axis == "disturbance":
        calm = [cell for cell in cells if cell.load == cell.load.undisturbed]
        pairs = ((base, other) for other in cells for base in calm)
    for base, other in pairs:
        if label(base) != label(other) and shared(base) == shared(other):
            yield base, other


def _metrics(axis: Axis, cell: CellResult) -> tuple[str, ...]:
    return cell.load.traits.agreed if axis == "driver" else cell.load.traits.compared


def _neither_has(base: CellResult, other: CellResult, metric: str) -> bool:
    """Whether both are valid and neither has the figure: then there is nothing to compare."""
    valid = base.validity.is_valid and other.validity.is_valid
    return valid and _figure(base, metric) is None and _figure(other, metric) is None


def _compared(axis: Axis, base: CellResult, other: CellResult, metric: str) -> Comparison:
    label = _LABELS[axis]
    found = paired_ratio(base, other, METRICS[metric], label)
    return Comparison(
        axis=axis,
        metric=metric,
        base=Side(label(base), _figure(base, metric)),
        other=Side(label(other), _figure(other, metric)),
        scenario=other.scenario,
        target=other.target,
        load=other.load,
        driver=other.driver,
        ratio=found.ratio,
        ratio_ci=found.interval,
        rounds=found.rounds,
        reasons=found.reasons,
    )


def _figure(cell: CellResult, metric: str) -> float | None:
    figures = cell.figures
    if isinstance(figures, Invalid):
        return None
    figure: float | None = METRICS[metric].of(figures)
    return figure


def _is_worse(comparison: Comparison) -> bool:
    """Whether the numerator is significantly worse: the interval of the ratio excludes 1."""
    if comparison.ratio_ci is None:
        return False
    low, high = comparison.ratio_ci
    return high < 1 if METRICS[comparison.metric].better == "more" else low > 1
