"""Texts for the clocks of a distributed driver's workers."""

from __future__ import annotations

from collections.abc import Sequence

from loopmark.harness.vocabulary.figures import WorkerUse
from loopmark.reports import formatting


def words(worker: WorkerUse) -> str:
    """The clock of a worker's times."""
    match worker.clock:
        case "shared":
            return "shared: same machine"
        case "aligned":
            within = formatting.milliseconds(worker.uncertainty_ms)
            return "aligned" if worker.uncertainty_ms is None else f"aligned to ±{within}"
        case "durations":
            return "durations only: offset unknown"


def notes(workers: Sequence[WorkerUse]) -> tuple[str, ...]:
    """For each kind of clock among the workers: its meaning for the figures."""
    worst = max((one.uncertainty_ms or 0.0 for one in workers if one.clock == "aligned"), default=0)
    of_kind = {
        "shared": (
            "Workers on the master's machine share its clock: their timestamps are as exact as "
            "without workers."
        ),
        "aligned": (
            "Workers on other machines have their own clocks. Each clock offset was measured by "
            "round-trip messages and subtracted. Upper bound of the clock-offset error: "
            f"{formatting.milliseconds(worst)}. It can shift a request within the window, but does "
            "not change its duration."
        ),
        "durations": (
            "The clock offset of some workers could not be measured. Only the durations of their "
            "requests are used: each worker's window is aligned with the start of the master's. "
            "Latencies are exact; which requests of different workers overlapped is unknown."
        ),
    }
    kinds = {one.clock for one in workers}
    return tuple(note for kind, note in of_kind.items() if kind in kinds)
