"""When a request was sent and done, from Locust's event. Numbers in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass

LONGEST_MS = 86_400_000.0
"""A day. A longer time was not in milliseconds."""

ALLOWANCE_NS = 5_000_000
"""The two clocks of an event, that of its start and that of its duration, differ by microseconds;
above this, its start is not the beginning of the measured time."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Times in ns of CLOCK_MONOTONIC.

    Attributes:
        sent_ns: When it was sent.
        done_ns: When it was done.
        known: Whether the event has a valid duration.
    """

    sent_ns: int
    done_ns: int
    known: bool


def moments(
    response_time: object, start_time: object, now_ns: int, wall_s: float, since_ns: int
) -> Moments:
    """The times of one request.

    The event can fire late, if the locustfile first reads the answer; so times are counted from its
    start if that is plausible, otherwise back from now.

    Args:
        response_time: The event's value: milliseconds, if it is Locust's own.
        start_time: Seconds since the epoch, from the event.
        now_ns: CLOCK_MONOTONIC when the event fired.
        wall_s: Seconds since the epoch at that time.
        since_ns: CLOCK_MONOTONIC before which no request was sent.
    """
    took_ms = number(response_time)
    known = took_ms is not None and 0 <= took_ms <= LONGEST_MS
    took_ns = round(took_ms * 1e6) if took_ms is not None and known else 0
    done_ns = now_ns
    started_s = number(start_time)
    if started_s is not None:
        ago_ns = (wall_s - started_s) * 1e9
        if took_ns - ALLOWANCE_NS <= ago_ns <= now_ns - since_ns:
            done_ns = min(now_ns, now_ns - round(ago_ns) + took_ns)
    return Moments(done_ns - took_ns, done_ns, known)


def number(value: object) -> float | None:
    """A finite number unchanged; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
