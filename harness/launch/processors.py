"""Pins target, driver and database to processors, so that they do not disturb each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from loopmark.harness.vocabulary.record import Pinning


def available() -> tuple[int, ...]:
    """The processors this process may use; empty where the system cannot report or pin them."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return ()


def assign(cpus: Sequence[int], workers: int = 1) -> Pinning:
    """Give the driver a processor of its own, and the database one if there are three or more.

    Each worker of a distributed driver gets one too, as long as one is left for the target.

    Args:
        cpus: The available ones.
        workers: Worker processes of the driver on this machine.

    On two processors the database shares the target's: it belongs to the system under test, and a
    driver that has to wait for it would report late sends as slow answers.
    """
    match list(cpus):
        case [] | [_]:
            return Pinning(target=(), driver=(), database=())
        case [first, last]:
            return Pinning(target=(first,), driver=(last,), database=(first,))
        case all_:
            own = max(1, min(workers, len(all_) - 2))
            *targets, database = all_[:-own]
            driver = tuple(all_[-own:])
            return Pinning(target=tuple(targets), driver=driver, database=(database,))


@contextmanager
def staying_on(cpus: Sequence[int]) -> Iterator[None]:
    """Within the context, started processes stay on these processors; empty changes nothing.

    A child inherits its parent's processors when it is created, all its threads included: pinning
    it afterwards would miss threads that it has started already.
    """
    if not cpus or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
