"""How far another machine's clock is from ours, from messages that went there and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_UNCERTAINTY_NS = 5_000_000
"""An offset known no better than this aligns nothing: windows would differ by more than a scheduler
makes them differ."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One message to another clock and back, in nanoseconds.

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
    """The other clock less ours, and at most how wrong that is; nanoseconds."""

    offset_ns: int
    uncertainty_ns: int

    @property
    def aligns(self) -> bool:
        """Whether times of the other clock can be told in ours."""
        return self.uncertainty_ns <= MAX_UNCERTAINTY_NS


def offset(exchanges: Sequence[Exchange]) -> Offset | None:
    """The offset by the exchange that took the least time; None without any.

    The other clock was read somewhere between sending and receiving, so the middle is wrong by half
    the time between at most (Cristian, 1989); what took the least time there and back has queued
    the least (the clock filter of NTP; RFC 5905, section 10).
    """
    if not exchanges:
        return None
    best = min(exchanges, key=lambda one: one.received_ns - one.sent_ns)
    between = best.received_ns - best.sent_ns
    return Offset(best.there_ns - (best.sent_ns + between // 2), -(-between // 2))


def with_drift(before: Offset, after: Offset | None) -> Offset:
    """The offset before a stretch, as uncertain as it is for the whole of it."""
    if after is None:
        return before
    drift = abs(after.offset_ns - before.offset_ns)
    return Offset(before.offset_ns, max(before.uncertainty_ns, after.uncertainty_ns + drift))
