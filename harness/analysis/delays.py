"""What a driver's own delay can have done to the figures of a round: bounds instead of a verdict.

While the driver is ready to run and another process has its processor, requests are sent and
responses are read late. Such stretches, of `waited_s` seconds in all, can only have made a round
look slower than it was: the bounds below are what is left if all of it is taken off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from loopmark.harness.analysis.latencies import PERCENTILES, Latencies
from loopmark.harness.vocabulary.figures import Percentiles, RoundResult
from loopmark.harness.vocabulary.job import DriverReport, Wait
from loopmark.harness.vocabulary.load import Load

Times: TypeAlias = npt.NDArray[np.int64]
"""Nanoseconds."""

_LEAST_SHARE = 0.01
"""A figure that delay alone could explain is bounded by a hundredth of it: the bound says nothing,
and remains a number."""


def undelayed(
    load: Load, result: RoundResult, right: pd.DataFrame, report: DriverReport
) -> RoundResult | None:
    """The figures of a round as they would be at most without the driver's delay.

    A burst ends at most `waited_s` earlier. Flows that go on for a fixed time lose at most that
    much of it. A latency is at most so much shorter as the driver waited meanwhile. CPU per request
    is not made larger by delay, and stays.

    Args:
        load: Its load.
        result: As measured.
        right: The samples with the right answer that its latencies are of.
        report: The driver's.

    Returns:
        None where nothing is known about delay.
    """
    if report.waited_s is None or result.window_s <= 0:
        return None
    left = max(1 - report.waited_s / result.window_s, _LEAST_SHARE)
    begins = right[f"{load.traits.latency_from}_ns"].to_numpy(dtype=np.int64)
    ends = right["done_ns"].to_numpy(dtype=np.int64)
    shortened_ms = (ends - begins - overlaps_ns(begins, ends, report.waits)) / 1e6
    # Waits too short to be noted, or of workers whose waits are unknown, may have been anywhere.
    rest_ms = max(1e3 * report.waited_s - sum(one.waited_ns for one in report.waits) / 1e6, 0.0)
    makespan_s = result.makespan_s
    return replace(
        result,
        makespan_s=None if makespan_s is None else makespan_s * left,
        throughput_rps=result.throughput_rps / left,
        latency_ms=_shortest(result.latency_ms, shortened_ms, rest_ms, load.concurrency),
    )


def overlaps_ns(begins: Times, ends: Times, waits: Sequence[Wait]) -> Times:
    """By request: how long the driver waited meanwhile, at most.

    Where within its interval a wait fell is unknown: an interval that a request shares in part
    counts as far as both reach.
    """
    if not waits or not begins.size:
        return np.zeros_like(begins)
    starts, stops, waited = (np.array(one, dtype=np.int64) for one in zip(*waits, strict=True))
    before = np.concatenate([[0], np.cumsum(waited)])
    first = np.searchsorted(stops, begins, side="right")
    last = np.searchsorted(starts, ends, side="left") - 1
    found: Times = np.zeros_like(begins)
    some = last >= first
    i, j, begin, end = first[some], last[some], begins[some], ends[some]

    def shared(at: Times) -> Times:
        both = np.minimum(stops[at], end) - np.maximum(starts[at], begin)
        least: Times = np.minimum(waited[at], both)
        return least

    between = before[np.maximum(j, i + 1)] - before[i + 1]
    found[some] = shared(i) + np.where(j > i, between + shared(j), 0)
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
    found: Percentiles, shortened_ms: Latencies, rest_ms: float, in_flight: int
) -> Percentiles:
    ordered = np.sort(shortened_ms)
    known = {name: p for name, p in PERCENTILES.items() if getattr(found, name) is not None}
    return replace(
        found,
        **{
            name: max(
                shortest_percentile(ordered, p, rest_ms, rest_ms * in_flight),
                _LEAST_SHARE * getattr(found, name),
            )
            for name, p in known.items()
        },
    )
