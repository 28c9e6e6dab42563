"""Looks at a target from outside while it is driven: CPU time, memory, threads."""

from __future__ import annotations

import platform
import struct
import time
from pathlib import Path

import psutil

from harness.vocabulary.record import TargetReading

LINUX = platform.system() == "Linux"

CHILDREN_INTERVAL_S = 1.0
"""Finding children reads every process of the machine: too dear for each reading."""

LAG_PATIENCE_S = 0.2

_LAG_PAIR = struct.Struct("<qq")


class TargetMonitor:
    """Reads one process and its children.

    Attributes:
        readings: What was read so far, in time order.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._processes = [psutil.Process(pid)]
        except psutil.NoSuchProcess:
            self._processes = []
        self._looked_for_children_at = 0.0
        self.readings: list[TargetReading] = []

    def read(self) -> None:
        """Take one reading; none when the process is gone."""
        if not self._processes:
            return
        root = self._processes[0]
        cpu_ns = rss = threads = 0
        at_ns = time.monotonic_ns()
        try:
            if time.monotonic() - self._looked_for_children_at > CHILDREN_INTERVAL_S:
                self._processes = [root, *root.children(recursive=True)]
                self._looked_for_children_at = time.monotonic()
            for process in self._processes:
                with process.oneshot():
                    cpu_ns += _cpu_ns(process)
                    rss += process.memory_info().rss
                    threads += process.num_threads()
        except (psutil.Error, OSError):
            return
        self.readings.append(TargetReading(at_ns, cpu_ns, rss, threads))


def read_loop_lag(path: Path, start_ns: int, end_ns: int) -> tuple[tuple[int, int], ...]:
    """The (monotonic ns, lag ns) pairs of a stretch; empty when the target writes none.

    The target writes a few times a second: the end of the stretch is awaited for a moment.
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


def _cpu_ns(process: psutil.Process) -> int:
    if LINUX:
        # The CPU clock of another process, exact to the nanosecond, ended threads included;
        # /proc/PID/stat counts in steps of 10 ms. The id's encoding is the kernel's own:
        # include/linux/posix-timers_types.h, CPUCLOCK_SCHED for a process.
        return time.clock_gettime_ns(~process.pid << 3 | 2)
    times = process.cpu_times()
    return round((times.user + times.system) * 1e9)
