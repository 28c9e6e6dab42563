"""Two cells under the same load, round by round: the ratios of a metric, or why there are none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from loopmark.harness.analysis import moderation
from loopmark.harness.analysis.moderation import Scatter
from loopmark.harness.analysis.statistics import CONFIDENCE
from loopmark.harness.vocabulary.figures import Figures, Interval
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.metrics import Metric
from loopmark.harness.vocabulary.result import CellResult, Invalid


@dataclass(frozen=True, slots=True)
class PairedRounds:
    """One metric of two cells.

    Attributes:
        logs: By pair of rounds that count, in the order of their blocks: the logarithm of
            other / base.
        reasons: Why there are none.
        delay: What the driver's own delay can have added to the logarithm at most, in the mean:
            less than it is, and more.
        left_out: Pairs of which a round does not count.
        set_aside: Pairs of which a round was disturbed.
        planned: Pairs that were planned; further ones were measured because of their scatter.
    """

    logs: tuple[float, ...]
    reasons: tuple[str, ...] = ()
    delay: tuple[float, float] = (0.0, 0.0)
    left_out: int = 0
    set_aside: int = 0
    planned: int | None = None

    @property
    def ratio(self) -> float | None:
        """Geometric mean over the pairs of other / base; None without any."""
        return math.exp(self._mean) if self.logs else None

    @property
    def scatter(self) -> Scatter | None:
        """The variance of the logarithms; None for fewer than two."""
        found = moderation.scatter_of(self.logs)
        if found is None or self.planned is None:
            return found
        further = max(len(self.logs) - max(self.planned, 2), 0)
        return Scatter(found.variance, found.dof - (1 - moderation.FURTHER) * further)

    def interval(self, scatter: Scatter | None, family: int = 1) -> Interval | None:
        """The 95% interval of the ratio, widened by what delay can have done.

        Args:
            scatter: Of the logarithms.
            family: Number of intervals that hold simultaneously (Bonferroni).
        """
        if scatter is None or not self.logs:
            return None
        confidence = 1 - (1 - CONFIDENCE) / family
        half = moderation.half_width(scatter, len(self.logs), confidence)
        less, more = self.delay
        return math.exp(self._mean - half - less), math.exp(self._mean + half + more)

    @property
    def _mean(self) -> float:
        return math.fsum(self.logs) / len(self.logs)


def paired_rounds(
    base: CellResult, other: CellResult, metric: Metric, name: Callable[[CellResult], str]
) -> PairedRounds:
    """Pair the rounds of two valid cells by block.

    Args:
        base: The denominator.
        other: The numerator.
        metric: One that every round has.
        name: Name of each cell in a reason.
    """
    of_base, of_other = base.figures, other.figures
    if isinstance(of_base, Invalid) or isinstance(of_other, Invalid):
        reasons = tuple(
            f"{name(cell)}: {', '.join(cell.validity.states)}"
            for cell in (base, other)
            if not cell.validity.is_valid
        )
        return PairedRounds((), reasons)
    bases, others = _by_block(of_base, metric), _by_block(of_other, metric)
    blocks = sorted(bases.keys() & others.keys())
    calm = [at for at in blocks if not (bases[at].is_disturbed or others[at].is_disturbed)]
    # A pair is set aside whole, and only while there are as many others as were planned.
    chosen = calm if len(calm) >= min(base.planned, other.planned) else blocks
    pairs = [(bases[at], others[at]) for at in chosen]
    if not pairs or any(one.least <= 0 for pair in pairs for one in pair):
        return PairedRounds((), (_lacking(metric, base.load),))
    logs = tuple(math.log(other.measured / base.measured) for base, other in pairs)
    lows = [math.log(other.least / base.most) for base, other in pairs]
    highs = [math.log(other.most / base.least) for base, other in pairs]
    every = {one.block for one in of_base.per_round} & {one.block for one in of_other.per_round}
    return PairedRounds(
        logs,
        delay=(
            math.fsum(logs) / len(logs) - math.fsum(lows) / len(lows),
            math.fsum(highs) / len(highs) - math.fsum(logs) / len(logs),
        ),
        left_out=len(every) - len(blocks),
        set_aside=len(blocks) - len(chosen),
        planned=min(base.planned, other.planned),
    )


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of one round, as measured, and the least and most that it can truly be."""

    measured: float
    least: float
    most: float
    is_disturbed: bool


def _by_block(figures: Figures, metric: Metric) -> dict[int, _Figure]:
    assert metric.of_round is not None
    found = {}
    for one in figures.per_round:
        measured = metric.of_round(one) if one.counts or one.set_aside else None
        undelayed = None if one.undelayed is None else metric.of_round(one.undelayed)
        if measured is not None:
            either = (measured, measured if undelayed is None else undelayed)
            found[one.block] = _Figure(measured, min(either), max(either), bool(one.disturbed))
    return found


def _lacking(metric: Metric, load: Load) -> str:
    """Why no pair of rounds has the figure."""
    percentile = metric.key.removeprefix("latency_ms.")
    if percentile == metric.key:
        return f"no pair of rounds has {metric.subject}"
    answers = load.traits.unit.many if load.traits.fans_out else "responses"
    return f"too few {answers} for a {percentile}"
