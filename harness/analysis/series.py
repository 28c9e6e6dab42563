"""Series: scenarios that differ by one number, and which number is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopmark.harness.analysis.comparison import Candidate, concluded, figure_of
from loopmark.harness.vocabulary.comparison import Comparison, SeriesResult
from loopmark.harness.vocabulary.metrics import METRICS
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.scenario import ScenarioFacts

_FEW = 2
"""A series needs at least two values to compare."""


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
            if (figure := figure_of(cell, self.metric)) is not None
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
        others = [at for at in self.figures if at != best]
        found = [Candidate("place", self.metric, self.cells[best], self.cells[at]) for at in others]
        return dict(zip(others, concluded(found), strict=True))

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


def _is_worse(comparison: Comparison) -> bool:
    """Whether the numerator is significantly worse: the interval of the ratio excludes 1."""
    if comparison.ratio_ci is None:
        return False
    low, high = comparison.ratio_ci
    return high < 1 if METRICS[comparison.metric].better == "more" else low > 1
