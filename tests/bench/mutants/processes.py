"""Forked processes: what was imported before is there at once, and none can harm another."""

from __future__ import annotations

import os
import resource
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import psutil

MEMORY_BYTES = 2 << 30
"""What each may take beside what was there before: an endless list ends in time."""


def each(
    tasks: Sequence[Callable[[], int]], *, at_once: int, cpu_s: Callable[[int], float]
) -> Iterator[tuple[int, int]]:
    """Run every task in a process of its own.

    Args:
        tasks: Each returns an exit code. Nothing that it prints is shown.
        at_once: How many run at the same time.
        cpu_s: By number of the task: CPU seconds after which it is killed. One that waits and
            spends none is killed after ten times as long.

    Yields:
        Number of a task and its exit code, as they end; of one that was killed the negative signal.
    """
    waiting = deque(range(len(tasks)))
    running: dict[int, int] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            number = waiting.popleft()
            pid = os.fork()
            if not pid:
                _run(tasks[number], round(cpu_s(number)) + 1)
            running[pid] = number
        pid, status = os.wait()
        yield running.pop(pid), os.waitstatus_to_exitcode(status)


def _run(task: Callable[[], int], cpu_s: int) -> None:
    """Never returns."""
    code = 70
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        memory = psutil.Process().memory_info().vms + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
        signal.alarm(10 * cpu_s)
        code = task()
    finally:
        os._exit(code)
