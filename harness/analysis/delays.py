"""What a driver's own delay can have done to the figures of a round: bounds instead of a verdict.

While the driver is ready to run and another process has its processor, requests are sent and
responses are read late. Such stretches, of `waited_s` seconds in all, can only have made a round
look slower than it was: the bounds below are what is left if all of it is taken off.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from loopmark.harness.analysis.latencies import PERCENTILES, Latencies
from loopmark.harness.vocabulary.figures import Percentiles, RoundResult
from loopmark.harness.vocabulary.load import Load

_LEAST_SHARE = 0.01
"""A figure that delay alone could explain is bounded by a hundredth of it: the bound says nothing,
and remains a number."""


def undelayed(
    load: Load, result: RoundResult, latencies_ms: Latencies, waited_s: float | None
) -> RoundResult | None:
    """The figures of a round as they would be at most without the driver's delay.

    A burst ends at most `waited_s` earlier. Flows that go on for a fixed time lose at most that
    much of it. A latency is at most `waited_s` shorter, and all of them together at most `waited_s`
    for each request in flight. CPU per request is not made larger by delay, and stays.

    Args:
        load: Its load.
        result: As measured.
        latencies_ms: Of its right answers, in milliseconds.
        waited_s: Seconds in which the driver was ready to run and did not; None where the machine
            does not say.

    Returns:
        None where nothing is known about delay.
    """
    if waited_s is None or result.window_s <= 0:
        return None
    left = max(1 - waited_s / result.window_s, _LEAST_SHARE)
    makespan_s = result.makespan_s
    return replace(
        result,
        makespan_s=None if makespan_s is None else makespan_s * left,
        throughput_rps=result.throughput_rps / left,
        latency_ms=_shortened(result.latency_ms, latencies_ms, 1e3 * waited_s, load.concurrency),
    )


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


def _shortened(
    found: Percentiles, latencies_ms: Latencies, each_ms: float, in_flight: int
) -> Percentiles:
    ordered = np.sort(latencies_ms)
    known = {name: p for name, p in PERCENTILES.items() if getattr(found, name) is not None}
    return replace(
        found,
        **{
            name: max(
                shortest_percentile(ordered, p, each_ms, each_ms * in_flight),
                _LEAST_SHARE * getattr(found, name),
            )
            for name, p in known.items()
        },
    )
