"""The columns of the result tables: a metric is one row here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from loopmark.harness.vocabulary.figures import (
    FanOutFigures,
    Figures,
    StageResult,
    StepResult,
    WorkerUse,
)
from loopmark.harness.vocabulary.load import ARRIVING, FANNING_OUT, Load
from loopmark.harness.vocabulary.loads.arriving import Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.fan_out import FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.reports import clocks, formatting, wording
from loopmark.reports.formatting import MISSING

FEW_SAMPLES_NOTE = (
    f"{MISSING} stands for a percentile that there are too few samples for: one with a share p of "
    "the N samples below it needs N (1 - p) of at least 10, so p99 needs 1,000 and p99.9 needs "
    "10,000."
)


def _no_interval(_: Figures) -> str:
    return ""


def shown(cell: CellResult) -> Figures:
    """The figures of a cell for a table or a chart, which have its validity beside them."""
    return cell.figures_despite(cell.validity)


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a cell.

    Attributes:
        heading: Its heading, with the unit where all values have the same.
        text: The figure as text.
        interval: Its 95% interval as text; empty without one.
        from_due: Whether it counts from the moment at which a request was due. What the users of a
            locustfile ask is due when they ask it.
    """

    heading: str
    text: Callable[[Figures], str]
    interval: Callable[[Figures], str] = _no_interval
    from_due: bool = False


def errors(cell: CellResult) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """What went wrong in a cell: by kind, how often, as text, and the first few messages.

    Of what a locustfile does beside its requests there may be a message and no number.
    """
    beside = [ErrorKind.LOCUSTFILE] if ErrorKind.LOCUSTFILE in cell.error_examples else []
    return tuple(
        (
            kind,
            formatting.count(cell.error_kinds.get(kind)),
            cell.error_examples.get(kind, ()),
        )
        for kind in dict.fromkeys([*cell.error_kinds, *beside])
    )


def present(columns: Sequence[Column], cells: Sequence[CellResult]) -> tuple[Column, ...]:
    """The columns that have something to show for one of these cells."""
    return tuple(
        column
        for column in columns
        if any(
            column.text(shown(cell)) != MISSING
            and not (column.from_due and isinstance(cell.load, Population))
            for cell in cells
        )
    )


def _latency(name: str, heading: str) -> Column:
    def text(figures: Figures) -> str:
        return formatting.milliseconds(getattr(figures.latency_ms, name))

    def interval(figures: Figures) -> str:
        bounds = getattr(figures.latency_ms_ci, name, None)
        return formatting.interval(bounds, formatting.milliseconds)

    return Column(heading, text, interval)


def _percentile(of: str, name: str, heading: str) -> Column:
    return Column(
        heading,
        lambda figures: formatting.milliseconds(getattr(getattr(figures, of), name)),
        from_due=of == "response_ms",
    )


def _phase(of: str, heading: str) -> tuple[Column, ...]:
    def text(name: str) -> Callable[[Figures], str]:
        return lambda figures: formatting.milliseconds(
            getattr(getattr(figures.phases_ms, of), name)
        )

    due = of == "to_send"
    return (
        Column(f"{heading} p50", text("p50"), from_due=due),
        Column(f"{heading} p99", text("p99"), from_due=due),
    )


def _in_us(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else 1e3 * milliseconds


def _of_fan_out(heading: str, text: Callable[[FanOutFigures], str]) -> Column:
    """What only a fan-out has."""

    def found(figures: Figures) -> str:
        return MISSING if figures.fan_out is None else text(figures.fan_out)

    return Column(heading, found)


def _percentile_of_fan_out(of: str, name: str, heading: str) -> Column:
    return _of_fan_out(
        heading, lambda found: formatting.milliseconds(getattr(getattr(found, of), name))
    )


OFFERED = Column("Offered per second", lambda figures: formatting.number(figures.offered_rps))
REFUSED = Column("Refused", lambda figures: formatting.share_of(figures.refused, figures.requests))
KNEE = Column("Kept up to", wording.knee)
REQUESTS = Column("Requests", lambda figures: formatting.count(figures.requests))
ERRORS = Column("Errors", lambda figures: formatting.share_of(figures.errors, figures.requests))
THROUGHPUT = Column(
    "Answers per second",
    lambda figures: formatting.number(figures.throughput_rps),
    lambda figures: formatting.interval(figures.throughput_rps_ci),
)
MAKESPAN = Column(
    "Time to the last answer",
    lambda figures: formatting.seconds(figures.makespan_s),
    lambda figures: formatting.interval(figures.makespan_s_ci, formatting.seconds),
)
CPU = Column(
    "CPU per request",
    lambda figures: formatting.milliseconds(figures.target_use.cpu_ms_per_request),
    lambda figures: formatting.interval(
        figures.target_use.cpu_ms_per_request_ci, formatting.milliseconds
    ),
)
MEMORY = Column("Memory", lambda figures: formatting.mebibytes(figures.target_use.rss_mib))
THREADS = Column("Threads", lambda figures: formatting.count(figures.target_use.threads))
LOOP_LAG = Column(
    "Loop lag p99", lambda figures: formatting.milliseconds(figures.target_use.loop_lag_ms.p99)
)
FILES = Column("Open files", lambda figures: formatting.count(figures.target_use.files))
SWITCHES = Column(
    "Context switches per request",
    lambda figures: formatting.number(figures.target_use.context_switches_per_request),
)
TAIL = _latency("p999", "p99.9")
LATENCIES = (
    _latency("p50", "p50"),
    _latency("p90", "p90"),
    _latency("p95", "p95"),
    _latency("p99", "p99"),
    TAIL,
    _latency("max", "max"),
)
COSTS = (
    CPU,
    Column("CPU in use", lambda figures: formatting.share(figures.target_use.cpu_fraction)),
    MEMORY,
    THREADS,
    Column("Sockets", lambda figures: formatting.count(figures.target_use.sockets)),
    FILES,
    SWITCHES,
    LOOP_LAG,
    Column(
        "Loop lag max", lambda figures: formatting.milliseconds(figures.target_use.loop_lag_ms.max)
    ),
    Column("Driver CPU", lambda figures: formatting.share(figures.driver_use.cpu_fraction)),
    Column(
        "Driver lag p99",
        lambda figures: formatting.milliseconds(figures.driver_use.loop_lag_ms.p99),
    ),
    Column(
        "Send spread",
        lambda figures: formatting.milliseconds(figures.driver_use.send_spread_ms),
        from_due=True,
    ),
)
"""What it took: the target's resources, then the driver's."""

REACH = replace(
    _of_fan_out("Reach", lambda found: formatting.reach(found.reach)),
    interval=lambda figures: (
        f"of {formatting.count(figures.fan_out.expected)}" if figures.fan_out else ""
    ),
)
"""No interval, but what it is a share of."""

CPU_PER_DELIVERY = Column(
    "CPU per delivery",
    lambda figures: formatting.microseconds(_in_us(figures.target_use.cpu_ms_per_request)),
    lambda figures: formatting.interval(
        figures.target_use.cpu_ms_per_request_ci,
        lambda bound: formatting.microseconds(_in_us(bound)),
    ),
)
DRIVER_CPU_PER_DELIVERY = _of_fan_out(
    "Driver CPU per delivery", lambda found: formatting.microseconds(found.driver_cpu_us)
)
MEMORY_PER_CONNECTION = _of_fan_out(
    "Memory per connection", lambda found: formatting.kibibytes(found.kib_per_connection)
)
_FAN_OUT_COSTS = {
    CPU: (CPU_PER_DELIVERY, DRIVER_CPU_PER_DELIVERY, MEMORY_PER_CONNECTION),
    SWITCHES: (replace(SWITCHES, heading="Context switches per delivery"),),
}
"""What stands in the place of a column that is about requests."""

HEARD = (
    REACH,
    _of_fan_out("Duplicates", lambda found: formatting.count(found.duplicates)),
    _of_fan_out("Out of order", lambda found: formatting.count(found.out_of_order)),
    _of_fan_out("Deliveries per second", lambda found: formatting.number(found.delivered_per_s)),
    # The interval of the tail is the one to look at, and there is no room for more.
    replace(_latency("p50", "p50"), interval=_no_interval),
    _latency("p90", "p90"),
    _latency("p99", "p99"),
    _latency("max", "max"),
    # There are as many spreads as publications: hardly ever enough for a 99th percentile.
    _percentile_of_fan_out("spread_ms", "p50", "Spread p50"),
    _percentile_of_fan_out("spread_ms", "p90", "Spread p90"),
)
"""What clients that read heard; percentiles from emitted to heard."""

_OF_ONE_RATE = frozenset({"p90", "Spread p50", "Spread p90"})

CLIENTS = (
    _percentile_of_fan_out("connect_ms", "p50", "Connect p50"),
    _percentile_of_fan_out("connect_ms", "p99", "Connect p99"),
    _percentile_of_fan_out("connect_ms", "max", "Connect max"),
    _of_fan_out("Reconnects", lambda found: formatting.count(found.reconnects)),
    _of_fan_out("Dropped by the target", lambda found: formatting.count(found.dropped)),
    _of_fan_out("Closed by the target", lambda found: formatting.count(found.closed)),
    _of_fan_out("Heard by slow clients", lambda found: formatting.count(found.slow_heard)),
)
"""The connections, and what became of clients that hardly read."""

DATABASE_CPU = Column(
    "Database CPU per request",
    lambda figures: formatting.milliseconds(figures.database_use.cpu_ms_per_request),
)
CONNECTIONS = Column(
    "Connections held", lambda figures: formatting.count(figures.database_use.connections)
)
DATABASE = (
    DATABASE_CPU,
    Column("CPU in use", lambda figures: formatting.share(figures.database_use.cpu_fraction)),
    CONNECTIONS,
    Column("Active", lambda figures: formatting.number(figures.database_use.active)),
    Column(
        "Idle in transaction",
        lambda figures: formatting.number(figures.database_use.idle_in_transaction),
    ),
    Column("Waiting for a lock", lambda figures: formatting.number(figures.database_use.waiting)),
    Column("Waiting, at most", lambda figures: formatting.count(figures.database_use.waiting_max)),
    Column(
        "Transactions per request",
        lambda figures: formatting.number(figures.database_use.transactions_per_request),
    ),
    Column(
        "Rolled back per request",
        lambda figures: formatting.number(figures.database_use.rollbacks_per_request),
    ),
    Column(
        "Blocks found in memory", lambda figures: formatting.share(figures.database_use.cache_hits)
    ),
)
"""What the database did for the target."""

DATABASE_CPU_PER_DELIVERY = Column(
    "Database CPU per delivery",
    lambda figures: formatting.microseconds(_in_us(figures.database_use.cpu_ms_per_request)),
)


TIMES = (
    *(
        _percentile(of, name, f"{what} {heading}")
        for name, heading in (("p50", "p50"), ("p99", "p99"), ("max", "max"))
        for of, what in (("response_ms", "Response"), ("service_ms", "Service"))
    ),
    *_phase("to_send", "To send"),
    Column(
        "New connections",
        lambda figures: formatting.count(figures.phases_ms.connecting.requests),
    ),
    *_phase("connecting", "Connecting"),
    *_phase("to_first_byte", "To first byte"),
    *_phase("transfer", "Transfer"),
)
"""Response time and service time side by side, then the parts that they are made of."""

DELIVERY_TIMES = (
    *(
        replace(_percentile(of, name, f"{what} {name}"), from_due=False)
        for name in ("p50", "p99", "max")
        for of, what in (("response_ms", "Due to heard"), ("service_ms", "Emitted to heard"))
    ),
    *(replace(one, from_due=False) for one in _phase("to_send", "Due to emitted")),
)
"""The same of a delivery: until the target emitted it, and from there on."""

STAGES = ("Offered", "Sent", "Answered right", "Refused", "Errors", "p50", "p99", "Kept up")
"""Headings of the stages of steps and ramps; the first three per second."""


def stage_texts(stage: StageResult) -> tuple[str, ...]:
    """A stage under the headings `STAGES`."""
    return (
        formatting.number(stage.offered_rps),
        formatting.number(stage.sent_rps),
        formatting.number(stage.answered_rps),
        formatting.count(stage.refused),
        formatting.count(stage.errors),
        formatting.milliseconds(stage.p50_ms),
        formatting.milliseconds(stage.p99_ms),
        "yes" if stage.kept_up else "no",
    )


DELIVERY_STAGES = ("Deliveries due", "Heard", "Reach", "Errors", "p50", "p99", "Kept up")
"""Headings of the stages of a fan-out; the first two per second."""


def delivery_stage_texts(stage: StageResult) -> tuple[str, ...]:
    """A stage under the headings `DELIVERY_STAGES`."""
    return (
        formatting.number(stage.offered_rps),
        formatting.number(stage.answered_rps),
        formatting.reach(wording.reached(stage)),
        formatting.count(stage.errors),
        formatting.milliseconds(stage.p50_ms),
        formatting.milliseconds(stage.p99_ms),
        "yes" if stage.kept_up else "no",
    )


WORKERS = ("Worker", "Rounds", "Samples", "Clock", "CPU", "Loop lag p99", "Lost")
"""Headings of the workers of a distributed driver."""


def worker_texts(worker: WorkerUse) -> tuple[str, ...]:
    """A worker under the headings `WORKERS`."""
    return (
        worker.name,
        formatting.count(worker.rounds),
        formatting.count(worker.samples),
        clocks.words(worker),
        formatting.share(worker.cpu_fraction),
        formatting.milliseconds(worker.loop_lag_ms_p99),
        worker.lost or "no",
    )


STEPS = ("Requests", "Errors", "p50", "p90", "p95", "p99", "p99.9", "max")
"""Headings of a step of the flow, or of a request by its name."""


def step_texts(step: StepResult) -> tuple[str, ...]:
    """A step under the headings `STEPS`."""
    found = step.latency_ms
    percentiles = (found.p50, found.p90, found.p95, found.p99, found.p999, found.max)
    return (
        formatting.count(step.requests),
        formatting.share_of(step.errors, step.requests),
        *map(formatting.milliseconds, percentiles),
    )


METRICS: Mapping[str, str] = MappingProxyType(
    {
        "burst": "makespan_s",
        "closed": "throughput_rps",
        "open": "latency_ms.p50",
        "fan-out": "latency_ms.p99",
        "population": "throughput_rps",
    }
)
"""By load model, the metric that counts in a comparison."""


def primary(load: Load) -> Column:
    """The figure that counts under a load."""
    if isinstance(load, Burst):
        return MAKESPAN
    if isinstance(load, Steps | Ramp | FanOutSteps):
        return KNEE
    return REACH if isinstance(load, FANNING_OUT) else THROUGHPUT


def answers(load: Load) -> tuple[Column, ...]:
    """What was answered, or heard."""
    if isinstance(load, FanOutSteps):
        # Of all its rates together a few figures are enough.
        return KNEE, *(one for one in HEARD if one.heading not in _OF_ONE_RATE)
    if isinstance(load, FANNING_OUT):
        return HEARD
    if not isinstance(load, ARRIVING):
        return (REQUESTS, ERRORS, primary(load), *LATENCIES)
    staged = (KNEE,) if isinstance(load, Steps | Ramp) else ()
    return (REQUESTS, ERRORS, REFUSED, *staged, OFFERED, THROUGHPUT, *LATENCIES)


def costs(load: Load) -> tuple[Column, ...]:
    """What it took: per request, or per delivery."""
    if not isinstance(load, FANNING_OUT):
        return COSTS
    return tuple(one for column in COSTS for one in _FAN_OUT_COSTS.get(column, (column,)))


def database(load: Load) -> tuple[Column, ...]:
    """What the database did: per request, or per delivery."""
    if not isinstance(load, FANNING_OUT):
        return DATABASE
    return tuple(
        DATABASE_CPU_PER_DELIVERY
        if column is DATABASE_CPU
        else replace(column, heading=column.heading.replace("per request", "per delivery"))
        for column in DATABASE
    )


def cost(load: Load) -> Column:
    """What a request, or a delivery, took of the target's CPU."""
    return CPU_PER_DELIVERY if isinstance(load, FANNING_OUT) else CPU


def cost_text(load: Load, cpu_ms: float | None) -> str:
    """The same of a single round."""
    if isinstance(load, FANNING_OUT):
        return formatting.microseconds(_in_us(cpu_ms))
    return formatting.milliseconds(cpu_ms)


def times(load: Load) -> tuple[Column, ...]:
    """Where the time went."""
    return DELIVERY_TIMES if isinstance(load, FANNING_OUT) else TIMES


def stages(load: Load) -> tuple[str, ...]:
    """Headings of the stages of a load."""
    return DELIVERY_STAGES if isinstance(load, FANNING_OUT) else STAGES


def texts_of_stage(load: Load, stage: StageResult) -> tuple[str, ...]:
    """A stage under the headings `stages`."""
    return delivery_stage_texts(stage) if isinstance(load, FANNING_OUT) else stage_texts(stage)


def shown_answers(load: Load, cells: Sequence[CellResult]) -> tuple[Column, ...]:
    """The same for a page.

    The cell of a locustfile has a long name: where samples are few, the last
    percentile makes room for it.
    """
    found = answers(load)
    if not isinstance(load, Population):
        return found
    seen = present(found, cells)
    return tuple(column for column in found if column in seen or column is not TAIL)


def size_heading(load: Load) -> str:
    """What the size of a load of this model is."""
    if isinstance(load, Burst):
        return "At once"
    if isinstance(load, FANNING_OUT):
        return "Clients"
    return "Arrivals" if isinstance(load, ARRIVING) else "Users"


def of(cell: CellResult) -> Column:
    """The figure that counts in a cell."""
    return primary(cell.load)
