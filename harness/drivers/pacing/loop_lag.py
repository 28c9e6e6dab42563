"""Lag of the driver's own event loop: a driver that lags measures itself."""

from __future__ import annotations

from array import array

from loopmark.harness.drivers.pacing.loop import Handle, Loop
from loopmark.harness.drivers.pacing.scheduler_wait import WaitLog
from loopmark.harness.vocabulary.job import LAG_INTERVAL_NS

BIN_MS = 0.05
BINS = 40_000
"""Up to 2 s; larger lags count in the last bin, while the maximum is exact."""


class LoopLagMeter:
    """Re-arms a 5 ms timer and counts how late it fired, in bins: memory does not grow with time.

    The timers of uvloop and gevent count whole milliseconds, so the lag is taken from the monotonic
    clock, and up to 1 ms of it is rounding.

    Args:
        loop: The event loop.
        waits: Notes the intervals between the timer's calls in which the process waited.

    Attributes:
        max_ms: The largest lag.
    """

    def __init__(self, loop: Loop, waits: WaitLog) -> None:
        self._loop = loop
        self._waits = waits
        self._due_ns = 0
        self._timer: Handle | None = None
        self._clear()

    def start(self) -> None:
        """Start measuring."""
        self._waits.start(self._loop.now_ns())
        self._arm()

    def stop(self) -> None:
        """Stop measuring; the figures stay."""
        self._waits.note(self._loop.now_ns())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def percentile_ms(self, p: float) -> float:
        """The upper bound of the bin that holds the percentile; 0 when nothing was measured."""
        total = sum(self._counts)
        seen = 0
        for number, count in enumerate(self._counts):
            seen += count
            if total and seen >= p * total:
                return min((number + 1) * BIN_MS, self.max_ms)
        return 0.0

    def _clear(self) -> None:
        self._counts = array("q", bytes(8 * BINS))
        self.max_ms = 0.0

    def _count(self, lag_ms: float) -> None:
        self._counts[min(int(lag_ms / BIN_MS), BINS - 1)] += 1
        self.max_ms = max(self.max_ms, lag_ms)

    def _arm(self) -> None:
        self._due_ns = self._loop.now_ns() + LAG_INTERVAL_NS
        self._timer = self._loop.call_later(LAG_INTERVAL_NS / 1e9, self._fire)

    def _fire(self) -> None:
        now_ns = self._loop.now_ns()
        self._count(max(0, now_ns - self._due_ns) / 1e6)
        self._waits.note(now_ns)
        self._arm()
