"""Two targets under the same scenario, load and driver: ratios, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations

from harness import statistics
from harness.vocabulary.load import Burst, Closed, Load, Open, Ramp, Steps
from harness.vocabulary.result import CellResult, Comparison, Figures, NotBelieved, RoundResult

METRICS: dict[str, Callable[[RoundResult], float | None]] = {
    "makespan_s": lambda one: one.makespan_s,
    "throughput_rps": lambda one: one.throughput_rps,
    "latency_ms.p50": lambda one: one.latency_ms.p50,
    "latency_ms.p99": lambda one: one.latency_ms.p99,
    "cpu_ms_per_request": lambda one: one.cpu_ms_per_request,
}


def compare(cells: Sequence[CellResult]) -> tuple[Comparison, ...]:
    """Compare every pair of targets that was measured alike, the earlier one as the base."""
    found = []
    for base, other in combinations(cells, 2):
        if _asked(base) == _asked(other):
            found += [_compared(base, other, metric) for metric in _metrics(base.load)]
    return tuple(found)


def _asked(cell: CellResult) -> tuple[object, ...]:
    # What a round is expected to take differs with the target and is no part of the load.
    match cell.load:
        case Burst():
            load: Load = replace(cell.load, planned_s=1.0)
        case _:
            load = replace(cell.load, drain_s=0.0)
    return cell.scenario, load, cell.driver


def _metrics(load: Load) -> tuple[str, ...]:
    """What may be compared under a load.

    The throughput of an open load is its schedule, and under steps and ramps latency is mostly that
    of the rates beyond the knee: there the stages are to be looked at side by side.
    """
    match load:
        case Burst():
            return "makespan_s", "throughput_rps", "latency_ms.p50", "cpu_ms_per_request"
        case Closed():
            return "throughput_rps", "latency_ms.p50", "cpu_ms_per_request"
        case Open():
            return "latency_ms.p50", "latency_ms.p99", "cpu_ms_per_request"
        case Steps() | Ramp():
            return ()


def _compared(base: CellResult, other: CellResult, metric: str) -> Comparison:
    ratio = interval = None
    pairs = 0
    reasons = []
    of_base, of_other = base.figures, other.figures
    if isinstance(of_base, NotBelieved) or isinstance(of_other, NotBelieved):
        reasons = [
            f"{cell.target}: {cell.validity.state}"
            for cell in (base, other)
            if not cell.validity.is_valid
        ]
    else:
        bases, others = _by_block(of_base, metric), _by_block(of_other, metric)
        both = [(bases[block], others[block]) for block in bases if block in others]
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


def _by_block(figures: Figures, metric: str) -> dict[int, float]:
    found = {one.block: METRICS[metric](one) for one in figures.per_round}
    return {block: figure for block, figure in found.items() if figure is not None}
