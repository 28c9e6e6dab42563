"""gevent's hub as the event loop of load models and meters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

from loopmark.harness.drivers.recording.clock import clock

READABLE = 1


class GeventLoop:
    """Runs calls from the hub, where nothing may block.

    Args:
        on_problem: Called with an exception of a call; the hub itself would only print it.
    """

    now_ns = staticmethod(clock)

    def __init__(self, on_problem: Callable[[Exception], None]) -> None:
        self._loop = gevent.get_hub().loop
        self._on_problem = on_problem
        self._readers: dict[int, Any] = {}

    def call_soon(self, call: Callable[[], object], /) -> object:
        """Call it after all ready events, and after polling for answers again."""
        return self.call_later(0.0, call)

    def call_later(self, delay: float, call: Callable[[], object], /) -> _Timer:
        """Call it after this many seconds."""
        return _Timer(self._loop.timer(delay), self._run, call)

    def add_reader(self, fd: int, call: Callable[[], object], /) -> None:
        """Call it whenever the file descriptor is readable."""
        watcher = self._loop.io(fd, READABLE)
        watcher.start(self._run, call)
        self._readers[fd] = watcher

    def remove_reader(self, fd: int, /) -> None:
        """Stop calling it."""
        watcher = self._readers.pop(fd)
        watcher.stop()
        watcher.close()

    def _run(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as problem:  # noqa: BLE001 - passed to the waiting code
            self._on_problem(problem)


class _Timer:
    """A scheduled call."""

    def __init__(
        self,
        timer: Any,  # noqa: ANN401 - gevent has no types
        run: Callable[[Callable[[], object]], None],
        call: Callable[[], object],
    ) -> None:
        self._timer = timer
        timer.start(self._fire, run, call, update=True)

    def cancel(self) -> None:
        """Cancel it."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None

    def _fire(
        self, run: Callable[[Callable[[], object]], None], call: Callable[[], object]
    ) -> None:
        self.cancel()
        run(call)
