"""The clock of all samples."""

from __future__ import annotations

import time

clock = time.monotonic_ns
"""Nanoseconds of CLOCK_MONOTONIC: the same for all processes of a machine since it was started."""
