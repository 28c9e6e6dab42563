"""Pins target, driver and database to processors, so that they do not disturb each other."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loopmark.harness.vocabulary.record import Pinning


def available() -> tuple[int, ...]:
    """The processors this process may use; empty where the system cannot report or pin them."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return ()


def cores(root: Path = Path("/")) -> tuple[tuple[int, ...], ...]:
    """The available processors by core: those of one core (SMT siblings) share its units."""
    grouped: dict[tuple[int, ...], list[int]] = {}
    for cpu in available():
        grouped.setdefault(_core_of(cpu, root), []).append(cpu)
    return tuple(tuple(core) for core in grouped.values())


def with_siblings(
    sides: Sequence[tuple[int, ...]], root: Path = Path("/")
) -> dict[tuple[int, ...], tuple[int, ...]]:
    """By side: the other processors of its cores that no side uses, available or not."""
    used = {cpu for side in sides for cpu in side}
    return {
        side: tuple(sorted({other for cpu in side for other in _core_of(cpu, root)} - used))
        for side in sides
    }


def _core_of(cpu: int, root: Path) -> tuple[int, ...]:
    topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    try:
        return _listed(topology.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return (cpu,)


def _listed(text: str) -> tuple[int, ...]:
    """The processors of a list such as "0-1,4" (cpuset(7))."""
    ranges = (part.partition("-") for part in text.strip().split(","))
    return tuple(
        cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1)
    )


def assign(cores: Sequence[Sequence[int]], workers: int = 1) -> Pinning:
    """Give the driver a core of its own, and the database one if there are three or more.

    Each worker of a distributed driver gets one too, as long as one is left for the target.

    Args:
        cores: The available processors by core.
        workers: Worker processes of the driver on this machine.

    A second processor of the driver's core stays idle: what ran there would slow the driver. On two
    cores the database shares the target's: it belongs to the system under test, and a driver that
    has to wait for it would report late sends as slow answers. A single core's processors are
    treated as if they were cores, which is better than sharing one.
    """
    match list(cores):
        case []:
            return Pinning(target=(), driver=(), database=())
        case [core]:
            if len(core) > 1:
                return assign([[cpu] for cpu in core], workers)
            return Pinning(target=(), driver=(), database=())
        case [first, last]:
            shared = tuple(first)
            return Pinning(target=shared, driver=_of_driver([last], workers), database=shared)
        case all_:
            own = max(1, min(workers, len(all_) - 2))
            *targets, database = all_[:-own]
            return Pinning(
                target=tuple(cpu for core in targets for cpu in core),
                driver=_of_driver(all_[-own:], workers),
                database=tuple(database),
            )


def beside(cores: Sequence[Sequence[int]], workers: int = 1) -> Pinning:
    """Keep the driver where it is beside a target that runs already, and may run anywhere.

    The system keeps others away from a processor that is busy: without this it moves driver and
    target about, and onto each other. Workers are left to it: how many processors the target leaves
    them is unknown.
    """
    driver = assign(cores).driver if workers == 1 else ()
    return Pinning(target=(), driver=driver, database=())


def _of_driver(cores: Sequence[Sequence[int]], workers: int) -> tuple[int, ...]:
    """The processors of the driver: one of each core, and the others where workers need them."""
    if workers > len(cores):
        return tuple(cpu for core in cores for cpu in core[-workers:])
    return tuple(core[-1] for core in cores)


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
