"""An event loop that stands still: what was seen of it, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Frame:
    """One line of a stack."""

    file: str
    line: int
    function: str


GIL = "the interpreter's lock"
"""Peer of a call that waits for it."""


@dataclass(frozen=True, slots=True)
class Call:
    """The system call in which a thread sleeps.

    Attributes:
        name: Of the call; its number where the name is not known.
        peer: What it waits for: an address, a file; empty where that is not known.
    """

    name: str
    peer: str = ""


@dataclass(frozen=True, slots=True)
class StackSample:
    """The stack of a thread at one moment.

    Attributes:
        at_ns: When (CLOCK_MONOTONIC).
        frames: Innermost first; at most a hundred.
        call: In which it sleeps; None while it runs, or where that cannot be read.
        weight_ns: The time that it stands for.
    """

    at_ns: int
    frames: tuple[Frame, ...]
    call: Call | None
    weight_ns: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the loop gave no sign of life.

    A sign of life is a heartbeat, or a message that an application received or sent.

    Attributes:
        start_ns: The last sign of life before it.
        end_ns: The first one after it.
        run_ns: CPU time of the loop's thread in it; None where it cannot be read.
        queued_ns: Time in which that thread was runnable and not scheduled, or was stopped; None
            where it cannot be read.
        steal_ns: What the hypervisor took of all processors, from the first stack on.
        collecting_ns: Garbage collection in it.
        beside_ns: The longest time without a heartbeat of the thread beside the loop.
        samples: Stacks of the loop's thread, in time order.
        others: Stacks of a thread that ran for most of the time while the loop's waited for a lock.
        has_ended: False where the loop still stood when it was looked at last.
    """

    start_ns: int
    end_ns: int
    run_ns: int | None
    queued_ns: int | None
    steal_ns: int
    collecting_ns: int
    beside_ns: int
    samples: tuple[StackSample, ...]
    others: tuple[StackSample, ...] = ()
    has_ended: bool = True

    @property
    def duration_ns(self) -> int:
        """How long it took."""
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class Route:
    """What answers at a path.

    Attributes:
        path: As the application has it.
        methods: In alphabetical order; none where it answers all.
        file: Of the function that answers.
        first_line: Of that function.
        last_line: Of that function.
    """

    path: str
    methods: tuple[str, ...]
    file: str
    first_line: int
    last_line: int

    def holds(self, frame: Frame) -> bool:
        """Whether a frame is in that function."""
        return frame.file == self.file and self.first_line <= frame.line <= self.last_line


@dataclass(frozen=True, slots=True)
class LostCoroutine:
    """A coroutine that nobody awaited.

    Attributes:
        coroutine: Its name.
        file: Where it was dropped; where it was created, in a second pass.
        line: Of that file.
        function: Of that line.
        times: How often.
    """

    coroutine: str
    file: str
    line: int
    function: str
    times: int


@dataclass(frozen=True, slots=True)
class HeldConnection:
    """Connections that are out of a pool.

    Attributes:
        file: Of the line that took them.
        line: Of that file.
        function: Of that line.
        times: How many.
    """

    file: str
    line: int
    function: str
    times: int


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """A limited resource of a process that requests wait for.

    Attributes:
        limit: How many there are.
        most_used: At once.
        most_waiting: For one of them.
        used: When it was looked at last.
    """

    limit: float
    most_used: int
    most_waiting: int
    used: int


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What a probed process tells of itself.

    Attributes:
        python: Its version.
        loop: Module of the event loop's class.
        runs_callbacks: File and function of what runs the loop's callbacks.
        routes: Of the application, as far as it names them.
        lost_coroutines: By the line where they were lost.
        held_connections: Those that are out of a pool now, by the line that took them; in a second
            pass only.
        threads: Tokens of worker threads; None without anyio.
        pools: SQLAlchemy's pools of connections.
        libraries: Folders of Python and of installed packages.
        probe: Folder of the probe itself.
        own: Folder of the application, where that is one of an installed package.
        no_stacks: Why it cannot be asked for stacks; empty where it can.
    """

    python: str = ""
    loop: str = ""
    runs_callbacks: tuple[str, str] = ("", "")
    routes: tuple[Route, ...] = ()
    lost_coroutines: tuple[LostCoroutine, ...] = ()
    held_connections: tuple[HeldConnection, ...] = ()
    threads: ResourceUse | None = None
    pools: tuple[ResourceUse, ...] = ()
    libraries: tuple[str, ...] = ()
    probe: str = ""
    own: str = ""
    no_stacks: str = ""

    def is_of_library(self, frame: Frame) -> bool:
        """Whether a line is not the application's own."""
        if self.own and frame.file.startswith(self.own):
            return False
        is_installed = any(part in frame.file for part in ("/site-packages/", "/dist-packages/"))
        return is_installed or frame.file.startswith(("<", *self.libraries))


@dataclass(frozen=True, slots=True)
class ProcessEvidence:
    """What was seen of one probed process.

    Attributes:
        pid: Its process id.
        facts: What it told.
        stretches: Times in which its loop stood still, in time order.
        sightings: The loop's thread asleep in a system call that is not the loop's own, however
            short.
        lags: (monotonic ns, lag ns) of the loop's heartbeat.
        has_kinds: Whether the system tells what threads do; else kinds are not known.
    """

    pid: int
    facts: ProcessFacts
    stretches: tuple[Stretch, ...]
    sightings: tuple[StackSample, ...]
    lags: tuple[tuple[int, int], ...]
    has_kinds: bool = True

    def within(self, start_ns: int, end_ns: int) -> ProcessEvidence:
        """What of it was seen in an interval; a stretch that reaches into it is part of it."""
        return replace(
            self,
            stretches=tuple(
                one for one in self.stretches if one.end_ns >= start_ns and one.start_ns <= end_ns
            ),
            sightings=tuple(one for one in self.sightings if start_ns <= one.at_ns <= end_ns),
            lags=tuple(lag for lag in self.lags if start_ns <= lag[0] <= end_ns),
        )

    def since(self, earlier: ProcessEvidence | None) -> ProcessEvidence:
        """With the coroutines that were lost since an earlier look at the same process."""
        lost = () if earlier is None else earlier.facts.lost_coroutines
        before = {replace(one, times=0): one.times for one in lost}
        counts = (
            replace(one, times=one.times - before.get(replace(one, times=0), 0))
            for one in self.facts.lost_coroutines
        )
        new = tuple(one for one in counts if one.times)
        return replace(self, facts=replace(self.facts, lost_coroutines=new))


class Kind(StrEnum):
    """Why a loop stood still."""

    CALL = "blocking-call"
    CONTENTION = "gil-contention"
    COMPUTING = "computing"
    COMPUTING_GIL = "computing-gil"
    GIL_HOG = "gil-hog"
    COLLECTION = "gc"
    HOST = "host-starved"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """For people."""
        return _WORDS[self]


_WORDS = {
    Kind.CALL: "blocking call",
    Kind.CONTENTION: "threads compete for the GIL",
    Kind.COMPUTING: "computing",
    Kind.COMPUTING_GIL: "computing, GIL held",
    Kind.GIL_HOG: "another thread holds the GIL",
    Kind.COLLECTION: "garbage collection",
    Kind.HOST: "host starved: nobody is to blame",
    Kind.UNKNOWN: "kind not known",
}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that the loop stood still, or was seen asleep, and who is to blame.

    Attributes:
        at_ns: When it began (CLOCK_MONOTONIC).
        duration_ns: How long it took; of a sighting, the time that it stands for.
        kind: Why.
        place: The innermost line of Python; None: nobody is accused.
        application: The application's own line that called it; None where only libraries run.
        route: Path of the request; empty where it is not known.
        call: In which it slept.
        is_sighting: Whether it was seen asleep only, and may have been short.
        is_endless: Whether the loop had not gone on when it was looked at last, for long.
        by_one_stack: Whether a single stack of a loop that computed shows the line.
    """

    at_ns: int
    duration_ns: int
    kind: Kind
    place: Frame | None
    application: Frame | None
    route: str
    call: Call | None
    is_sighting: bool = False
    is_endless: bool = False
    by_one_stack: bool = False


@dataclass(frozen=True, slots=True)
class Culprit:
    """A line that makes the loop stand still, with all of its occurrences.

    Attributes:
        kind: Of most of its time.
        place: The innermost line of Python.
        application: The application's own line; None where only libraries run.
        routes: Paths of the requests, as far as they are known.
        call: In which it mostly slept.
        times: Stretches; 0 where it was only seen asleep for short times.
        total_ms: Of all occurrences, in milliseconds.
        worst_ms: The longest stretch, in milliseconds; 0 without any.
        recurs: Whether it happened more than once, or did not end.
    """

    kind: Kind
    place: Frame
    application: Frame | None
    routes: tuple[str, ...]
    call: Call | None
    times: int
    total_ms: float
    worst_ms: float
    recurs: bool


@dataclass(frozen=True, slots=True)
class StoodStill:
    """A stretch in which the loop stood still, for the picture.

    Attributes:
        at_s: When it began, in seconds.
        duration_ms: How long it took.
        kind: Why.
    """

    at_s: float
    duration_ms: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class LoopTimeline:
    """Event loops over time, for a picture.

    Attributes:
        lags: (seconds, highest lag in milliseconds); at most a few hundred.
        stood_still: Stretches, in time order.
    """

    lags: tuple[tuple[float, float], ...]
    stood_still: tuple[StoodStill, ...]


@dataclass(frozen=True, slots=True)
class CellBlocking:
    """What makes the event loops of a cell's target stand still, over all of its rounds.

    Attributes:
        culprits: The lines that are to blame, worst first.
        stretches: How often a loop stood still, whoever is to blame.
        standing_ms: For how long in all, in milliseconds; that of the host is not in it.
        by_host: How often the host took the processor.
        lost_coroutines: By the line where they were lost.
        threads: Tokens of worker threads, the most of all processes; None without anyio.
        pools: Pools of connections, those of all processes.
        timeline: Of its first round, from its first heartbeat on.
    """

    culprits: tuple[Culprit, ...]
    stretches: int
    standing_ms: float
    by_host: int
    lost_coroutines: tuple[LostCoroutine, ...]
    threads: ResourceUse | None
    pools: tuple[ResourceUse, ...]
    timeline: LoopTimeline
