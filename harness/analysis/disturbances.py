"""What slow and stalled clients and HTTP users do to the clients that read, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loopmark.harness.analysis.paired_rounds import asked, paired_ratio
from loopmark.harness.vocabulary.comparison import Disturbance
from loopmark.harness.vocabulary.loads.fan_out import FanOut
from loopmark.harness.vocabulary.result import CellResult

METRICS = ("latency_ms.p99", "latency_ms.p50", "cpu_ms_per_request")


def disturbances(cells: Sequence[CellResult]) -> tuple[Disturbance, ...]:
    """Hold every disturbed fan-out against the one where as many clients all read.

    Args:
        cells: In the plan's order.
    """
    calm = {
        (cell.scenario, cell.target, cell.driver, asked(cell.load)): cell
        for cell in cells
        if isinstance(cell.load, FanOut) and cell.load == _calm(cell.load)
    }
    found = []
    for cell in cells:
        if not isinstance(cell.load, FanOut) or cell.load == _calm(cell.load):
            continue
        base = calm.get((cell.scenario, cell.target, cell.driver, asked(_calm(cell.load))))
        if base is not None:
            found += [_disturbance(base, cell, metric) for metric in METRICS]
    return tuple(found)


def _calm(load: FanOut) -> FanOut:
    return replace(load, slow=0, stalled=0, http_users=0)


def _disturbance(base: CellResult, cell: CellResult, metric: str) -> Disturbance:
    found = paired_ratio(base, cell, metric, lambda one: one.load.label)
    return Disturbance(
        scenario=cell.scenario,
        target=cell.target,
        driver=cell.driver,
        load=cell.load,
        metric=metric,
        ratio=found.ratio,
        ratio_ci=found.interval,
        rounds=found.rounds,
        reasons=found.reasons,
    )
