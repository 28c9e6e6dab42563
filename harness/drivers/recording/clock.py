"""The clock of all samples."""

from __future__ import annotations

import time
from pathlib import Path

clock = time.monotonic_ns
"""Nanoseconds of CLOCK_MONOTONIC: the same for all processes of a machine since it was started."""


def clock_id() -> str:
    """What tells this clock from others: two processes with the same one share it.

    CLOCK_MONOTONIC begins anew when a machine starts, and a time namespace moves it
    (time_namespaces(7)). Empty where the system does not tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = Path("/proc/self/ns/time").readlink()
    except OSError:
        return ""
    return f"{boot}/{namespace}"
