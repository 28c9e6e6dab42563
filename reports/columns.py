"""The columns of the result tables: a metric is one row here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from harness.vocabulary.job import ErrorKind
from harness.vocabulary.load import ARRIVING, Burst, Load, Population, Ramp, Steps
from harness.vocabulary.result import CellResult, Figures, StageResult, StepResult, WorkerUse
from reports import clocks, quantities, wording
from reports.quantities import MISSING

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
            quantities.count(cell.error_kinds.get(kind)),
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
        return quantities.milliseconds(getattr(figures.latency_ms, name))

    def interval(figures: Figures) -> str:
        bounds = getattr(figures.latency_ms_ci, name, None)
        return quantities.interval(bounds, quantities.milliseconds)

    return Column(heading, text, interval)


def _percentile(of: str, name: str, heading: str) -> Column:
    return Column(
        heading,
        lambda figures: quantities.milliseconds(getattr(getattr(figures, of), name)),
        from_due=of == "response_ms",
    )


def _phase(of: str, heading: str) -> tuple[Column, ...]:
    def text(name: str) -> Callable[[Figures], str]:
        return lambda figures: quantities.milliseconds(
            getattr(getattr(figures.phases_ms, of), name)
        )

    due = of == "to_send"
    return (
        Column(f"{heading} p50", text("p50"), from_due=due),
        Column(f"{heading} p99", text("p99"), from_due=due),
    )


OFFERED = Column("Offered per second", lambda figures: quantities.number(figures.offered_rps))
REFUSED = Column("Refused", lambda figures: quantities.share_of(figures.refused, figures.requests))
KNEE = Column("Kept up to", wording.knee)
REQUESTS = Column("Requests", lambda figures: quantities.count(figures.requests))
ERRORS = Column("Errors", lambda figures: quantities.share_of(figures.errors, figures.requests))
THROUGHPUT = Column(
    "Answers per second",
    lambda figures: quantities.number(figures.throughput_rps),
    lambda figures: quantities.interval(figures.throughput_rps_ci),
)
MAKESPAN = Column(
    "Time to the last answer",
    lambda figures: quantities.seconds(figures.makespan_s),
    lambda figures: quantities.interval(figures.makespan_s_ci, quantities.seconds),
)
CPU = Column(
    "CPU per request",
    lambda figures: quantities.milliseconds(figures.target_use.cpu_ms_per_request),
    lambda figures: quantities.interval(
        figures.target_use.cpu_ms_per_request_ci, quantities.milliseconds
    ),
)
MEMORY = Column("Memory", lambda figures: quantities.mebibytes(figures.target_use.rss_mib))
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
    Column("CPU in use", lambda figures: quantities.share(figures.target_use.cpu_fraction)),
    MEMORY,
    Column("Threads", lambda figures: quantities.count(figures.target_use.threads)),
    Column("Sockets", lambda figures: quantities.count(figures.target_use.sockets)),
    Column(
        "Context switches per request",
        lambda figures: quantities.number(figures.target_use.context_switches_per_request),
    ),
    Column(
        "Loop lag p99", lambda figures: quantities.milliseconds(figures.target_use.loop_lag_ms.p99)
    ),
    Column(
        "Loop lag max", lambda figures: quantities.milliseconds(figures.target_use.loop_lag_ms.max)
    ),
    Column("Driver CPU", lambda figures: quantities.share(figures.driver_use.cpu_fraction)),
    Column(
        "Driver lag p99",
        lambda figures: quantities.milliseconds(figures.driver_use.loop_lag_ms.p99),
    ),
    Column(
        "Send spread",
        lambda figures: quantities.milliseconds(figures.driver_use.send_spread_ms),
        from_due=True,
    ),
)
"""What it took: the target's resources, then the driver's."""

DATABASE_CPU = Column(
    "Database CPU per request",
    lambda figures: quantities.milliseconds(figures.database_use.cpu_ms_per_request),
)
CONNECTIONS = Column(
    "Connections held", lambda figures: quantities.count(figures.database_use.connections)
)
DATABASE = (
    DATABASE_CPU,
    Column("CPU in use", lambda figures: quantities.share(figures.database_use.cpu_fraction)),
    CONNECTIONS,
    Column("Active", lambda figures: quantities.number(figures.database_use.active)),
    Column(
        "Idle in transaction",
        lambda figures: quantities.number(figures.database_use.idle_in_transaction),
    ),
    Column("Waiting for a lock", lambda figures: quantities.number(figures.database_use.waiting)),
    Column("Waiting, at most", lambda figures: quantities.count(figures.database_use.waiting_max)),
    Column(
        "Transactions per request",
        lambda figures: quantities.number(figures.database_use.transactions_per_request),
    ),
    Column(
        "Rolled back per request",
        lambda figures: quantities.number(figures.database_use.rollbacks_per_request),
    ),
    Column(
        "Blocks found in memory", lambda figures: quantities.share(figures.database_use.cache_hits)
    ),
)
"""What the database did for the target."""


TIMES = (
    *(
        _percentile(of, name, f"{what} {heading}")
        for name, heading in (("p50", "p50"), ("p99", "p99"), ("max", "max"))
        for of, what in (("response_ms", "Response"), ("service_ms", "Service"))
    ),
    *_phase("to_send", "To send"),
    Column(
        "New connections",
        lambda figures: quantities.count(figures.phases_ms.connecting.requests),
    ),
    *_phase("connecting", "Connecting"),
    *_phase("to_first_byte", "To first byte"),
    *_phase("transfer", "Transfer"),
)
"""Response time and service time side by side, then the parts that they are made of."""

STAGES = ("Offered", "Sent", "Answered right", "Refused", "Errors", "p50", "p99", "Kept up")
"""Headings of the stages of steps and ramps; the first three per second."""


def stage_texts(stage: StageResult) -> tuple[str, ...]:
    """A stage under the headings `STAGES`."""
    return (
        quantities.number(stage.offered_rps),
        quantities.number(stage.sent_rps),
        quantities.number(stage.answered_rps),
        quantities.count(stage.refused),
        quantities.count(stage.errors),
        quantities.milliseconds(stage.p50_ms),
        quantities.milliseconds(stage.p99_ms),
        "yes" if stage.kept_up else "no",
    )


WORKERS = ("Worker", "Rounds", "Samples", "Clock", "CPU", "Loop lag p99", "Lost")
"""Headings of the workers of a distributed driver."""


def worker_texts(worker: WorkerUse) -> tuple[str, ...]:
    """A worker under the headings `WORKERS`."""
    return (
        worker.name,
        quantities.count(worker.rounds),
        quantities.count(worker.samples),
        clocks.words(worker),
        quantities.share(worker.cpu_fraction),
        quantities.milliseconds(worker.loop_lag_ms_p99),
        worker.lost or "no",
    )


STEPS = ("Requests", "Errors", "p50", "p90", "p95", "p99", "p99.9", "max")
"""Headings of a step of the flow, or of a request by its name."""


def step_texts(step: StepResult) -> tuple[str, ...]:
    """A step under the headings `STEPS`."""
    found = step.latency_ms
    percentiles = (found.p50, found.p90, found.p95, found.p99, found.p999, found.max)
    return (
        quantities.count(step.requests),
        quantities.share_of(step.errors, step.requests),
        *map(quantities.milliseconds, percentiles),
    )


METRICS: Mapping[str, str] = MappingProxyType(
    {
        "burst": "makespan_s",
        "closed": "throughput_rps",
        "open": "latency_ms.p50",
        "population": "throughput_rps",
    }
)
"""By load model, the metric that counts in a comparison."""


def primary(load: Load) -> Column:
    """The figure that counts under a load."""
    if isinstance(load, Burst):
        return MAKESPAN
    if isinstance(load, Steps | Ramp):
        return KNEE
    return THROUGHPUT


def answers(load: Load) -> tuple[Column, ...]:
    """What was answered."""
    if not isinstance(load, ARRIVING):
        return (REQUESTS, ERRORS, primary(load), *LATENCIES)
    staged = (KNEE,) if isinstance(load, Steps | Ramp) else ()
    return (REQUESTS, ERRORS, REFUSED, *staged, OFFERED, THROUGHPUT, *LATENCIES)


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
    return "Arrivals" if isinstance(load, ARRIVING) else "Users"


def of(cell: CellResult) -> Column:
    """The figure that counts in a cell."""
    return primary(cell.load)
