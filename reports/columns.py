"""The columns of the result tables: a metric is one row here."""

from collections.abc import Callable
from dataclasses import dataclass

from harness.vocabulary.load import Burst
from harness.vocabulary.result import CellResult
from reports import quantities
from reports.quantities import MISSING

FEW_SAMPLES_NOTE = (
    f"{MISSING} stands for a percentile that there are too few samples for: one with a share p of "
    "the N samples below it needs N (1 - p) of at least 10, so p99 needs 1,000 and p99.9 needs "
    "10,000."
)


def _no_interval(_: CellResult) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of a cell.

    Attributes:
        heading: Its heading, with the unit where all values have the same.
        text: The figure as text.
        interval: Its 95% interval as text; empty without one.
    """

    heading: str
    text: Callable[[CellResult], str]
    interval: Callable[[CellResult], str] = _no_interval


def _latency(name: str, heading: str) -> Column:
    def text(cell: CellResult) -> str:
        return quantities.milliseconds(getattr(cell.latency_ms, name))

    def interval(cell: CellResult) -> str:
        bounds = getattr(cell.latency_ms_ci, name, None)
        return quantities.interval(bounds, quantities.milliseconds)

    return Column(heading, text, interval)


REQUESTS = Column("Requests", lambda cell: quantities.count(cell.requests))
ERRORS = Column("Errors", lambda cell: quantities.share_of(cell.errors, cell.requests))
THROUGHPUT = Column(
    "Answers per second",
    lambda cell: quantities.number(cell.throughput_rps),
    lambda cell: quantities.interval(cell.throughput_rps_ci),
)
MAKESPAN = Column(
    "Time to the last answer",
    lambda cell: quantities.seconds(cell.makespan_s),
    lambda cell: quantities.interval(cell.makespan_s_ci, quantities.seconds),
)
CPU = Column(
    "CPU per request",
    lambda cell: quantities.milliseconds(cell.target_use.cpu_ms_per_request),
    lambda cell: quantities.interval(
        cell.target_use.cpu_ms_per_request_ci, quantities.milliseconds
    ),
)
LATENCIES = (
    _latency("p50", "p50"),
    _latency("p90", "p90"),
    _latency("p95", "p95"),
    _latency("p99", "p99"),
    _latency("p999", "p99.9"),
    _latency("max", "max"),
)
COSTS = (
    CPU,
    Column("CPU in use", lambda cell: quantities.share(cell.target_use.cpu_fraction)),
    Column("Memory", lambda cell: quantities.mebibytes(cell.target_use.rss_mib)),
    Column("Threads", lambda cell: quantities.count(cell.target_use.threads)),
    Column("Loop lag p99", lambda cell: quantities.milliseconds(cell.target_use.loop_lag_ms.p99)),
    Column("Loop lag max", lambda cell: quantities.milliseconds(cell.target_use.loop_lag_ms.max)),
    Column("Driver CPU", lambda cell: quantities.share(cell.driver_use.cpu_fraction)),
    Column("Driver lag p99", lambda cell: quantities.milliseconds(cell.driver_use.loop_lag_ms.p99)),
    Column("Send spread", lambda cell: quantities.milliseconds(cell.driver_use.send_spread_ms)),
)
"""What it took: the target's resources, then the driver's."""


def primary(*, burst: bool) -> Column:
    """The figure that counts under a load model."""
    return MAKESPAN if burst else THROUGHPUT


def answers(*, burst: bool) -> tuple[Column, ...]:
    """What was answered."""
    return (REQUESTS, ERRORS, primary(burst=burst), *LATENCIES)


def of(cell: CellResult) -> Column:
    """The figure that counts in a cell."""
    return primary(burst=isinstance(cell.load, Burst))
