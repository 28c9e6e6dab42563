"""Reads a target's counters from outside during a round."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from pathlib import Path

import psutil

from loopmark.harness.vocabulary.record import TargetReading
from loopmark.harness.watch.process_counters import (
    Counted,
    Increasing,
    ProcessCounters,
    process_counters,
)

CHILDREN_INTERVAL_S = 1.0
"""Finding children reads every process of the machine, a millisecond or more: not every time."""

LAG_PATIENCE_S = 0.2

_LAG_PAIR = struct.Struct("<qq")


class TargetMonitor:
    """Reads one process and its children.

    Attributes:
        readings: What was read so far, in time order.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._counters: dict[int, ProcessCounters] = {}
        self._looked_for_children_at = float("-inf")
        self._cpu_ns = Increasing()
        self._switches = Increasing()
        self.readings: list[TargetReading] = []

    def read(self) -> None:
        """Take one reading; none when the process is gone."""
        at_ns = time.monotonic_ns()
        if time.monotonic() - self._looked_for_children_at > CHILDREN_INTERVAL_S:
            self._find_processes()
            self._looked_for_children_at = time.monotonic()
        counted: dict[int, Counted] = {}
        for pid in list(self._counters):
            try:
                counted[pid] = self._counters[pid].read()
            except (OSError, psutil.Error):
                # What a child that ended has used stays in the sums.
                self._counters.pop(pid).close()
        if self._pid not in counted:
            return
        self.readings.append(
            TargetReading(
                at_ns=at_ns,
                cpu_ns=self._cpu_ns.update({pid: one.cpu_ns for pid, one in counted.items()}),
                rss_bytes=sum(one.rss_bytes for one in counted.values()),
                threads=sum(one.threads for one in counted.values()),
                sockets=sum(one.sockets for one in counted.values()),
                files=sum(one.files for one in counted.values()),
                context_switches=self._switches.update(
                    {pid: one.context_switches for pid, one in counted.items()}
                ),
            )
        )

    def close(self) -> None:
        """Close open files; there are no readings afterwards."""
        for counters in self._counters.values():
            counters.close()
        self._counters.clear()
        self._looked_for_children_at = float("inf")

    def _find_processes(self) -> None:
        with suppress(psutil.Error):
            root = psutil.Process(self._pid)
            for pid in (self._pid, *(child.pid for child in root.children(recursive=True))):
                if pid not in self._counters:
                    self._counters[pid] = process_counters(pid)


def read_loop_lag(path: Path, start_ns: int, end_ns: int) -> tuple[tuple[int, int], ...]:
    """The (monotonic ns, lag ns) pairs of an interval; empty when the target writes none.

    The target writes a few times a second, so this waits a moment for the end of the interval.
    """
    if not path.exists():
        return ()
    deadline = time.monotonic() + LAG_PATIENCE_S
    pairs = _lag_pairs(path)
    while (not pairs or pairs[-1][0] < end_ns) and time.monotonic() < deadline:
        time.sleep(LAG_PATIENCE_S / 10)
        pairs = _lag_pairs(path)
    return tuple(pair for pair in pairs if start_ns <= pair[0] <= end_ns)


def _lag_pairs(path: Path) -> list[tuple[int, int]]:
    content = path.read_bytes()
    whole = len(content) - len(content) % _LAG_PAIR.size
    return list(_LAG_PAIR.iter_unpack(content[:whole]))
