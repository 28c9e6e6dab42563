"""How late the driver's own event loop wakes: a driver that lags measures itself."""

from __future__ import annotations

import asyncio
import time
from array import array

INTERVAL_S = 0.005


class LoopLagMeter:
    """Re-arms a 5 ms timer and keeps how late each one fired, in seconds.

    uvloop's timers and its `time()` count whole milliseconds, so the lag is taken from the
    monotonic clock, and up to 1 ms of it is rounding.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._armed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.lags_s = array("d")

    def start(self) -> None:
        """Begin to measure, forgetting what was measured before."""
        self.lags_s = array("d")
        self._arm()

    def stop(self) -> None:
        """End; `lags_s` stays as it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._armed_at = time.monotonic()
        self._timer = self._loop.call_later(INTERVAL_S, self._fire)

    def _fire(self) -> None:
        self.lags_s.append(max(0.0, time.monotonic() - self._armed_at - INTERVAL_S))
        self._arm()
