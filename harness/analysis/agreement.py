"""Two drivers with the same scenario, target and load: do they measure the same?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

from loopmark.harness.analysis.paired_rounds import asked, paired_ratio
from loopmark.harness.vocabulary.comparison import Agreement
from loopmark.harness.vocabulary.figures import Figures
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.result import CellResult, Invalid

_FIGURES: Mapping[str, Callable[[Figures], float | None]] = {
    "makespan_s": lambda figures: figures.makespan_s,
    "throughput_rps": lambda figures: figures.throughput_rps,
    "latency_ms.p50": lambda figures: figures.latency_ms.p50,
    "latency_ms.p90": lambda figures: figures.latency_ms.p90,
    "latency_ms.p99": lambda figures: figures.latency_ms.p99,
    "cpu_ms_per_request": lambda figures: figures.target_use.cpu_ms_per_request,
}
"""Each metric over all rounds of a cell, as the tables of a report show it."""

_LATENCIES = ("latency_ms.p50", "latency_ms.p90", "latency_ms.p99")


def agreements(cells: Sequence[CellResult]) -> tuple[Agreement, ...]:
    """Hold every pair of drivers side by side that measured the same, the earlier one as the base.

    Nothing is said of a figure that neither of two valid cells has.

    Args:
        cells: In the plan's order.
    """
    found = []
    for base, other in combinations(cells, 2):
        if base.driver != other.driver and _question(base) == _question(other):
            found += [
                _agreement(base, other, metric)
                for metric in _metrics(base.load)
                if not _nobody_looked(base, other, metric)
            ]
    return tuple(found)


def _question(cell: CellResult) -> tuple[object, ...]:
    return cell.scenario, cell.target, asked(cell.load)


def _metrics(load: Load) -> tuple[str, ...]:
    """What two drivers should find alike under a load.

    Not what the load's own schedule sets, and nothing of steps and ramps, which go beyond what the
    target can do: two overloaded rounds are not alike even with the same driver.
    """
    match load:
        case Burst():
            return "makespan_s", "latency_ms.p50", "cpu_ms_per_request"
        case Closed() | Population():
            return "throughput_rps", *_LATENCIES, "cpu_ms_per_request"
        case Open() | FanOut():
            return *_LATENCIES, "cpu_ms_per_request"
        case Steps() | Ramp() | FanOutSteps():
            return ()


def _nobody_looked(base: CellResult, other: CellResult, metric: str) -> bool:
    """Whether both are valid and neither has the figure: then there is nothing to agree on."""
    valid = base.validity.is_valid and other.validity.is_valid
    return valid and _figure(base, metric) is None and _figure(other, metric) is None


def _agreement(base: CellResult, other: CellResult, metric: str) -> Agreement:
    found = paired_ratio(base, other, metric, lambda cell: cell.driver)
    return Agreement(
        scenario=base.scenario,
        target=base.target,
        load=base.load,
        base=base.driver,
        other=other.driver,
        metric=metric,
        base_figure=_figure(base, metric),
        other_figure=_figure(other, metric),
        ratio=found.ratio,
        ratio_ci=found.interval,
        rounds=found.rounds,
        reasons=found.reasons,
    )


def _figure(cell: CellResult, metric: str) -> float | None:
    figures = cell.figures
    return None if isinstance(figures, Invalid) else _FIGURES[metric](figures)
