"""The loop that one writes around an asyncio HTTP client: users that ask again when answered.

Latency counts from sending, as in most such scripts; failures are counted and timed like answers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from array import array
from collections.abc import Awaitable, Callable

from loopmark.harness.analysis.statistics import has_enough_beyond, percentile
from tests.bench.driver.generators.leaving import leave
from tests.bench.driver.task import PERCENTILES, Reading, Task, say

RAMP_SHARE = 0.5
OK = 200


class _Window:
    is_open = False
    errors = 0

    def __init__(self) -> None:
        self.latency_s = array("d")


async def drive(task: Task, get: Callable[[], Awaitable[int]]) -> None:
    """Let `task.users` ask through `get`, which returns the status; say what came of it, and leave.

    The process ends here: it never returns.
    """
    window = _Window()
    # With httpx's own pool and 1000 connections one turn of the event loop takes seconds: a timer
    # on it would make a window of half a minute out of one of two seconds.
    threading.Thread(target=_watch, args=(task, window), daemon=True).start()
    # Users that are all started at once stay in step; those with a pace share its period.
    spread_s = task.pause_s or RAMP_SHARE * task.warmup_s
    await asyncio.gather(
        *(
            _user(number / task.users * spread_s, task.pause_s, get, window)
            for number in range(task.users)
        )
    )


def _watch(task: Task, window: _Window) -> None:
    time.sleep(task.warmup_s)
    window.is_open = True
    cpu_s, start_s = time.process_time(), time.perf_counter()
    time.sleep(task.duration_s)
    window.is_open = False
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - start_s
    say(reading(window.latency_s, window.errors, cpu_s, wall_s))
    leave()


def reading(latency_s: array[float], errors: int, cpu_s: float, wall_s: float) -> Reading:
    """Summarise exactly, percentiles only where enough samples carry them."""
    count = len(latency_s)
    latency_ms = {
        name: 1000 * percentile(latency_s, p)
        for name, p in PERCENTILES.items()
        if has_enough_beyond(count, p)
    }
    return Reading(count, errors, cpu_s, wall_s, latency_ms)


async def _user(
    delay_s: float, pause_s: float, get: Callable[[], Awaitable[int]], window: _Window
) -> None:
    await asyncio.sleep(delay_s)
    while True:
        sent_s = time.perf_counter()
        try:
            failed = await get() != OK
        except Exception:  # noqa: BLE001 - whatever a client raises is a failed request
            failed = True
        latency_s = time.perf_counter() - sent_s
        if window.is_open:
            window.latency_s.append(latency_s)
            window.errors += failed
        if pause_s:
            await asyncio.sleep(max(0.0, pause_s - latency_s))
