"""A timer on the event loop that fires within microseconds instead of milliseconds."""

from __future__ import annotations

import ctypes
import heapq
import os
import platform
import struct
from collections.abc import Callable
from itertools import count

from loopmark.harness.drivers.pacing.loop import Handle, Loop

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_ABSOLUTE = 1
_ITIMERSPEC = struct.Struct("@qqqq")
"""Interval and value, each in seconds and nanoseconds (timerfd_settime(2))."""


class PreciseTimer:
    """Calls a function at times of the monotonic clock, one after another.

    The timers of uvloop, of asyncio's epoll and of gevent count whole milliseconds: at a thousand
    requests a second that is a whole request. On Linux a timerfd wakes the loop instead; elsewhere
    the loop's own timer is used.

    Args:
        loop: The event loop that it wakes.
        fire: The function to call.
    """

    def __init__(self, loop: Loop, fire: Callable[[], None]) -> None:
        self._loop = loop
        self._fire = fire
        self._handle: Handle | None = None
        self._closed = False
        self._fd = -1
        if platform.system() == "Linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
            if self._fd < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            self._loop.add_reader(self._fd, self._readable)

    def arm(self, at_ns: int) -> None:
        """Fire at this time of CLOCK_MONOTONIC, or at once if it is past."""
        if self._closed:
            return
        if self._handle is not None:
            self._handle.cancel()
        if self._fd < 0:
            delay_s = max(0.0, (at_ns - self._loop.now_ns()) / 1e9)
            self._handle = self._loop.call_later(delay_s, self._fire)
            return
        # A value of zero would disarm it.
        spec = _ITIMERSPEC.pack(0, 0, *divmod(max(at_ns, 1), 10**9))
        if self._libc.timerfd_settime(self._fd, _ABSOLUTE, spec, None) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def close(self) -> None:
        """Never fire again, armed or not."""
        self._closed = True
        if self._handle is not None:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        self._fire()


class Calendar:
    """Calls functions when they are due: a `PreciseTimer` for any number of times."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._timer = PreciseTimer(loop, self._fire)
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, due_ns: int, call: Callable[[], None]) -> None:
        """Call it at this time of CLOCK_MONOTONIC, or soon if it is past."""
        entry = (due_ns, next(self._order), call)
        heapq.heappush(self._entries, entry)
        if self._entries[0] is entry:
            self._timer.arm(due_ns)

    def close(self) -> None:
        """Cancel all calls."""
        self._entries.clear()
        self._timer.close()

    def _fire(self) -> None:
        now_ns = self._loop.now_ns()
        while self._entries and self._entries[0][0] <= now_ns:
            heapq.heappop(self._entries)[2]()
        if self._entries:
            self._timer.arm(self._entries[0][0])
