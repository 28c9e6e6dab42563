"""Two targets under the same scenario, load and driver: ratios, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from loopmark.harness.analysis.paired_rounds import asked, paired_ratio
from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.result import CellResult


def compare(cells: Sequence[CellResult]) -> tuple[Comparison, ...]:
    """Compare every pair of targets that was measured alike, the earlier one as the base."""
    found = []
    for base, other in combinations(cells, 2):
        if _question(base) == _question(other):
            found += [_compared(base, other, metric) for metric in _metrics(base.load)]
    return tuple(found)


def _question(cell: CellResult) -> tuple[object, ...]:
    return cell.scenario, asked(cell.load), cell.driver


def _metrics(load: Load) -> tuple[str, ...]:
    """What may be compared under a load.

    The throughput of an open load and of a fan-out is its schedule, and under steps and ramps
    latency is mostly that of the rates beyond the knee: there the stages are to be looked at side
    by side.
    """
    match load:
        case Burst():
            return "makespan_s", "throughput_rps", "latency_ms.p50", "cpu_ms_per_request"
        case Closed() | Population():
            return "throughput_rps", "latency_ms.p50", "cpu_ms_per_request"
        case Open() | FanOut():
            return "latency_ms.p50", "latency_ms.p99", "cpu_ms_per_request"
        case Steps() | Ramp() | FanOutSteps():
            return ()


def _compared(base: CellResult, other: CellResult, metric: str) -> Comparison:
    found = paired_ratio(base, other, metric, lambda cell: cell.target)
    return Comparison(
        scenario=base.scenario,
        load=base.load,
        driver=base.driver,
        base=base.target,
        other=other.target,
        metric=metric,
        ratio=found.ratio,
        ratio_ci=found.interval,
        rounds=found.rounds,
        reasons=found.reasons,
    )
