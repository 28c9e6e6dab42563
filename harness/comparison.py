"""Two targets under the same scenario, load and driver: ratios, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from harness import statistics
from harness.vocabulary.load import Burst, Closed, Load
from harness.vocabulary.result import CellResult, Comparison, RoundResult

METRICS: dict[str, Callable[[RoundResult], float | None]] = {
    "makespan_s": lambda one: one.makespan_s,
    "throughput_rps": lambda one: one.throughput_rps,
    "latency_ms.p50": lambda one: one.latency_ms.p50,
    "cpu_ms_per_request": lambda one: one.cpu_ms_per_request,
}


def compare(cells: Sequence[CellResult]) -> tuple[Comparison, ...]:
    """Compare every pair of targets that was measured alike, the earlier one as the base."""
    found = []
    for base, other in combinations(cells, 2):
        if _asked(base) == _asked(other):
            found += [_compared(base, other, metric) for metric in _metrics(base)]
    return tuple(found)


def _asked(cell: CellResult) -> tuple[object, ...]:
    # What a round is expected to take differs with the target and is no part of the load.
    match cell.load:
        case Burst():
            load: Load = replace(cell.load, planned_s=1.0)
        case Closed():
            load = replace(cell.load, drain_s=0.0)
    return cell.scenario, load, cell.driver


def _metrics(cell: CellResult) -> list[str]:
    burst = isinstance(cell.load, Burst)
    return [metric for metric in METRICS if burst or metric != "makespan_s"]


def _compared(base: CellResult, other: CellResult, metric: str) -> Comparison:
    reasons = [
        f"{cell.target}: {cell.validity.state}"
        for cell in (base, other)
        if not cell.validity.is_valid
    ]
    ratio = interval = None
    pairs = 0
    if not reasons:
        of_base = _by_block(base, metric)
        of_other = _by_block(other, metric)
        both = [(of_base[block], of_other[block]) for block in of_base if block in of_other]
        pairs = len(both)
        found = statistics.ratio_over_rounds([o for _, o in both], [b for b, _ in both])
        if found is None:
            reasons.append(f"no rounds with {metric} in both")
        else:
            ratio, interval = found
    return Comparison(
        scenario=base.scenario,
        load=base.load,
        driver=base.driver,
        base=base.target,
        other=other.target,
        metric=metric,
        ratio=ratio,
        ratio_ci=interval,
        rounds=pairs,
        reasons=tuple(reasons),
    )


def _by_block(cell: CellResult, metric: str) -> dict[int, float]:
    figures = {one.block: METRICS[metric](one) for one in cell.per_round}
    return {block: figure for block, figure in figures.items() if figure is not None}
