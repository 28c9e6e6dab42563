"""An event loop whose time passes at once: from one call straight to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

LATE_NS = 300_000
"""As late as that its timers fire, as those of real loops do."""

MANY = 1_000_000
"""Calls after which a test would never end."""


class Handle:
    """A call that is still to come."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Do not make it."""
        self.call = None


class FakeLoop:
    """Makes its calls in order, until there are none.

    It has timers only: no file descriptor of the system's wakes it.
    """

    def __init__(self) -> None:
        self._now_ns = 10**15
        self._calls: list[tuple[int, int, Handle]] = []
        self._order = count()

    def now_ns(self) -> int:
        """Its time, which stands still during a call."""
        return self._now_ns

    def spend(self, ns: int) -> None:
        """Let time pass within a call: it takes so long."""
        self._now_ns += ns

    def call_soon(self, call: Callable[[], object], /) -> Handle:
        """Call it after what is ready now."""
        return self._at(self._now_ns, call)

    def call_later(self, delay: float, call: Callable[[], object], /) -> Handle:
        """Call it after so many seconds, and a little later than that."""
        return self._at(self._now_ns + round(delay * 1e9) + LATE_NS, call)

    def add_reader(self, fd: int, call: Callable[[], object], /) -> object:
        """None of its file descriptors can be read."""
        raise AssertionError(f"file descriptor {fd} cannot wake this loop for {call}")

    def remove_reader(self, fd: int, /) -> object:
        """None of its file descriptors can be read."""
        raise AssertionError(f"file descriptor {fd} does not wake this loop")

    def run(self) -> None:
        """Make all calls, and those that they ask for."""
        for _ in range(MANY):
            if not self._calls:
                return
            at_ns, _, handle = heapq.heappop(self._calls)
            if handle.call is not None:
                self._now_ns = max(self._now_ns, at_ns)
                handle.call()
        raise AssertionError("the calls never end")

    def _at(self, at_ns: int, call: Callable[[], object]) -> Handle:
        handle = Handle(call)
        heapq.heappush(self._calls, (at_ns, next(self._order), handle))
        return handle
