"""The offset of another machine's clock, from round-trip messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_UNCERTAINTY_NS = 5_000_000
"""Above this uncertainty an offset is not used: windows would differ by more than through a
scheduler."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One round-trip message to another clock, in nanoseconds.

    Attributes:
        sent_ns: When it was sent, by our clock.
        there_ns: When it was answered, by the other.
        received_ns: When the answer came, by ours.
    """

    sent_ns: int
    there_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True)
class Offset:
    """The other clock minus ours, and the upper bound of the error; nanoseconds."""

    offset_ns: int
    uncertainty_ns: int

    @property
    def aligns(self) -> bool:
        """Whether times of the other clock can be converted to ours."""
        return self.uncertainty_ns <= MAX_UNCERTAINTY_NS


def offset(exchanges: Sequence[Exchange]) -> Offset | None:
    """The offset from the exchange with the shortest round trip; None without any.

    The other clock was read between sending and receiving, so the error of the middle is at most
    half of that time (Cristian, 1989); the shortest round trip has queued the least (the clock
    filter of NTP; RFC 5905, section 10).
    """
    if not exchanges:
        return None
    best = min(exchanges, key=lambda one: one.received_ns - one.sent_ns)
    between = best.received_ns - best.sent_ns
    return Offset(best.there_ns - (best.sent_ns + between // 2), -(-between // 2))


def with_drift(before: Offset, after: Offset | None) -> Offset:
    """The offset before a period, with the uncertainty for the whole period."""
    if after is None:
        return before
    drift = abs(after.offset_ns - before.offset_ns)
    return Offset(before.offset_ns, max(before.uncertainty_ns, after.uncertainty_ns + drift))
