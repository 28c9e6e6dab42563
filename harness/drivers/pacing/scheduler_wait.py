"""Time this process was runnable but not scheduled, and when that was."""

from __future__ import annotations

import os
from collections.abc import Callable

from loopmark.harness.vocabulary.job import SHORTEST_WAIT_NS, Wait

_SCHEDSTAT = "/proc/self/schedstat"

MOST = 20_000
"""Intervals kept: at 5 ms they are all of a hundred seconds in which the driver always waited."""


def waited_s() -> float | None:
    """Seconds in which the main thread was ready to run and another had the processor.

    The second number of the kernel's schedstat (Documentation/scheduler/sched-stats.rst). None
    where the kernel does not keep it.
    """
    try:
        # Two hundred times a second: the bare calls take a quarter of what a file object takes.
        file = os.open(_SCHEDSTAT, os.O_RDONLY)
        try:
            return int(os.read(file, 64).split()[1]) / 1e9
        finally:
            os.close(file)
    except (OSError, ValueError, IndexError):
        return None


class WaitLog:
    """Notes the intervals in which the process waited.

    Args:
        read: Seconds waited since its start; None where that is unknown.

    Attributes:
        total_s: Seconds waited since `start`; None where that is unknown.
        waits: The intervals in which it waited for more than a moment, in time order.
    """

    def __init__(self, read: Callable[[], float | None] = waited_s) -> None:
        self._read = read
        self._at_start: float | None = None
        self._before: float | None = None
        self._from_ns = 0
        self.total_s: float | None = None
        self.waits: list[Wait] = []

    def start(self, at_ns: int) -> None:
        """Begin, at this time (CLOCK_MONOTONIC)."""
        self._at_start = self._before = self._read()
        self._from_ns = at_ns

    def note(self, at_ns: int) -> None:
        """End the interval that began with the last call, at this time."""
        now = self._read()
        if now is None or self._before is None or self._at_start is None:
            return
        self.total_s = now - self._at_start
        waited_ns = round(1e9 * (now - self._before))
        if waited_ns >= SHORTEST_WAIT_NS and len(self.waits) < MOST:
            self.waits.append(Wait(self._from_ns, at_ns, waited_ns))
        self._before, self._from_ns = now, at_ns
