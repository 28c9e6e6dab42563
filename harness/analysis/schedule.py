"""Whether the driver kept the schedule of a load: the requests due, and those it sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from loopmark.harness.analysis import statistics
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import Thresholds

LATE_SHARE = 0.99
"""The percentile of lateness that is judged."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The schedule of one round, and how the driver kept it.

    Attributes:
        planned: Flows, or publications, planned within the window.
        due: Requests due there, including unsent ones.
        sent: Of these, those that were sent before the window ended, or refused.
        unsent: Of these, those that the driver missed.
        window_s: Length of the window in seconds.
        late_ms: 99th percentile of the time from due to sent; None where nothing was due.
    """

    planned: float
    due: int
    sent: int
    unsent: int
    window_s: float
    late_ms: float | None


def arrivals(load: Load, report: DriverReport, due: pd.DataFrame, others: int = 0) -> Arrivals:
    """How the driver kept the schedule of one round.

    Args:
        load: What was driven.
        report: Of its driver.
        due: Samples that were due within the window.
        others: Number of other requests due there and sent in time.
    """
    end = report.window_end_ns
    in_time = (due["sent_ns"] < end) | (due["error"] == ErrorKind.REFUSED)
    waited_ms = (due["sent_ns"] - due["due_ns"]).to_numpy(dtype=float) / 1e6
    return Arrivals(
        planned=sum(stretch.arrivals for stretch in load.window),
        due=len(due) + others + report.unsent,
        sent=int(in_time.sum()) + others,
        unsent=report.unsent,
        window_s=(end - report.window_start_ns) / 1e9,
        late_ms=statistics.percentile(waited_ms, LATE_SHARE) if len(due) else None,
    )


def objections(
    load: Load,
    rounds: Sequence[Arrivals],
    ended: int,
    latency_ms: float | None,
    thresholds: Thresholds,
) -> Iterator[Objection]:
    """The reasons against the driver.

    Args:
        load: The load; there are no reasons unless it is scheduled.
        rounds: The rounds whose schedule is known.
        ended: How many rounds ran to their end.
        latency_ms: The median, to which lateness adds.
        thresholds: Those in force.
    """
    if not load.traits.is_scheduled:
        return
    what = load.traits.unit.scheduled
    if unsent := sum(one.unsent for one in rounds):
        due = sum(one.due for one in rounds)
        yield Objection.of(ObjectionCode.SCHEDULE_MISSED, missed=unsent, due=due, what=what)
    if (unknown := ended - len(rounds)) > 0:
        yield Objection.of(ObjectionCode.SCHEDULE_UNKNOWN, rounds=unknown)
    for one in rounds:
        least = one.planned - 1
        if load.spacing == "poisson":
            least -= thresholds.schedule_sigmas * one.planned**0.5
        asked = one.planned if one.due < least else one.due
        if one.due < least or one.sent < thresholds.min_send_rate * one.due:
            window_s = one.window_s or math.inf
            yield Objection.of(
                ObjectionCode.RATE_NOT_REACHED,
                sent_per_s=one.sent / window_s,
                asked_per_s=asked / window_s,
                what=what,
            )
            break
    allowed_ms = thresholds.lag_allowance_ms + thresholds.max_lag_share * (latency_ms or 0.0)
    late_ms = max((one.late_ms for one in rounds if one.late_ms is not None), default=None)
    if late_ms is not None and late_ms > allowed_ms:
        yield Objection.of(ObjectionCode.SENT_LATE, late_ms=late_ms, what=what)
