"""Reads what the machine's processors do, before and after a round: by whom they were taken.

Linux only; elsewhere nothing is reported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loopmark.harness.vocabulary.conditions import Conditions, Pressure, Taken
from loopmark.harness.watch.cgroup import ROOT, CpuLimits
from loopmark.harness.watch.process_counters import LINUX, cpu_clock_ns

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if LINUX else 100
_RESOURCES = ("cpu", "memory", "io")
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ProcessorTimes:
    """Seconds of one processor since the system started, in steps of 10 ms.

    Attributes:
        total_s: In all.
        not_run_s: Those in which it ran no process: idle, in interrupts, or stolen.
        steal_s: Those in which the hypervisor ran others.
    """

    total_s: float
    not_run_s: float
    steal_s: float


@dataclass(frozen=True, slots=True)
class OwnProcess:
    """A process of the run.

    Attributes:
        parent: Process id of its parent.
        cpu_s: CPU seconds of its threads, and of its children that have ended.
        cpus: Processors that it may use.
    """

    parent: int
    cpu_s: float
    cpus: frozenset[int]


@dataclass(frozen=True, slots=True)
class MachineReading:
    """The machine at one moment; all counters only grow.

    Attributes:
        at_s: When (`time.monotonic`).
        processors: By number; empty where they are not reported.
        own: The run's processes by id; None where it is not known which processes are its own.
        pressure_s: By resource: seconds in which some task waited for it.
        throttled_s: By quotas; None where there are no control groups.
        waits_ns: By thread of the target: time runnable but not scheduled; None where it is not
            reported.
    """

    at_s: float
    processors: Mapping[int, ProcessorTimes]
    own: Mapping[int, OwnProcess] | None
    pressure_s: Mapping[str, float]
    throttled_s: float | None
    waits_ns: Mapping[int, int] | None


def _affinity(pid: int) -> Collection[int]:
    return os.sched_getaffinity(pid) if LINUX else ()


class MachineReader:
    """Reads the machine; one reading takes about 15 microseconds of CPU per process.

    Args:
        mark: A variable in the environment of the run's processes that are not its descendants, as
            `NAME=value`; None where it is not known which processes are the run's.
        root: Of the file system.
        cpu_ns: CPU time of a process.
        affinity: Processors that a process may use.
    """

    def __init__(
        self,
        mark: str | None,
        root: Path = ROOT,
        cpu_ns: Callable[[int], int] = cpu_clock_ns,
        affinity: Callable[[int], Collection[int]] = _affinity,
    ) -> None:
        self._mark = None if mark is None else mark.encode()
        self._proc = root / "proc"
        self._limits = CpuLimits(root)
        self._cpu_ns = cpu_ns
        self._affinity = affinity
        self._is_marked: dict[tuple[int, str], bool] = {}

    def read(self, target: int | None) -> MachineReading:
        """Take a reading.

        Args:
            target: Process id of the target; None for one that the run did not start.
        """
        throttling = self._limits.throttling()
        stats = self._stats()
        return MachineReading(
            at_s=time.monotonic(),
            processors=self._processors(),
            own=None if self._mark is None else self._own(stats, self._mark),
            pressure_s=self._pressure(),
            throttled_s=None if throttling is None else throttling.throttled_s,
            waits_ns=None if target is None else self._waits(_family({target}, stats)),
        )

    def _processors(self) -> dict[int, ProcessorTimes]:
        found = {}
        for line in self._lines("stat"):
            name, *fields = line.split()
            if not name.startswith("cpu") or name == "cpu":
                continue
            # user nice system idle iowait irq softirq steal (proc_stat(5)); guests are in user.
            with suppress(ValueError):
                times = [int(field) / _TICKS_PER_S for field in fields[:8]]
                found[int(name[3:])] = ProcessorTimes(
                    total_s=sum(times), not_run_s=sum(times[3:]), steal_s=sum(times[7:])
                )
        return found

    def _stats(self) -> dict[int, list[str]]:
        """By process: the fields of its stat from the third on."""
        found = {}
        with suppress(OSError):
            for name in os.listdir(self._proc):  # noqa: PTH208 - names, and cheaply
                if name.isdigit():
                    with suppress(OSError):  # It ended meanwhile.
                        stat = _content(f"{self._proc}/{name}/stat")
                        # The name of the program before it may hold anything.
                        found[int(name)] = stat.rpartition(b")")[2].decode().split()
        return found

    def _own(self, stats: Mapping[int, list[str]], mark: bytes) -> dict[int, OwnProcess]:
        marked = {pid for pid, fields in stats.items() if self._has_mark(pid, fields[19], mark)}
        own = {}
        for pid in _family({os.getpid(), *marked}, stats):
            fields = stats[pid]
            ended_s = (int(fields[13]) + int(fields[14])) / _TICKS_PER_S
            with suppress(OSError):  # It ended meanwhile.
                cpu_s = self._cpu_ns(pid) / 1e9 + ended_s
                own[pid] = OwnProcess(int(fields[1]), cpu_s, frozenset(self._affinity(pid)))
        return own

    def _has_mark(self, pid: int, started: str, mark: bytes) -> bool:
        # By its start as well: numbers are used again.
        known = self._is_marked.get((pid, started))
        if known is None:
            known = False
            with suppress(OSError):  # Gone, or another user's, and so none of the run's.
                known = mark in _content(f"{self._proc}/{pid}/environ").split(b"\0")
            self._is_marked[pid, started] = known
        return known

    def _pressure(self) -> dict[str, float]:
        found = {}
        for resource in _RESOURCES:
            # "some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS" (accounting/psi.rst).
            for line in self._lines(f"pressure/{resource}"):
                kind, *_, total = line.split()
                if kind == "some":
                    found[resource] = int(total.removeprefix("total=")) / 1e6
        return found

    def _waits(self, processes: Iterable[int]) -> dict[int, int] | None:
        """By thread: the second number of its schedstat (scheduler/sched-stats.rst)."""
        found = {}
        for pid in processes:
            with suppress(OSError):
                for task in (self._proc / str(pid) / "task").iterdir():
                    with suppress(OSError, ValueError, IndexError):
                        wait = (task / "schedstat").read_text(encoding="ascii").split()[1]
                        found[int(task.name)] = int(wait)
        return found or None

    def _lines(self, name: str) -> list[str]:
        try:
            return (self._proc / name).read_text(encoding="ascii").splitlines()
        except OSError:
            return []


def conditions_between(
    before: MachineReading,
    after: MachineReading,
    sides: Mapping[tuple[int, ...], Sequence[int]],
) -> Conditions:
    """The conditions of the time between two readings.

    Args:
        before: The first reading.
        after: The second.
        sides: By side: its processors, and unused ones of the same cores.
    """
    waited_ns = None
    if before.waits_ns is not None and after.waits_ns is not None:
        waited_ns = sum(
            waits - before.waits_ns.get(thread, 0) for thread, waits in after.waits_ns.items()
        )
    return Conditions(
        seconds=after.at_s - before.at_s,
        taken=tuple(_taken(before, after, *side) for side in sides.items()),
        pressure=Pressure(
            **{
                f"{resource}_s": after.pressure_s[resource] - since
                for resource, since in before.pressure_s.items()
                if resource in after.pressure_s
            }
        ),
        throttled_s=None
        if before.throttled_s is None or after.throttled_s is None
        else after.throttled_s - before.throttled_s,
        target_waited_s=None if waited_ns is None else waited_ns / 1e9,
    )


def _taken(
    before: MachineReading, after: MachineReading, cpus: tuple[int, ...], siblings: Sequence[int]
) -> Taken:
    seconds = after.at_s - before.at_s
    times = {
        cpu: (before.processors[cpu], after.processors[cpu])
        for cpu in (*cpus, *siblings)
        if cpu in before.processors and cpu in after.processors
    }
    # Some sandboxes show counters that stand still.
    moving = {
        cpu: two for cpu, two in times.items() if two[1].total_s - two[0].total_s > seconds / 2
    }
    if not moving.keys() >= set(cpus):
        return Taken(cpus)
    steal_s = sum(b.steal_s - a.steal_s for a, b in (moving[cpu] for cpu in cpus))
    if before.own is None or after.own is None:
        return Taken(cpus, steal_s)
    # Idle time is counted exactly, that of processes by sampling at 100 to 1000 Hz.
    busy_s = sum(seconds - (b.not_run_s - a.not_run_s) for a, b in moving.values())
    outside_s = busy_s - _own_cpu_s(before.own, after.own, frozenset(moving))
    # What runs on a sibling slows the core; but no more than the whole of it can be lost.
    return Taken(cpus, steal_s, min(max(0.0, outside_s), seconds * len(cpus)))


def _own_cpu_s(
    before: Mapping[int, OwnProcess], after: Mapping[int, OwnProcess], cpus: frozenset[int]
) -> float:
    """CPU seconds that the run's processes can have used of these processors."""
    used_s = sum(
        one.cpu_s - (before[pid].cpu_s if pid in before else 0.0)
        for pid, one in after.items()
        if one.cpus & cpus
    )
    # What an ended child has used in all is in its parent's sum now.
    ended_s = sum(
        one.cpu_s
        for pid, one in before.items()
        if pid not in after and one.parent in after and after[one.parent].cpus & cpus
    )
    return used_s - ended_s


def _content(path: str) -> bytes:
    """A small file, in half the time that pathlib takes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, _READ_BYTES):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _family(roots: Collection[int], stats: Mapping[int, Sequence[str]]) -> set[int]:
    """These processes and all their descendants, as far as they still run."""
    children: dict[int, list[int]] = {}
    for pid, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(pid)
    found: set[int] = set()
    waiting = [pid for pid in roots if pid in stats]
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found
