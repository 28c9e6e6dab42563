"""The event loop of load models, windows and meters, and the clock that they live by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from loopmark.harness.drivers.recording.clock import clock


class Handle(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel it."""


class Loop(Protocol):
    """An event loop, and its time."""

    def now_ns(self) -> int:
        """What its clock says; CLOCK_MONOTONIC in every driver."""

    def call_soon(self, call: Callable[[], object], /) -> object:
        """Call it after all ready events, and after polling for answers again."""

    def call_later(self, delay: float, call: Callable[[], object], /) -> Handle:
        """Call it after this many seconds."""

    def add_reader(self, fd: int, call: Callable[[], object], /) -> object:
        """Call it whenever the file descriptor is readable."""

    def remove_reader(self, fd: int, /) -> object:
        """Stop calling it."""


class AsyncioLoop:
    """The running asyncio loop. Its methods are the loop's own: a call costs no more.

    Its own time would not do: uvloop's counts whole milliseconds.
    """

    now_ns = staticmethod(clock)

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.call_soon = loop.call_soon
        self.call_later = loop.call_later
        self.add_reader = loop.add_reader
        self.remove_reader = loop.remove_reader
