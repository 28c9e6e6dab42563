"""Two cells under the same load, round by round: the ratio of a metric, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loopmark.harness.analysis import statistics
from loopmark.harness.vocabulary.figures import Figures, Interval
from loopmark.harness.vocabulary.metrics import Metric
from loopmark.harness.vocabulary.result import CellResult, Invalid


@dataclass(frozen=True, slots=True)
class PairedRatio:
    """One metric of two cells.

    Attributes:
        ratio: Geometric mean over the pairs of other / base; None when inconclusive.
        interval: Its 95% interval; None with a single pair.
        rounds: Pairs of rounds.
        reasons: Why there is no ratio.
    """

    ratio: float | None
    interval: Interval | None
    rounds: int
    reasons: tuple[str, ...]


def paired_ratio(
    base: CellResult, other: CellResult, metric: Metric, name: Callable[[CellResult], str]
) -> PairedRatio:
    """The ratio of other to base, the rounds paired by block, and only where both are valid.

    Args:
        base: The denominator.
        other: The numerator.
        metric: One that every round has.
        name: Name of each cell in a reason.
    """
    of_base, of_other = base.figures, other.figures
    if isinstance(of_base, Invalid) or isinstance(of_other, Invalid):
        reasons = tuple(
            f"{name(cell)}: {cell.validity.state}"
            for cell in (base, other)
            if not cell.validity.is_valid
        )
        return PairedRatio(None, None, 0, reasons)
    bases, others = _by_block(of_base, metric), _by_block(of_other, metric)
    both = [(bases[block], others[block]) for block in bases if block in others]
    found = statistics.ratio_over_rounds([o for _, o in both], [b for b, _ in both])
    if found is None:
        return PairedRatio(None, None, len(both), (f"no rounds with {metric.key} in both",))
    return PairedRatio(*found, len(both), ())


def _by_block(figures: Figures, metric: Metric) -> dict[int, float]:
    assert metric.of_round is not None
    found = {one.block: metric.of_round(one) for one in figures.per_round}
    return {block: figure for block, figure in found.items() if figure is not None}
