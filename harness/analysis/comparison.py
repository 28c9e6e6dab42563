"""Cells that differ in one thing: the ratios of their rounds.

Their intervals are individual: of twenty figures that do not differ, one is expected to be found
different. Only the places of a series hold simultaneously.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from loopmark.harness.analysis.moderation import Scatter, independent_share, moderated
from loopmark.harness.analysis.paired_rounds import PairedRounds, paired_rounds
from loopmark.harness.vocabulary.comparison import Axis, Comparison, Side
from loopmark.harness.vocabulary.metrics import METRICS
from loopmark.harness.vocabulary.result import CellResult, Invalid

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

Like: TypeAlias = tuple[str, bool, str, int, int]
"""Comparisons that scatter alike: of one metric, both of waits for a fixed time or both not, under
one model of load, of rounds that last about as long (within a factor of ten), and of bursts of
about as many requests."""

Identity: TypeAlias = tuple[str, str, str]
"""A metric, and the names of two cells in the order of the alphabet."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One metric of two cells, paired round by round.

    Attributes:
        axis: The one thing in which they differ.
        metric: Key of the metric.
        base: The denominator.
        other: The numerator.
        family: Number of comparisons whose intervals are to hold simultaneously.
        waits: Whether requests mostly wait for a fixed time.
    """

    axis: Axis
    metric: str
    base: CellResult
    other: CellResult
    family: int = 1
    waits: bool = False

    @property
    def paired(self) -> PairedRounds:
        """Its pairs of rounds."""
        return paired_rounds(self.base, self.other, METRICS[self.metric], _LABELS[self.axis])

    @property
    def identity(self) -> Identity:
        """What two candidates about the same share, in whichever direction they compare."""
        first, second = sorted((self.base.name, self.other.name))
        return self.metric, first, second

    @property
    def like(self) -> Like:
        """The group that it belongs to.

        A round that takes longer scatters less, and the shorter of two decides.
        """
        shortest_s = min(self.base.load.planned_s, self.other.load.planned_s)
        load = self.other.load
        requests = load.concurrency if load.traits.ends_with_last_answer else 1
        return (
            self.metric,
            self.waits,
            load.model,
            round(math.log10(requests)),
            round(math.log10(shortest_s)),
        )


def candidates(cells: Sequence[CellResult], waiting: Collection[str] = ()) -> tuple[Candidate, ...]:
    """All comparisons of cells that differ along one axis.

    A figure that neither of two drivers has is omitted.

    Args:
        cells: In the plan's order.
        waiting: Scenarios whose requests mostly wait for a fixed time.
    """
    return tuple(
        Candidate(axis, metric, base, other, waits=other.scenario in waiting)
        for axis in _SHARED
        for base, other in _pairs(axis, cells)
        for metric in _metrics(axis, base)
        if axis != "driver" or not _neither_has(base, other, metric)
    )


LOOKS = 10
"""Intervals that hold at so many looks together may decide whether a question is measured further
(Bonferroni): a rule that looks at where a ratio lies needs them."""


def concluded(found: Sequence[Candidate], looks: int = 1) -> tuple[Comparison, ...]:
    """Their ratios, with intervals from the scatter of each and of its like.

    Args:
        found: All comparisons of a run, because like ones know more together.
        looks: How often somebody looks at intervals that are to hold all the time.
    """
    paired = [one.paired for one in found]
    groups: dict[Like, dict[Identity, Scatter | None]] = {}
    for one, rounds in zip(found, paired, strict=True):
        if rounds.logs:
            groups.setdefault(one.like, {})[one.identity] = rounds.scatter
    scatters = {
        (like, identity): scatter
        for like, members in groups.items()
        for identity, scatter in zip(members, _moderated(members), strict=True)
    }
    return tuple(
        _comparison(one, rounds, scatters.get((one.like, one.identity)), looks)
        for one, rounds in zip(found, paired, strict=True)
    )


def _moderated(members: Mapping[Identity, Scatter | None]) -> tuple[Scatter | None, ...]:
    known = [(base, other) for (_, base, other), scatter in members.items() if scatter is not None]
    return moderated(list(members.values()), independent_share(known))


def compare(cells: Sequence[CellResult]) -> tuple[Comparison, ...]:
    """Compare all cells that differ along one axis."""
    return concluded(candidates(cells))


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
    return valid and figure_of(base, metric) is None and figure_of(other, metric) is None


def _comparison(
    of: Candidate, paired: PairedRounds, scatter: Scatter | None, looks: int
) -> Comparison:
    label, base, other = _LABELS[of.axis], of.base, of.other
    return Comparison(
        axis=of.axis,
        metric=of.metric,
        base=Side(label(base), figure_of(base, of.metric)),
        other=Side(label(other), figure_of(other, of.metric)),
        scenario=other.scenario,
        target=other.target,
        load=other.load,
        driver=other.driver,
        ratio=paired.ratio,
        ratio_ci=paired.interval(scatter, of.family * looks),
        rounds=len(paired.logs),
        reasons=paired.reasons,
        delay=math.expm1(sum(paired.delay)),
        left_out=paired.left_out,
        set_aside=paired.set_aside,
    )


def figure_of(cell: CellResult, metric: str) -> float | None:
    """A figure over all rounds; None where the cell is invalid or has none."""
    figures = cell.figures
    if isinstance(figures, Invalid):
        return None
    figure: float | None = METRICS[metric].of(figures)
    return figure
