"""The measured window of a round, and the driver's resource use within it."""

from __future__ import annotations

import time

from loopmark.harness.drivers.pacing.loop import Loop
from loopmark.harness.drivers.pacing.loop_lag import LoopLagMeter
from loopmark.harness.drivers.pacing.scheduler_wait import WaitLog
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.vocabulary.job import DriverReport


class Window:
    """Opened once, closed once.

    Args:
        loop: Whose time it takes, and whose lag it measures meanwhile.

    Attributes:
        start_ns: When it was opened (CLOCK_MONOTONIC).
        end_ns: Its end.
        unsent: Arrivals due within it that the driver did not start.
        is_closed: Whether it has ended.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waits = WaitLog()
        self._lag = LoopLagMeter(loop, self._waits)
        self._cpu_at_start = 0.0
        self._cpu_s = 0.0
        self.start_ns = self.end_ns = 0
        self.unsent = 0
        self.is_closed = False

    def open(self, start_ns: int | None = None) -> None:
        """Open the window, at `start_ns` if that was agreed before."""
        self._lag.start()
        self._cpu_at_start = time.process_time()
        self.start_ns = start_ns or self._loop.now_ns()

    def close(self, end_ns: int | None = None) -> None:
        """Close the window, at `end_ns` if it ended before now."""
        self.end_ns = end_ns or self._loop.now_ns()
        self.is_closed = True
        self._cpu_s = time.process_time() - self._cpu_at_start
        self._lag.stop()

    def report(self, recording: Recording) -> DriverReport:
        """The driver's report on itself."""
        return DriverReport(
            window_start_ns=self.start_ns,
            window_end_ns=self.end_ns,
            requests=recording.requests,
            unsent=self.unsent,
            cpu_s=self._cpu_s,
            waited_s=self._waits.total_s,
            loop_lag_ms_p99=self._lag.percentile_ms(0.99),
            loop_lag_ms_max=self._lag.max_ms,
            error_examples={kind: tuple(found) for kind, found in recording.examples.items()},
            waits=tuple(self._waits.waits),
        )
