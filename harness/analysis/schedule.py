"""Whether the driver kept the schedule of a load: the requests due, and those it sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loopmark.harness.analysis import statistics
from loopmark.harness.analysis.delays import overlaps_ns
from loopmark.harness.analysis.latencies import Latencies
from loopmark.harness.planning.pacing import due_in_window, source_of_chance
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.figures import Percentiles
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import Thresholds

LATE_SHARES = {"p50": 0.5, "p99": 0.99}
"""The percentiles of lateness that are judged, each beside that of the latency that it spoils."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The schedule of one round, and how the driver kept it.

    Attributes:
        planned: Flows, or publications, planned within the window: of a Poisson schedule the number
            that follows from its seed.
        due: Requests due there, including unsent ones.
        sent: Of these, those that were refused, or sent before the window ended, or would have been
            if the driver had been scheduled whenever it was runnable.
        unsent: Of these, those that the driver missed.
        window_s: Length of the window in seconds.
        late_ms: Percentiles of the time from due to sent, less what the driver was runnable but not
            scheduled meanwhile: the median, and the 99th; None where nothing was due.
    """

    planned: float
    due: int
    sent: int
    unsent: int
    window_s: float
    late_ms: Percentiles


def planned(load: Load, seed: int, scenario: str, round_number: int) -> float:
    """How many flows, or publications, a round was to make due within its window.

    Args:
        load: The load.
        seed: Of the run.
        scenario: Name of the scenario.
        round_number: Number of the round.
    """
    if load.spacing == "poisson":
        return due_in_window(load, source_of_chance(seed, scenario, round_number))
    return sum(stretch.arrivals for stretch in load.window)


def arrivals(planned: float, report: DriverReport, due: pd.DataFrame, others: int = 0) -> Arrivals:
    """How the driver kept the schedule of one round.

    Args:
        planned: How many flows, or publications, it was to make due within the window.
        report: Of its driver.
        due: Samples that were due within the window.
        others: Number of other requests due there and sent in time.
    """
    end = report.window_end_ns
    dues, sents = (due[name].to_numpy(dtype=np.int64) for name in ("due_ns", "sent_ns"))
    # What others made it late by is bounded elsewhere; the rest is the driver's own doing.
    sents = sents - overlaps_ns(dues, sents, report.waits)
    in_time = (sents < end) | (due["error"] == ErrorKind.REFUSED)
    waited_ms = (sents - dues) / 1e6
    return Arrivals(
        planned=planned,
        due=len(due) + others + report.unsent,
        sent=int(in_time.sum()) + others,
        unsent=report.unsent,
        window_s=(end - report.window_start_ns) / 1e9,
        late_ms=_late(waited_ms) if len(due) else Percentiles(),
    )


def _late(waited_ms: Latencies) -> Percentiles:
    found = statistics.percentiles(waited_ms, list(LATE_SHARES.values()))
    return Percentiles(**dict(zip(LATE_SHARES, found, strict=True)))


def objections(
    load: Load,
    rounds: Sequence[Arrivals],
    ended: int,
    latency_ms: Percentiles,
    thresholds: Thresholds,
) -> Iterator[Objection]:
    """The reasons against the driver.

    Args:
        load: The load; there are no reasons unless it is scheduled.
        rounds: The rounds whose schedule is known.
        ended: How many rounds ran to their end.
        latency_ms: Of all rounds: lateness spoils the same percentile of it.
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
        # Of evenly spaced arrivals one may be at the edge, to either side of it.
        least = one.planned - (1 if load.spacing == "constant" else 0)
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
    yield from _from_lateness(what, rounds, latency_ms, thresholds)


def _from_lateness(
    what: str, rounds: Sequence[Arrivals], latency_ms: Percentiles, thresholds: Thresholds
) -> Iterator[Objection]:
    """The tail of lateness makes the tail of latencies, its median their median."""
    for share in reversed(LATE_SHARES):
        spoiled_ms = getattr(latency_ms, share)
        if spoiled_ms is None:
            # Too few samples for a tail: what is shown is the median.
            spoiled_ms = latency_ms.p50 or 0.0
        allowed_ms = thresholds.lag_allowance_ms + thresholds.max_lag_share * spoiled_ms
        known = [late for one in rounds if (late := getattr(one.late_ms, share)) is not None]
        if max(known, default=0.0) > allowed_ms:
            yield Objection.of(
                ObjectionCode.SENT_LATE, late_ms=max(known), what=what, percentile=share
            )
            return
