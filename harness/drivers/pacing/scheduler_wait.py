"""Time this process was runnable but not scheduled."""

from __future__ import annotations

from pathlib import Path

_SCHEDSTAT = Path("/proc/self/schedstat")


def waited_s() -> float | None:
    """Seconds in which the main thread was ready to run and another had the processor.

    The second number of the kernel's schedstat (Documentation/scheduler/sched-stats.rst). None
    where the kernel does not keep it.
    """
    try:
        return int(_SCHEDSTAT.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
