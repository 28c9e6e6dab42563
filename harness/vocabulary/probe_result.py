"""What a probe of somebody's application says."""

from __future__ import annotations

from dataclasses import dataclass

from loopmark.harness.vocabulary.blocking import (
    Culprit,
    Frame,
    HeldConnection,
    LoopTimeline,
    LostCoroutine,
    ResourceUse,
)
from loopmark.harness.vocabulary.route_request import RouteAnswers, SkippedRoute

NOT_AWAITED = "not-awaited"
"""The kind of a coroutine that nobody awaited, beside those of blocking lines."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line that blocks the event loop.

    Attributes:
        culprit: The line, and what was seen of it.
        routes: Method and path of the routes that were asked meanwhile.
        recurs: Whether it happened more than once in a process, or did not end.
        allowed_by: What accepts it, of the names that were given; empty where nothing does.
        code: Of the application's line; empty where it cannot be read.
    """

    culprit: Culprit
    routes: tuple[str, ...]
    recurs: bool
    allowed_by: str
    code: str

    @property
    def line(self) -> Frame:
        """The application's own line; of a library where only libraries run."""
        return self.culprit.application or self.culprit.place


@dataclass(frozen=True, slots=True)
class LostFinding:
    """A coroutine that nobody awaited.

    Attributes:
        lost: What was seen of it.
        created: The line that created it; None where that is not known.
        allowed_by: What accepts it; empty where nothing does.
        code: Of its line; empty where it cannot be read.
    """

    lost: LostCoroutine
    created: Frame | None
    allowed_by: str
    code: str

    @property
    def line(self) -> Frame:
        """Where it was created if that is known, else where it was dropped."""
        return self.created or Frame(self.lost.file, self.lost.line, self.lost.function)


@dataclass(frozen=True, slots=True)
class LagPercentiles:
    """Lag of the event loop's heartbeats, in milliseconds."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Unblamed:
    """Stretches in which the loop stood still and no line is to blame.

    Attributes:
        times: How many.
        total_ms: Of all of them.
    """

    times: int = 0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A route in the picture.

    Attributes:
        route: Method and path; empty for all of them mixed.
        start_s: When asking it began, in seconds since the first look.
        end_s: When it ended.
    """

    route: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe found.

    Attributes:
        application: Its name, as it was given.
        folder: That its files are shown relative to.
        python: Version of its Python.
        loop: Module of its event loop.
        processes: How many had an event loop.
        users: How many asked at once.
        findings: Lines that block, the one that took most time first.
        lost: Coroutines that were not awaited, the most frequent first.
        threads: Worker threads of the process in which most waited for one; None without anyio.
        pools: Pools of connections of all processes.
        held: Connections that were still out after the last request, by the line that took them.
        lag_ms: While the routes were asked; None without heartbeats.
        starved: Stretches that the host took.
        contended: Stretches in which it waited for its turn while other threads had the GIL.
        unnamed: Stretches without a single line that took most of them.
        answers: By route, in the order in which they were asked.
        skipped: Routes that were not asked.
        needs_authorization: Whether each answer was 401 or 403.
        authorization_from: Name of the environment variable that may hold the Authorization header.
        allowed_in_vain: Names that were given and accept nothing that was seen.
        has_kinds: Whether the system tells what threads do.
        timeline: Of its loops, from the first look on.
        asked: Routes over time.
    """

    application: str
    folder: str
    python: str
    loop: str
    processes: int
    users: int
    findings: tuple[Finding, ...]
    lost: tuple[LostFinding, ...]
    threads: ResourceUse | None
    pools: tuple[ResourceUse, ...]
    held: tuple[HeldConnection, ...]
    lag_ms: LagPercentiles | None
    starved: Unblamed
    contended: Unblamed
    unnamed: Unblamed
    answers: tuple[RouteAnswers, ...]
    skipped: tuple[SkippedRoute, ...]
    needs_authorization: bool
    authorization_from: str
    allowed_in_vain: tuple[str, ...]
    has_kinds: bool
    timeline: LoopTimeline
    asked: tuple[Asked, ...]

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """Lines that block again and again, and that nothing accepts."""
        return tuple(one for one in self.findings if one.recurs and not one.allowed_by)

    @property
    def once(self) -> tuple[Finding, ...]:
        """Lines that blocked once: an import, a first use."""
        return tuple(one for one in self.findings if not one.recurs and not one.allowed_by)

    @property
    def unawaited(self) -> tuple[LostFinding, ...]:
        """Coroutines that were not awaited, and that nothing accepts."""
        return tuple(one for one in self.lost if not one.allowed_by)

    @property
    def allowed(self) -> tuple[Finding | LostFinding, ...]:
        """What is accepted."""
        every: tuple[Finding | LostFinding, ...] = (*self.findings, *self.lost)
        return tuple(one for one in every if one.allowed_by)

    @property
    def is_guilty(self) -> bool:
        """Whether there is something that must be repaired."""
        return bool(self.blocking or self.unawaited)
