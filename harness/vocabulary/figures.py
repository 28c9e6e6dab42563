"""The figures of a cell, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.conditions import Conditions
from loopmark.harness.vocabulary.job import ClockKind
from loopmark.harness.vocabulary.scenario import AuditKind

Interval = tuple[float, float]
"""Lower and upper bound of a two-sided 95% interval."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Latency percentiles in milliseconds; None where there are too few samples."""

    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class PercentileIntervals:
    """The intervals of `Percentiles`; the maximum has none."""

    p50: Interval | None = None
    p90: Interval | None = None
    p95: Interval | None = None
    p99: Interval | None = None
    p999: Interval | None = None


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late a timer on the event loop fired, in milliseconds; None where it was not sampled."""

    p50: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class TargetUse:
    """The target's resource use.

    Attributes:
        cpu_ms_per_request: CPU milliseconds of the target's processes per request answered.
        cpu_ms_per_request_ci: Its interval.
        cpu_fraction: CPU seconds per second of the window (1.0 is one core).
        rss_mib: Largest resident memory, MiB. A target lives for a block: this includes what
            earlier rounds of the block left.
        threads: Largest number of threads since the start of the block.
        loop_lag_ms: Lag of its event loop.
        sockets: Largest number of open sockets since the start of the block.
        context_switches_per_request: Of all its threads, per request answered.
        files: Largest number of open descriptors that are not sockets.
    """

    cpu_ms_per_request: float | None = None
    cpu_ms_per_request_ci: Interval | None = None
    cpu_fraction: float | None = None
    rss_mib: float | None = None
    threads: int | None = None
    loop_lag_ms: LoopLag = LoopLag()
    sockets: int | None = None
    context_switches_per_request: float | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class DatabaseUse:
    """PostgreSQL's own counters within the windows; None where it was not sampled.

    Attributes:
        connections: Largest number of connections that the target held.
        active: Mean number of them that executed a statement.
        idle_in_transaction: Mean number of them that held a transaction open and waited for the
            target.
        waiting: Mean number of them that waited for a lock.
        waiting_max: The largest.
        transactions_per_request: Transactions committed or rolled back per request answered; None
            for bursts and windows of less than two seconds, because sessions update these counters
            once a second.
        rollbacks_per_request: Transactions rolled back per request answered; None where
            `transactions_per_request` is.
        cache_hits: Share of block reads served from its buffers; None where
            `transactions_per_request` is.
        cpu_ms_per_request: CPU milliseconds of the server's processes per request answered.
        cpu_fraction: CPU seconds of these processes per second of the window (1.0 is one core).
    """

    connections: int | None = None
    active: float | None = None
    idle_in_transaction: float | None = None
    waiting: float | None = None
    waiting_max: int | None = None
    transactions_per_request: float | None = None
    rollbacks_per_request: float | None = None
    cache_hits: float | None = None
    cpu_ms_per_request: float | None = None
    cpu_fraction: float | None = None


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """Target and database in one stretch of a window; None where it was not sampled.

    Attributes:
        t_s: The middle of the stretch, in seconds from the start of the window.
        cpu_fraction: CPU seconds of the target per second.
        rss_mib: Resident memory of the target, MiB; mean, as all that follows without a unit.
        threads: Threads of the target.
        sockets: Open sockets of the target.
        context_switches_per_s: Of the target, per second.
        connections: Connections to the database that the target holds.
        active: Those that execute a statement.
        waiting: Those that wait for a lock.
        database_cpu_fraction: CPU seconds of the database's processes per second.
    """

    t_s: float
    cpu_fraction: float | None = None
    rss_mib: float | None = None
    threads: float | None = None
    sockets: float | None = None
    context_switches_per_s: float | None = None
    connections: float | None = None
    active: float | None = None
    waiting: float | None = None
    database_cpu_fraction: float | None = None


@dataclass(frozen=True, slots=True)
class DriverUse:
    """The driver's resource use: the worst of the cell's rounds.

    Attributes:
        cpu_fraction: CPU seconds per second of the window.
        cpu_ms_per_request: CPU milliseconds per request within the windows; None of a distributed
            one.
        waited_fraction: Seconds per second of the window in which it was ready to run and another
            process had its processor.
        delayed_fraction: Share of the main figure that this can account for at most; the median of
            the rounds.
        loop_lag_ms: Lag of its event loop.
        late_sends: Share of requests sent over 1 ms after they were due.
        send_spread_ms: Largest time from due to sent.
    """

    cpu_fraction: float | None = None
    cpu_ms_per_request: float | None = None
    waited_fraction: float | None = None
    delayed_fraction: float | None = None
    loop_lag_ms: LoopLag = LoopLag()
    late_sends: float | None = None
    send_spread_ms: float | None = None


@dataclass(frozen=True, slots=True)
class WorkerUse:
    """One worker of a distributed driver, over the rounds of a cell; the worst where it varied.

    Attributes:
        name: Its host and process.
        rounds: Number of rounds in which it drove.
        samples: Those it has delivered.
        clock: How its times were converted to the master's clock; see `ClockKind`.
        uncertainty_ms: Upper bound of the clock-offset error, in milliseconds.
        cpu_fraction: CPU seconds per second of the window.
        loop_lag_ms_p99: 99th percentile of the lag of its event loop.
        lost: Why it did not deliver all; empty if it did.
    """

    name: str
    rounds: int
    samples: int
    clock: ClockKind
    uncertainty_ms: float | None = None
    cpu_fraction: float | None = None
    loop_lag_ms_p99: float | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step of the flow; the counts are of all rounds."""

    step: str
    requests: int
    errors: int
    latency_ms: Percentiles


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Rows counted against acknowledged writes, or connections after the rounds, over all rounds.

    Attributes:
        what: What was counted.
        acknowledged: Change in rows that the acknowledged requests must have made.
        uncertain: Requests without an answer, which may or may not have been executed.
        found: Change in rows that the database shows.
        ok: Whether they agree, allowing for the uncertain ones.
        kind: What it is about.
    """

    what: str
    acknowledged: int
    uncertain: int
    found: int
    ok: bool
    kind: AuditKind = "durable"

    @property
    def objection(self) -> Objection:
        """What it says where it has failed."""
        if self.kind in _NONE_ALLOWED:
            return Objection.of(_NONE_ALLOWED[self.kind], what=self.what, found=self.found)
        return Objection.of(
            ObjectionCode.ROWS_DIFFER,
            what=self.what,
            acknowledged=self.acknowledged,
            found=self.found,
        )


_NONE_ALLOWED: Mapping[AuditKind, ObjectionCode] = {
    "half-applied": ObjectionCode.HALF_APPLIED,
    "idle-in-transaction": ObjectionCode.LEFT_IN_TRANSACTION,
    "leaked": ObjectionCode.CONNECTIONS_LEAKED,
}
"""By kind of an audit that allows none of what it counts."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    """The figures of one round, to show the scatter.

    Rounds of different cells with the same `block` ran within minutes of each other.

    Attributes:
        undelayed: The figures as they would be at most without the driver's own delay; None where
            that is unknown.
        counts: Whether it takes part in medians, percentiles and ratios (see `Validity.rounds`).
        disturbed: Whether others took the processors meanwhile.
        set_aside: Whether it does not count because of that: as many rounds as were planned were
            not disturbed.
        conditions: Under which it was measured; None where they were not recorded.
    """

    round: int
    block: int
    requests: int
    errors: int
    window_s: float
    makespan_s: float | None
    throughput_rps: float
    latency_ms: Percentiles
    cpu_ms_per_request: float | None
    undelayed: RoundResult | None = None
    counts: bool = True
    disturbed: bool = False
    set_aside: bool = False
    conditions: Conditions | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """How long one part of a request took, in milliseconds, over `requests` of them."""

    requests: int = 0
    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Phases:
    """How the time of a right answer divides into phases.

    Attributes:
        to_send: From due to sent: the driver's delay, or its wait for a free connection.
        connecting: From sent to connected, of those that needed a new connection.
        to_first_byte: From sent, or connected, to the first byte of the answer.
        transfer: From the first byte to the last.
    """

    to_send: Phase = Phase()
    connecting: Phase = Phase()
    to_first_byte: Phase = Phase()
    transfer: Phase = Phase()


@dataclass(frozen=True, slots=True)
class StageResult:
    """A stretch of steps or of a ramp, over all rounds; rates are per second.

    Attributes:
        start_s: When it begins, in seconds from the start of the window.
        duration_s: Its length in seconds.
        rate: Arrivals planned, in the mean; of a fan-out publications, and what follows are
            deliveries.
        offered_rps: Requests that were due in it, refused ones included.
        sent_rps: Those of them that were sent.
        answered_rps: Those of them that were answered right, whenever that was.
        refused: How many of them were refused.
        errors: How many of them failed, refused ones included; of a fan-out also publications that
            failed and duplicate deliveries.
        p50_ms: Their median response time.
        p99_ms: The 99th percentile.
        kept_up: Whether the target kept up with it in most rounds.
    """

    start_s: float
    duration_s: float
    rate: float
    offered_rps: float
    sent_rps: float
    answered_rps: float
    refused: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    kept_up: bool


@dataclass(frozen=True, slots=True)
class FanOutFigures:
    """The outcome of the publications of a fan-out load, over all rounds.

    Attributes:
        published: Publications due in the windows that the target acknowledged.
        expected: Deliveries that these should have made to active clients.
        received: Deliveries made, each publication counted once per client.
        reach: Received over expected; None without any.
        duplicates: Deliveries of an event that the client already had.
        out_of_order: Deliveries that came after a later publication.
        spread_ms: Of each publication, the time from the first client that received it to the last.
        delivered_per_s: Deliveries per second of the windows; median over the rounds.
        reconnects: Reconnects of active clients.
        closed: Connections of slow and stalled clients that the target closed.
        slow_heard: Deliveries to slow clients.
        dropped: Events that the target dropped by its own count, because a client did not read;
            None when it reported none.
        driver_cpu_us: CPU microseconds of the driver per delivery.
        kib_per_connection: Growth of the target's resident memory per connection from before the
            first to after the last was opened, KiB; the median over the rounds.
        connect_ms: Time from connecting until the target's greeting.
    """

    published: int
    expected: int
    received: int
    reach: float | None
    duplicates: int
    out_of_order: int
    spread_ms: Percentiles
    delivered_per_s: float | None
    reconnects: int
    closed: int
    slow_heard: int
    dropped: int | None
    driver_cpu_us: float | None
    kib_per_connection: float | None
    connect_ms: Percentiles


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one cell: of the rounds that count, or of all where the cell is invalid.

    Attributes:
        requests: Those of the measured windows of all rounds, errors included: those answered in
            them, or under an open load those due in them.
        errors: How many of them failed.
        makespan_s: Burst only: median over the rounds of the time to the last response.
        makespan_s_ci: Its interval.
        throughput_rps: Right answers per second within the windows.
        throughput_rps_ci: Its interval.
        latency_ms: Over the samples of these rounds: the response time under an open load and of a
            burst, else the service time.
        latency_ms_ci: Their intervals.
        latency_ci_from: What the intervals are computed from: `rounds`; None without any.
        seconds_for: By percentile with too few samples: how many seconds would have to be measured
            in all, at this rate, for it to have enough. Not of a burst, which does not go on.
        target_use: The target's resource use.
        driver_use: The driver's resource use.
        steps: By step of the flow.
        per_round: The single rounds, those that do not count included.
        response_ms: From due to done.
        service_ms: From sent to done.
        phases_ms: The parts of it.
        refused: Open loads: requests of the windows that were never sent, because `max_in_flight`
            flows were under way.
        offered_rps: Open loads: requests due per second, refused and unsent ones included; of a
            fan-out the publications.
        stages: Steps and ramps: the stages, in time order.
        knee_rps: Steps and ramps: the highest rate up to which the target kept up with every stage,
            median of the rounds; 0 if not even with the slowest, None if with all: its limit is
            higher. Always below the rate of a stage that it did not keep up with, even if that rate
            is repeated. Of a fan-out in publications per second.
        knee_rps_ci: The interval of the limit, which is somewhere from the knee up to the next
            rate; None unless every round has a knee.
        database_use: The database's counters for the target.
        over_time: The window of its first round, in at most 60 stretches.
        workers: Of a distributed driver.
        fan_out: Under a fan-out load; its requests are deliveries.
        conditions: Sums over the rounds that count; None where they were not recorded.
    """

    requests: int
    errors: int
    makespan_s: float | None
    makespan_s_ci: Interval | None
    throughput_rps: float | None
    throughput_rps_ci: Interval | None
    latency_ms: Percentiles
    latency_ms_ci: PercentileIntervals
    latency_ci_from: str | None
    target_use: TargetUse
    driver_use: DriverUse
    steps: tuple[StepResult, ...]
    per_round: tuple[RoundResult, ...]
    response_ms: Percentiles = Percentiles()
    service_ms: Percentiles = Percentiles()
    phases_ms: Phases = Phases()
    refused: int = 0
    offered_rps: float | None = None
    stages: tuple[StageResult, ...] = ()
    knee_rps: float | None = None
    knee_rps_ci: Interval | None = None
    database_use: DatabaseUse = DatabaseUse()
    over_time: tuple[TimelinePoint, ...] = ()
    workers: tuple[WorkerUse, ...] = ()
    fan_out: FanOutFigures | None = None
    conditions: Conditions | None = None
    seconds_for: Mapping[str, float] = field(default_factory=dict)
