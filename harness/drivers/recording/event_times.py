"""When a request was sent and done, from what Locust's event says of it. Numbers in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass

LONGEST_MS = 86_400_000.0
"""A day. What took longer was not measured in milliseconds."""

ALLOWANCE_NS = 5_000_000
"""The two clocks of an event, that of its start and that of its duration, differ by microseconds;
more than this, and its start is not the beginning of what it measured."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Times in ns of CLOCK_MONOTONIC.

    Attributes:
        sent_ns: When it was sent.
        done_ns: When it was done.
        known: Whether the event says how long it took.
    """

    sent_ns: int
    done_ns: int
    known: bool


def moments(
    response_time: object, start_time: object, now_ns: int, wall_s: float, since_ns: int
) -> Moments:
    """The moments of one request.

    The event can come late, for one whose answer the locustfile has looked at; so they are counted
    from its start where that is plausible, else back from now.

    Args:
        response_time: What the event says: milliseconds, if it is as Locust has it.
        start_time: Seconds since the epoch, as the event says.
        now_ns: CLOCK_MONOTONIC when the event came.
        wall_s: Seconds since the epoch at that moment.
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
    """A finite number as it is; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
