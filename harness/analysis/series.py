"""Series: scenarios that differ by one number, and which number is best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from loopmark.harness.analysis.comparison import Candidate, concluded, figure_of
from loopmark.harness.analysis.multiple_comparisons import Difference, best_of, with_the_best
from loopmark.harness.vocabulary.comparison import Comparison, SeriesResult
from loopmark.harness.vocabulary.figures import Interval
from loopmark.harness.vocabulary.metrics import METRICS
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.scenario import ScenarioFacts

_FEW = 2
"""A series needs at least two values to compare."""


@dataclass(frozen=True, slots=True)
class Series:
    """The cells of a series, of one target, driver and load, in ascending order of its number.

    Attributes:
        name: Of the series.
        cells: By number.
        margin: The share by which a figure may fall short of the best and still be enough.
    """

    name: str
    cells: Mapping[float, CellResult]
    margin: float

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
    def result(self) -> SeriesResult:
        """The conclusion of the series."""
        return self._concluded[0]

    @property
    def comparisons(self) -> Mapping[float, Comparison]:
        """Each number compared with the best one; the intervals hold simultaneously."""
        return self._concluded[1]

    @property
    def _concluded(self) -> tuple[SeriesResult, Mapping[float, Comparison]]:
        known = list(self.figures)
        pairs = self._pairs(known)
        best = known[best_of(pairs, len(known))] if pairs else None
        bounds = dict(zip(known, with_the_best(pairs, len(known)), strict=False))
        others = [at for at in known if best is not None and at != best]
        comparisons = {
            at: self._comparison(best, at, bounds.get(at)) for at in others if best is not None
        }
        enough_at = worse_from = None
        if best is not None:
            least = -math.log1p(self.margin)
            short = [at for at in known if at not in bounds or bounds[at][0] < least]
            # From there on all are enough, up to the best and with it.
            below = max((at for at in short if at <= best), default=-math.inf)
            enough_at = min((at for at in known if below < at <= best), default=None)
            worse = [at for at, (_, most) in bounds.items() if most < 0]
            worse_from = min((at for at in worse if at > best), default=None)
        result = SeriesResult(
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
            margin=self.margin,
        )
        return result, comparisons

    def _pairs(self, known: Sequence[float]) -> Mapping[tuple[int, int], Difference]:
        """The differences of each two; none where two were never measured in one block."""
        found = {}
        for (first, at), (second, other) in combinations(enumerate(known), 2):
            paired = Candidate("place", self.metric, self.cells[other], self.cells[at]).paired
            if not paired.logs:
                return {}
            mean, delay = sum(paired.logs) / len(paired.logs), paired.delay
            if not self._more_is_better:
                mean, delay = -mean, (delay[1], delay[0])
            found[first, second] = Difference(mean, len(paired.logs), paired.scatter, delay)
        return found

    def _comparison(self, best: float, at: float, bounds: Interval | None) -> Comparison:
        (found,) = concluded([Candidate("place", self.metric, self.cells[best], self.cells[at])])
        if bounds is None:
            return replace(found, ratio_ci=None)
        low, high = bounds if self._more_is_better else (-bounds[1], -bounds[0])
        return replace(found, ratio_ci=(math.exp(low), math.exp(high)))

    @property
    def _more_is_better(self) -> bool:
        return METRICS[self.metric].better == "more"

    @property
    def _first(self) -> CellResult:
        return next(iter(self.cells.values()))


def series_of(
    cells: Sequence[CellResult], scenarios: Sequence[ScenarioFacts], margin: float
) -> tuple[Series, ...]:
    """Every measured series, by target, driver and load.

    Loads with rising rates have no single main figure, and form no series.

    Args:
        cells: In the plan's order.
        scenarios: Of these cells; those in no series are ignored.
        margin: The share by which a figure may fall short of the best and still be enough.
    """
    places = {one.name: one.sweep for one in scenarios if one.sweep is not None}
    found: dict[tuple[object, ...], dict[float, CellResult]] = {}
    for cell in cells:
        place = places.get(cell.scenario)
        if place is not None and cell.load.traits.main:
            key = place.series, cell.target, cell.driver, cell.load.comparable
            found.setdefault(key, {})[place.at] = cell
    return tuple(
        Series(str(key[0]), dict(sorted(members.items())), margin)
        for key, members in found.items()
        if len(members) >= _FEW
    )
