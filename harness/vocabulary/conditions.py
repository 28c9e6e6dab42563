"""The conditions under which a round was measured: what others took of its processors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loopmark.harness.vocabulary.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class Taken:
    """What others took of some processors.

    Attributes:
        cpus: The processors, all used by the same side.
        steal_s: Seconds in which the hypervisor ran others, summed over them; None where the
            system does not report it.
        outside_s: CPU seconds of processes outside the run, summed over them and the processors
            that share a core with them (SMT siblings) and that the run does not use; at most all of
            the side's. None where it is not known which processes are outside.
    """

    cpus: tuple[int, ...]
    steal_s: float | None = None
    outside_s: float | None = None

    @property
    def seconds(self) -> float:
        """Both together, as far as they are known."""
        return (self.steal_s or 0.0) + (self.outside_s or 0.0)


@dataclass(frozen=True, slots=True)
class Pressure:
    """Seconds in which some task of the machine waited (PSI); None where it is not reported.

    Attributes:
        cpu_s: For a processor.
        memory_s: For memory.
        io_s: For a disk.
    """

    cpu_s: float | None = None
    memory_s: float | None = None
    io_s: float | None = None


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one round, connecting and warming up included.

    Attributes:
        seconds: How long they were observed.
        taken: By group of processors in use.
        pressure: Of the whole machine.
        throttled_s: Seconds for which a quota stopped the run's processes, summed over processors;
            None where there are no control groups.
        target_waited_s: Seconds in which threads of the target were runnable but not scheduled,
            summed; of threads that ended before the round did nothing is known. None where the
            system does not report it.
    """

    seconds: float
    taken: tuple[Taken, ...] = ()
    pressure: Pressure = Pressure()
    throttled_s: float | None = None
    target_waited_s: float | None = None

    @property
    def steal_share(self) -> float | None:
        """Share of the processors that the hypervisor took, where it took most."""
        return self._most((one.cpus, one.steal_s) for one in self.taken)

    @property
    def outside_share(self) -> float | None:
        """Share of the processors that processes outside the run took, where they took most."""
        return self._most((one.cpus, one.outside_s) for one in self.taken)

    def is_disturbed(self, thresholds: Thresholds) -> bool:
        """Whether others took too much of the processors of one side.

        That the target's threads queue behind each other, pressure and throttling are no
        disturbances: what is measured causes them itself.
        """
        return any(
            one.seconds
            > thresholds.max_taken_share * self.seconds * len(one.cpus)
            + thresholds.taken_allowance_s
            for one in self.taken
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """What the machine does not report, in words."""
        reported = {
            "steal": self.steal_share,
            "CPU time of processes outside the run": self.outside_share,
            "pressure": self.pressure.cpu_s,
            "throttling by a quota": self.throttled_s,
            "the target's wait for a processor": self.target_waited_s,
        }
        return tuple(what for what, value in reported.items() if value is None)

    def _most(self, taken: Iterable[tuple[tuple[int, ...], float | None]]) -> float | None:
        shares = (
            taken_s / (self.seconds * len(cpus))
            for cpus, taken_s in taken
            if taken_s is not None and cpus and self.seconds > 0
        )
        return max(shares, default=None)
