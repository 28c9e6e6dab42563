"""The records of a run and of each of its rounds, beside the samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.conditions import Conditions
from loopmark.harness.vocabulary.fault import Fault
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.question import Question
from loopmark.harness.vocabulary.scenario import Audit, LocustfileFacts, ScenarioFacts
from loopmark.harness.vocabulary.target import Target
from loopmark.harness.vocabulary.thresholds import Thresholds

SCHEMA_VERSION = 3
"""The version of a run folder: in run.json and results.json, and valid for the round records.

Version 1: the first, without scenarios, targets and thresholds. Version 2: the driver `native` was
called `httpx`, but with an httpx client it is still `httpx`.
"""

RoundState = Literal["measured", "worker-lost", "target-died", "driver-died", "interrupted"]
"""How a round ended. `worker-lost`: to its end, but a worker of the driver ended or stopped
responding; its samples until then are kept."""

RAN_TO_THEIR_END: frozenset[RoundState] = frozenset({"measured", "worker-lost"})
"""Rounds in these states must have samples and a window, whether valid or not."""


@dataclass(frozen=True, slots=True)
class TargetReading:
    """One reading of the target from outside: sums over its process and that process's children.

    Attributes:
        at_ns: When (CLOCK_MONOTONIC).
        cpu_ns: CPU time used since its start.
        rss_bytes: Resident memory.
        threads: Number of threads.
        sockets: Open sockets, listening ones included.
        context_switches: Of all its threads since their start, voluntary or not.
        files: Open descriptors that are not sockets.
    """

    at_ns: int
    cpu_ns: int
    rss_bytes: int
    threads: int
    sockets: int
    context_switches: int
    files: int = 0


@dataclass(frozen=True, slots=True)
class DatabaseReading:
    """One reading of PostgreSQL's own counters for the targets' database.

    Attributes:
        at_ns: When (CLOCK_MONOTONIC).
        connections: Connections that the target holds; those of other targets, of the harness and
            of other clients are excluded, here and in the next three.
        active: Those that execute a statement.
        idle_in_transaction: Those that hold a transaction open and wait for their client.
        waiting: Those that wait for a lock.
        commits: Transactions committed in this database by any client; a session adds its own at
            most once a second (PGSTAT_MIN_INTERVAL in PostgreSQL's pgstat.c).
        rollbacks: Transactions rolled back in this database, with the same delay.
        blocks_read: Blocks read from disk or the system's cache, with the same delay.
        blocks_hit: Blocks found in PostgreSQL's buffers, with the same delay.
        cpu_ns: CPU time of all processes of the server since the first reading, without the one
            that serves the monitor; None where they cannot be read from here.
    """

    at_ns: int
    connections: int
    active: int
    idle_in_transaction: int
    waiting: int
    commits: int
    rollbacks: int
    blocks_read: int
    blocks_hit: int
    cpu_ns: int | None


@dataclass(frozen=True, slots=True)
class AuditCount:
    """The rows that one audit of a scenario counted around one round."""

    what: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ConnectionsLeft:
    """A target's connections to the database after a round, when no request was in flight.

    Attributes:
        open: All of them.
        kept: How many it keeps at most when it has nothing to do; 0 where that is not known.
        idle_in_transaction: Those that hold a transaction open and wait for the target.
    """

    open: int
    kept: int
    idle_in_transaction: int

    @property
    def are_clean(self) -> bool:
        """Whether none is in a transaction, and none too many."""
        return not self.idle_in_transaction and self.beyond == 0

    @property
    def beyond(self) -> int:
        """How many there are beyond those that it keeps; 0 where that is not known."""
        return max(0, self.open - self.kept) if self.kept else 0


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One measured stretch of a cell.

    Attributes:
        round: 0-based number within the cell.
        block: 0-based number of the block in which it was measured: rounds of one block are pairs.
        state: Whether it was measured to its end.
        wall_s: Seconds that the driver took for it, connecting and warming up included.
        driver: The driver's report on itself; None when it ended before that.
        target: Readings of the target, in time order.
        database: Readings of the database, in time order.
        loop_lag: (monotonic ns, lag in ns) pairs from the target's event loop; empty when the
            target does not report any.
        audits: Counts before and after, in the scenario's order.
        stderr_tail: The last lines of a dead target's or driver's stderr.
        conditions: Under which it was measured; None for one that was not driven, and of runs that
            did not record them.
        connections: What the target held after it; None of scenarios that are not audited.
        never_awaited: Python's warnings of coroutines that were never awaited, as far as they are
            in the target's output; each once, with a line at which it was in use.
    """

    round: int
    block: int
    state: RoundState
    wall_s: float
    driver: DriverReport | None
    target: tuple[TargetReading, ...]
    database: tuple[DatabaseReading, ...]
    loop_lag: tuple[tuple[int, int], ...]
    audits: tuple[AuditCount, ...]
    stderr_tail: str = ""
    conditions: Conditions | None = None
    connections: ConnectionsLeft | None = None
    never_awaited: tuple[str, ...] = ()

    @property
    def has_figures(self) -> bool:
        """Whether its driver reported a window; an interrupted one may have, too."""
        return self.driver is not None and self.state in {*RAN_TO_THEIR_END, "interrupted"}

    def is_disturbed(self, thresholds: Thresholds) -> bool:
        """Whether it ran to its end while others took its processors."""
        return (
            self.state in RAN_TO_THEIR_END
            and self.conditions is not None
            and self.conditions.is_disturbed(thresholds)
        )


@dataclass(frozen=True, slots=True)
class Pinning:
    """Which processors each side was kept on; empty means any."""

    target: tuple[int, ...]
    driver: tuple[int, ...]
    database: tuple[int, ...]

    @property
    def sides(self) -> tuple[tuple[int, ...], ...]:
        """The groups of processors that are kept apart; empty where the target may use any."""
        if not self.target:
            return ()
        return tuple(dict.fromkeys(one for one in (self.target, self.driver, self.database) if one))


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The PostgreSQL behind the targets; the URL is without its password."""

    url: str
    embedded: bool
    version: str
    settings: dict[str, str]


@dataclass(frozen=True, slots=True)
class ProcessorFacts:
    """What limits the processors of a machine or container.

    Attributes:
        cores: Those that the run may use, by core: SMT siblings together.
        quota: Processors that a control group allows, 1.5 for example; None without a limit.
        throttled_share: Share of the quota's periods that ended throttled, before the run; None
            without any.
        steal_share: Of the time in which processes wanted to run since the system started, the
            share that the hypervisor took; None where it is not reported.
        governor: Of the clock frequency; empty where the machine does not show any.
    """

    cores: tuple[tuple[int, ...], ...]
    quota: float | None
    throttled_share: float | None
    steal_share: float | None
    governor: str


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """Fingerprint of where and with what a run was made."""

    hostname: str
    system: str
    cpu: str
    cores: int
    memory_gib: float
    python: str
    packages: dict[str, str]
    commit: str
    processors: ProcessorFacts | None = None


@dataclass(frozen=True, slots=True)
class DocumentedPoint:
    """One row of the documented timing table, as printed there."""

    pattern: str
    concurrency: int
    makespan_s: float


@dataclass(frozen=True, slots=True)
class RunRecord:
    """`run.json`: one execution of a plan.

    Attributes:
        schema_version: Of the files in the run folder.
        run_id: Name of the run folder.
        started: UTC, ISO 8601.
        finished: UTC, ISO 8601; None while it runs or when it was killed.
        plan: Name of the plan.
        title: What the plan answers.
        plan_toml: The plan's own text; empty where the command line took its place.
        seed: Of the choices of the virtual users.
        planned_s: Seconds of measuring that the plan provides for.
        wall_s: Seconds the run took; None while it runs.
        interrupted: Whether it was ended before its plan was done.
        machine: Where it ran.
        database: The server behind the targets; None when Loopmark has none.
        pinning: Which processes ran on which processors.
        cells: What was planned.
        round_states: By cell name: how each started round ended; updated after every round.
        scenarios: Scenarios of the cells.
        targets: Targets of the cells.
        thresholds: By which the cells are judged.
        documented: The timing table that our own variants are compared with; empty without any of
            them.
        workers: Workers requested; 0 when the driver was not distributed.
        questions: What the run is to settle; empty for a plan of fixed rounds.
        budget_s: Seconds within which; None without questions.
        order_seed: Of the order of the rounds; each run has another.
    """

    schema_version: int
    run_id: str
    started: str
    finished: str | None
    plan: str
    title: str
    plan_toml: str
    seed: int
    planned_s: float
    wall_s: float | None
    interrupted: bool
    machine: MachineFacts
    database: DatabaseFacts | None
    pinning: Pinning
    cells: tuple[Cell, ...]
    round_states: dict[str, tuple[RoundState, ...]]
    scenarios: tuple[ScenarioFacts, ...]
    targets: tuple[Target, ...]
    thresholds: Thresholds
    documented: tuple[DocumentedPoint, ...] = ()
    workers: int = 0
    questions: tuple[Question, ...] = ()
    budget_s: float | None = None
    order_seed: int = 0

    @property
    def waiting(self) -> frozenset[str]:
        """The scenarios whose requests mostly wait for a fixed time."""
        return frozenset(one.name for one in self.scenarios if one.waits)

    @property
    def locustfiles(self) -> tuple[LocustfileFacts, ...]:
        """The locustfiles among the scenarios."""
        return tuple(one.locustfile for one in self.scenarios if one.locustfile is not None)

    @property
    def has_launched(self) -> bool:
        """Whether it started, and thus monitored, a target."""
        return any(target.is_launched for target in self.targets)

    def fault_of(self, target: str) -> Fault | None:
        """The mistake that a target declares."""
        return next((one.fault for one in self.targets if one.name == target), None)

    def audits_of(self, cell: Cell) -> tuple[Audit, ...]:
        """What is counted in the database around each round of a cell.

        Nothing for a target that is not ours: its database is unknown.
        """
        if not all(target.is_ours for target in self.targets if target.name == cell.target):
            return ()
        asked = (scenario.audits for scenario in self.scenarios if scenario.name == cell.scenario)
        return next(asked, ())
