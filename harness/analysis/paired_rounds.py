"""Two cells that were asked alike, round by round: the ratio of a metric, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from loopmark.harness.analysis import statistics
from loopmark.harness.vocabulary.figures import Figures, Interval, RoundResult
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.result import CellResult, Invalid

METRICS: Mapping[str, Callable[[RoundResult], float | None]] = {
    "makespan_s": lambda one: one.makespan_s,
    "throughput_rps": lambda one: one.throughput_rps,
    "latency_ms.p50": lambda one: one.latency_ms.p50,
    "latency_ms.p90": lambda one: one.latency_ms.p90,
    "latency_ms.p99": lambda one: one.latency_ms.p99,
    "cpu_ms_per_request": lambda one: one.cpu_ms_per_request,
}
"""What two cells can be held side by side in, by name."""


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


def asked(load: Load) -> Load:
    """The load without what a round is expected to take: that differs and is no part of it."""
    match load:
        case Burst():
            return replace(load, planned_s=1.0)
        case Population():
            return load
        case _:
            return replace(load, drain_s=0.0)


def paired_ratio(
    base: CellResult, other: CellResult, metric: str, name: Callable[[CellResult], str]
) -> PairedRatio:
    """The ratio of other to base, the rounds paired by block, and only where both are valid.

    Args:
        base: The denominator.
        other: The numerator.
        metric: One of `METRICS`.
        name: What each cell is called in a reason.
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
        return PairedRatio(None, None, len(both), (f"no rounds with {metric} in both",))
    return PairedRatio(*found, len(both), ())


def _by_block(figures: Figures, metric: str) -> dict[int, float]:
    found = {one.block: METRICS[metric](one) for one in figures.per_round}
    return {block: figure for block, figure in found.items() if figure is not None}
