"""`results.json`: the summaries that everything downstream reads."""

from __future__ import annotations

from dataclasses import dataclass

from harness.vocabulary.cell import Validity
from harness.vocabulary.load import Load
from harness.vocabulary.record import RunRecord

Interval = tuple[float, float]
"""Lower and upper bound of a two-sided 95% interval."""


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Latency percentiles in milliseconds; None where there are too few samples to tell."""

    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class PercentileIntervals:
    """The intervals beside `Percentiles`; the maximum has none."""

    p50: Interval | None = None
    p90: Interval | None = None
    p95: Interval | None = None
    p99: Interval | None = None
    p999: Interval | None = None


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late a timer on the event loop fired, in milliseconds; None where nobody looked."""

    p50: float | None = None
    p99: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class TargetUse:
    """What the target spent.

    Attributes:
        cpu_ms_per_request: CPU milliseconds of the target's processes per request answered.
        cpu_ms_per_request_ci: Its interval.
        cpu_fraction: CPU seconds per second of the window (1.0 is one core).
        rss_mib: Largest resident memory seen, MiB. A target lives for a block: this holds what
            earlier rounds of the block have left in it.
        threads: Largest number of threads seen; likewise.
        loop_lag_ms: Lag of its event loop.
    """

    cpu_ms_per_request: float | None = None
    cpu_ms_per_request_ci: Interval | None = None
    cpu_fraction: float | None = None
    rss_mib: float | None = None
    threads: int | None = None
    loop_lag_ms: LoopLag = LoopLag()


@dataclass(frozen=True, slots=True)
class DriverUse:
    """What the driver spent: the worst of the cell's rounds.

    Attributes:
        cpu_fraction: CPU seconds per second of the window.
        loop_lag_ms: Lag of its event loop.
        late_sends: Share of requests sent over 1 ms after they were due.
        send_spread_ms: Largest time from due to sent.
    """

    cpu_fraction: float | None = None
    loop_lag_ms: LoopLag = LoopLag()
    late_sends: float | None = None
    send_spread_ms: float | None = None


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step of the flow, over all rounds."""

    step: str
    requests: int
    errors: int
    latency_ms: Percentiles


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Rows counted against acknowledged writes, over all rounds.

    Attributes:
        what: What was counted.
        acknowledged: Change in rows that the acknowledged requests must have made.
        uncertain: Requests that may or may not have been carried out: they have no answer.
        found: Change in rows that the database shows.
        ok: Whether they agree, allowing for the uncertain ones.
    """

    what: str
    acknowledged: int
    uncertain: int
    found: int
    ok: bool


@dataclass(frozen=True, slots=True)
class RoundResult:
    """The figures of one round, for those who want to see the scatter.

    Rounds of different cells with the same `block` ran within minutes of each other.
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


@dataclass(frozen=True, slots=True)
class CellResult:
    """The summary of one cell.

    Attributes:
        name: The cell's name.
        scenario: Its scenario.
        target: Its target.
        driver: Its driver.
        load: Its load.
        rounds: Rounds that were measured to their end.
        requests: Requests answered within the measured windows, errors included.
        errors: How many of them failed.
        error_kinds: By kind, how many in all: also those outside of the windows, which speak
            against the cell as well.
        error_examples: By kind, the first few messages.
        makespan_s: Burst only: median over the rounds of the time to the last answer.
        makespan_s_ci: Its interval.
        throughput_rps: Right answers per second.
        throughput_rps_ci: Its interval.
        latency_ms: Over the samples of all rounds.
        latency_ms_ci: Their intervals.
        latency_ci_from: What the intervals rest on: `rounds` or `samples` (one round only).
        target_use: What the target spent.
        driver_use: What the driver spent.
        steps: By step of the flow.
        audits: Of the scenario.
        per_round: The single rounds.
        validity: Whether all this may be believed.
        stderr_tail: Last lines of a process that died.
    """

    name: str
    scenario: str
    target: str
    driver: str
    load: Load
    rounds: int
    requests: int
    errors: int
    error_kinds: dict[str, int]
    error_examples: dict[str, tuple[str, ...]]
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
    audits: tuple[AuditResult, ...]
    per_round: tuple[RoundResult, ...]
    validity: Validity
    stderr_tail: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two targets under the same scenario, load and driver.

    Attributes:
        scenario: The scenario in both cells.
        load: The load in both cells.
        driver: The driver in both cells.
        base: Target that is the denominator.
        other: Target that is the numerator.
        metric: Name of the metric.
        ratio: Geometric mean over the rounds of other / base; None when inconclusive.
        ratio_ci: Its interval, from the rounds as pairs.
        rounds: Pairs of rounds.
        reasons: Why there is no ratio.
    """

    scenario: str
    load: Load
    driver: str
    base: str
    other: str
    metric: str
    ratio: float | None
    ratio_ci: Interval | None
    rounds: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentedPoint:
    """One row of the documented timing table, as printed there."""

    pattern: str
    concurrency: int
    makespan_s: float


@dataclass(frozen=True, slots=True)
class ScenarioFacts:
    """What a reader must know of a scenario."""

    name: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What a reader must know of a target."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class RunResults:
    """Everything that a report or a gate needs to know of a run."""

    schema_version: int
    run: RunRecord
    scenarios: tuple[ScenarioFacts, ...]
    targets: tuple[TargetFacts, ...]
    documented: tuple[DocumentedPoint, ...]
    cells: tuple[CellResult, ...]
    comparisons: tuple[Comparison, ...]
