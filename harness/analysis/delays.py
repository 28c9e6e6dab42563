"""What a driver's own delay can have done to the figures of a round: bounds instead of a verdict.

While the driver is ready to run and another process has its processor, requests are sent and
responses are read late. That can only have made a round look slower than it was: the bounds below
are what is left if all of it is taken off. What the driver waits while nothing is to be sent or
read delays nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from loopmark.harness.analysis.latencies import PERCENTILES, Latencies
from loopmark.harness.vocabulary.figures import Percentiles, RoundResult
from loopmark.harness.vocabulary.job import LAG_INTERVAL_NS, SHORTEST_WAIT_NS, DriverReport, Wait
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.metrics import METRICS

Times: TypeAlias = npt.NDArray[np.int64]
"""Nanoseconds."""

READ_NS = 6_000_000
"""The driver's loop turns at least every 5 ms, for its lag meter, and then reads whatever has come:
a response was delayed only by waits within its last turns."""

_LEAST_SHARE = 0.01
"""A figure that delay alone could explain is bounded by a hundredth of it: the bound says nothing,
and remains a number."""


def undelayed(
    load: Load, result: RoundResult, right: pd.DataFrame, report: DriverReport
) -> RoundResult | None:
    """The figures of a round as they would be at most without the driver's delay.

    Each latency is shorter by what its own request was delayed. A burst ends when the last of its
    users would have, each earlier by all its delays. Users who go on for a fixed time lose so much
    of it (Little's law: their number is throughput times the time of a turn). CPU per request is
    not made larger by delay, and stays.

    Args:
        load: Its load.
        result: As measured.
        right: The samples with the right answer that its latencies are of.
        report: The driver's.

    Returns:
        None where nothing is known about delay.
    """
    if report.waited_s is None or result.window_s <= 0 or right.empty:
        return None
    delays = _delays(load, right, report)
    begins = right[f"{load.traits.latency_from}_ns"].to_numpy(dtype=np.int64)
    ends = right["done_ns"].to_numpy(dtype=np.int64)
    shortened_ms = (ends - begins - delays.each_ns) / 1e6
    window_ns = report.window_end_ns - report.window_start_ns
    if load.traits.ends_with_last_answer:
        own = pd.DataFrame({"user": right["user"].to_numpy(), "end": ends, "off": delays.each_ns})
        users = own.groupby("user", sort=False)
        last = (users["end"].max() - users["off"].sum()).max() - report.window_start_ns
        left = (float(last) - delays.user_ns) / window_ns
    else:
        lost_ns = float(delays.each_ns.sum()) / load.concurrency + delays.user_ns
        left = 1 - lost_ns / window_ns
    left = min(max(left, _LEAST_SHARE), 1.0)
    makespan_s = result.makespan_s
    return replace(
        result,
        makespan_s=None if makespan_s is None else makespan_s * left,
        throughput_rps=result.throughput_rps / left,
        latency_ms=_shortest(
            result.latency_ms,
            shortened_ms,
            each_ms=delays.rest_ns / 1e6,
            together_ms=delays.user_ns * load.concurrency / 1e6,
        ),
    )


def delayed_share(load: Load, result: RoundResult, without: RoundResult | None) -> float | None:
    """The share of a round's main figure that delay can account for; None where that is unknown."""
    of_round = METRICS[load.traits.main or load.traits.headline].of_round
    if without is None or of_round is None:
        return None
    figures = of_round(result), of_round(without)
    known = [one for one in figures if one is not None and one > 0]
    return 1 - min(known) / max(known) if len(known) == len(figures) else None


@dataclass(frozen=True, slots=True)
class _Delays:
    """How long each request was delayed at most.

    Attributes:
        each_ns: By request, from the waits that were noted.
        rest_ns: What besides may have delayed any of them.
        user_ns: What besides may have delayed one user in all.
    """

    each_ns: Times
    rest_ns: float
    user_ns: float


def _delays(load: Load, right: pd.DataFrame, report: DriverReport) -> _Delays:
    due, sent, done = (
        right[name].to_numpy(dtype=np.int64) for name in ("due_ns", "sent_ns", "done_ns")
    )
    assert report.waited_s is not None
    rest_ns = max(1e9 * report.waited_s - sum(one.waited_ns for one in report.waits), 0.0)
    user_ns = rest_ns
    # If only waits too short to note are left, a request met few of them. It is not so for several
    # workers, of whom it is not known when they waited, and for a driver that noted no waits.
    turns = (report.window_end_ns - report.window_start_ns) / LAG_INTERVAL_NS
    if not report.workers and rest_ns <= SHORTEST_WAIT_NS * turns:
        rest_ns = min(rest_ns, SHORTEST_WAIT_NS)
        user_ns = min(user_ns, SHORTEST_WAIT_NS * done.size / load.concurrency)
    before_sent = overlaps_ns(due, sent, report.waits)
    if load.traits.latency_from == "sent" and load.traits.is_scheduled:
        before_sent = np.zeros_like(due)  # Sent by the target, as the deliveries of a fan-out.
    in_time = np.maximum(done - READ_NS, sent)
    before_read = np.minimum(overlaps_ns(in_time, done, report.waits, whole=True), done - sent)
    return _Delays(before_sent + before_read, rest_ns, user_ns)


def overlaps_ns(begins: Times, ends: Times, waits: Sequence[Wait], *, whole: bool = False) -> Times:
    """By request: how long the driver waited meanwhile, at most.

    Where within its interval a wait fell is unknown: an interval that a request shares in part
    counts as far as both reach, or as a whole.
    """
    if not waits or not begins.size:
        return np.zeros_like(begins)
    starts, stops, waited = (np.array(one, dtype=np.int64) for one in zip(*waits, strict=True))
    sums = np.concatenate([[0], np.cumsum(waited)])
    first = np.searchsorted(stops, begins, side="right")
    after = np.maximum(np.searchsorted(starts, ends, side="left"), first)
    found: Times = sums[after] - sums[first]
    if whole:
        return found
    some = after > first
    i, j, begin, end = first[some], after[some] - 1, begins[some], ends[some]

    def beyond(at: Times) -> Times:
        both = np.minimum(stops[at], end) - np.maximum(starts[at], begin)
        most: Times = np.maximum(waited[at] - both, 0)
        return most

    found[some] -= beyond(i) + np.where(j > i, beyond(j), 0)
    return found


def shortest_percentile(ordered: Latencies, p: float, each: float, together: float) -> float:
    """The smallest that the percentile of shortened values can be.

    Args:
        ordered: The values, ascending.
        p: Share of the values that are at or below the percentile.
        each: By how much any value may be shortened.
        together: By how much all of them may be.

    Returns:
        The least t for which shortening the values just above t to t, until the share `p` is at or
        below it, stays within both limits.
    """
    needed = max(math.ceil(p * ordered.size - 1e-9), 1)
    below = ordered[:needed]
    # To bring the last n of these down to the value before them costs so much, by n:
    count = np.arange(1, needed + 1)
    sums = np.cumsum(below[::-1])
    before = np.append(below[::-1][1:], 0.0)
    affordable = sums - count * before <= together
    # Costs rise with n: as many as can be brought down to the value before them, and one more.
    n = min(int(affordable.sum()) + 1, needed)
    reached = (sums[n - 1] - together) / n
    return float(max(reached, below[-1] - each, 0.0))


def _shortest(
    found: Percentiles, shortened_ms: Latencies, *, each_ms: float, together_ms: float
) -> Percentiles:
    ordered = np.sort(shortened_ms)
    known = {name: p for name, p in PERCENTILES.items() if getattr(found, name) is not None}
    return replace(
        found,
        **{
            name: max(
                shortest_percentile(ordered, p, each_ms, together_ms),
                _LEAST_SHARE * getattr(found, name),
            )
            for name, p in known.items()
        },
    )
