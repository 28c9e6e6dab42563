"""Neighbours that take processors from a run, as those of a shared machine do."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random
from types import MappingProxyType

SHORTEST_S, LONGEST_S = 0.005, 0.2
"""A burst of computing lasts between these, and so does the pause after it."""


def half(cpu: int) -> None:
    """Compute half of the time on one processor, until ended."""
    os.sched_setaffinity(0, {cpu})
    random = Random(cpu)
    parent = os.getppid()
    while os.getppid() == parent:
        burst_s = random.uniform(SHORTEST_S, LONGEST_S)
        end = time.monotonic() + burst_s
        while time.monotonic() < end:
            pass
        time.sleep(burst_s)


def always(cpu: int) -> None:
    """Compute all the time on one processor, until ended."""
    os.sched_setaffinity(0, {cpu})
    parent = os.getppid()
    while os.getppid() == parent:
        pass


KINDS: Mapping[str, str] = MappingProxyType(
    {
        "quiet": "nothing else runs",
        "half": "on each processor a process that computes half of the time",
        "always": "on one processor a process that computes all the time",
    }
)


@contextmanager
def neighbours(kind: str) -> Iterator[None]:
    """Have them beside what happens within the context."""
    cpus = sorted(os.sched_getaffinity(0))
    context = multiprocessing.get_context("fork")
    work = {
        "quiet": [],
        "half": [context.Process(target=half, args=[cpu]) for cpu in cpus],
        "always": [context.Process(target=always, args=cpus[:1])],
    }[kind]
    for process in work:
        process.start()
    try:
        yield
    finally:
        for process in work:
            process.kill()  # Whatever handlers it has inherited.
            process.join()
