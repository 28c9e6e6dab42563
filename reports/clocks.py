"""Whose clock the times of a distributed driver's samples are from, in words."""

from __future__ import annotations

from collections.abc import Sequence

from loopmark.harness.vocabulary.figures import WorkerUse
from loopmark.reports import formatting


def words(worker: WorkerUse) -> str:
    """Whose clock the times of a worker are from."""
    match worker.clock:
        case "shared":
            return "shared: same machine"
        case "aligned":
            within = formatting.milliseconds(worker.uncertainty_ms)
            return "aligned" if worker.uncertainty_ms is None else f"aligned to ±{within}"
        case "durations":
            return "durations only: its window is laid over the master's"


def notes(workers: Sequence[WorkerUse]) -> tuple[str, ...]:
    """For each kind of clock that workers had: what it means for the figures."""
    worst = max((one.uncertainty_ms or 0.0 for one in workers if one.clock == "aligned"), default=0)
    of_kind = {
        "shared": (
            "Workers on the machine of the driver's master read the same clock as it: the times of "
            "their requests are as exact as without workers."
        ),
        "aligned": (
            "Workers on other machines have clocks of their own. How far each was off was measured "
            "by round-trip messages, and the moments of its requests were moved by that; this may "
            f"be wrong by {formatting.milliseconds(worst)} at most, which shifts a request's place "
            "in the window and leaves its duration as it was."
        ),
        "durations": (
            "For some workers it could not be measured how far their clock was off. Of their "
            "requests only the durations are used: each worker's window is laid over the master's, "
            "so latencies are right, and which requests of different workers met is not known."
        ),
    }
    kinds = {one.clock for one in workers}
    return tuple(note for kind, note in of_kind.items() if kind in kinds)
