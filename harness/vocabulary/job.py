"""The job of a driver process, and its report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.locustfile import LocustfileChoice


@dataclass(frozen=True, slots=True)
class Timeouts:
    """After how many seconds a request counts as failed.

    Attributes:
        connect_s: To open a connection.
        first_byte_s: From sending to the first byte of the answer.
        response_s: From sending to the end of the answer.
    """

    connect_s: float
    first_byte_s: float
    response_s: float

    @property
    def check_interval_s(self) -> float:
        """Seconds between checks for overdue requests.

        A check costs CPU for every user; this is often enough to be a few percent late.
        """
        return max(0.005, min(self.first_byte_s / 20, self.response_s / 20, 0.5))


@dataclass(frozen=True, slots=True)
class LocustfilePart:
    """A driver's job for a locustfile in place of a flow.

    Attributes:
        choice: Which locustfile, and its options.
        web_port: Port on 127.0.0.1 for Locust's live page; None for none.
        is_last: Whether workers on other machines may disconnect after the round.
    """

    choice: LocustfileChoice
    web_port: int | None = None
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class LoadJob:
    """One round for one driver process.

    Attributes:
        scenario: Name of the scenario whose flow is driven.
        load: How the flows arrive.
        round: 0-based number of the round.
        seed: Seed of the virtual users' choices.
        base_url: Where the target listens.
        tokens: Bearer tokens, one per virtual user.
        samples: File for the samples (Parquet).
        report: File for the driver's report (JSON).
        timeouts: After how long a request counts as failed.
        locustfile: Replaces the flow; None where a flow is driven.
    """

    scenario: str
    load: Load
    round: int
    seed: int
    base_url: str
    tokens: tuple[str, ...]
    samples: str
    report: str
    timeouts: Timeouts
    locustfile: LocustfilePart | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes that share the load of a distributed driver.

    Attributes:
        count: How many.
        listen: Where workers on other machines connect, as `host:port`; empty when the driver
            starts its workers itself, on this machine.
    """

    count: int
    listen: str = ""


ClockKind: TypeAlias = Literal["shared", "aligned", "durations"]
"""Whose clock the times of a worker's samples are from: the master's own, because both run on one
machine; the worker's, shifted by the measured offset; or the worker's own, of which only durations
are valid: its window is aligned with the master's."""


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """One worker of a distributed driver in one round.

    Attributes:
        name: Its host and process.
        samples: Those it has delivered.
        clock: How its times were converted to the master's clock.
        offset_ms: The worker's clock less the master's, as measured; None if it was not.
        uncertainty_ms: Upper bound of the clock-offset error; None if it was not measured.
        cpu_fraction: CPU seconds it used per second of its window; None when it was not reported.
        waited_fraction: Seconds per second of it in which it was ready to run and another process
            had its processor; None when it was not reported.
        loop_lag_ms_p99: 99th percentile of the lateness of a 5 ms timer in its window; None when
            it was not reported.
        lost: Why it did not deliver all: it ended, or stopped responding; empty if it did.
    """

    name: str
    samples: int
    clock: ClockKind
    offset_ms: float | None = None
    uncertainty_ms: float | None = None
    cpu_fraction: float | None = None
    waited_fraction: float | None = None
    loop_lag_ms_p99: float | None = None
    lost: str = ""


@dataclass(frozen=True, slots=True)
class EmitterCounts:
    """The target's own emitter counts: totals since its start.

    Attributes:
        clients: Clients connected now.
        emitted: Events emitted, each counted once.
        queued: Events put into the queues of clients.
        delivered: Of these, those handed to the clients' connections.
        dropped: Of these, those dropped because a client's queue was full.
    """

    clients: int
    emitted: int
    queued: int
    delivered: int
    dropped: int


@dataclass(frozen=True, slots=True)
class FanOutReport:
    """The driver's counts for a round under a fan-out load, beside its samples.

    Attributes:
        published: Publications that were acknowledged and due in the window.
        failed: Publications that were due in it and failed.
        slow_heard: Deliveries to slow clients.
        reconnects: Reconnects of active clients.
        closed: Connections of slow and stalled clients that the target closed.
        before: Emitter counts when all clients were connected; None when the target reported none.
        after: Emitter counts at the end; None when the target reported none.
    """

    published: int
    failed: int
    slow_heard: int
    reconnects: int
    closed: int
    before: EmitterCounts | None
    after: EmitterCounts | None


LAG_INTERVAL_NS = 5_000_000
"""The driver's lag meter is called at this interval, and notes how long the driver waited."""

SHORTEST_WAIT_NS = 20_000
"""Waits of less in 5 ms are not noted: each switch of processes takes microseconds."""


class Wait(NamedTuple):
    """A short interval in which the driver was ready to run and another process had its processor.

    Attributes:
        from_ns: Its start (CLOCK_MONOTONIC).
        to_ns: Its end.
        waited_ns: How much of it.
    """

    from_ns: int
    to_ns: int
    waited_ns: int


@dataclass(frozen=True, slots=True)
class DriverReport:
    """The driver process's report on itself in one round.

    Attributes:
        window_start_ns: Start of the measured window (burst: the common due moment), monotonic.
        window_end_ns: Its end (burst: the last answer).
        requests: Samples written, those outside the window included.
        unsent: Arrivals of an open load that were due within the window but, the driver being late,
            not started when it ended.
        cpu_s: CPU seconds the driver used within the window.
        waited_s: Seconds within the window in which its event loop was ready to run and another
            process had the processor; None where the system does not report it.
        loop_lag_ms_p99: 99th percentile of the lateness of a 5 ms timer on its event loop.
        loop_lag_ms_max: The largest one.
        error_examples: By error kind, the first few messages.
        task_exceptions: Times that a task of a locustfile raised an exception; none of its requests
            need have failed.
        workers: Of a distributed driver; the driver's resource use is then the highest of theirs.
        ended_early: Why a locustfile's test ended early; empty if it did not.
        fan_out: Under a fan-out load.
        waits: When within the window it waited, as far as that is known: empty for a distributed
            driver.
    """

    window_start_ns: int
    window_end_ns: int
    requests: int
    unsent: int
    cpu_s: float
    waited_s: float | None
    loop_lag_ms_p99: float
    loop_lag_ms_max: float
    error_examples: dict[str, tuple[str, ...]]
    task_exceptions: int = 0
    ended_early: str = ""
    workers: tuple[WorkerReport, ...] = ()
    fan_out: FanOutReport | None = None
    waits: tuple[Wait, ...] = ()
