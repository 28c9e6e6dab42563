"""Results as CSV: one row per cell, plain numbers, the unit in the name of the column."""

import csv
import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

from harness.vocabulary.result import CellResult, Interval, RunResults

Value = str | int | float | None
"""None becomes an empty field."""


def _bounds(name: str, of: Callable[[CellResult], Interval | None]) -> dict[str, "_Field"]:
    def bound(end: int) -> "_Field":
        def value(cell: CellResult) -> Value:
            found = of(cell)
            return None if found is None else found[end]

        return value

    return {f"{name}_low": bound(0), f"{name}_high": bound(1)}


def _latency(name: str) -> dict[str, "_Field"]:
    return {
        f"latency_{name}_ms": lambda cell: getattr(cell.latency_ms, name),
        **_bounds(f"latency_{name}_ms", lambda cell: getattr(cell.latency_ms_ci, name)),
    }


_Field = Callable[[CellResult], Value]

COLUMNS: Mapping[str, _Field] = MappingProxyType(
    {
        "cell": lambda cell: cell.name,
        "scenario": lambda cell: cell.scenario,
        "target": lambda cell: cell.target,
        "driver": lambda cell: cell.driver,
        "load_model": lambda cell: cell.load.model,
        "concurrency": lambda cell: cell.load.concurrency,
        "validity": lambda cell: cell.validity.state.value,
        "validity_reasons": lambda cell: "; ".join(cell.validity.reasons),
        "rounds": lambda cell: cell.rounds,
        "requests": lambda cell: cell.requests,
        "errors": lambda cell: cell.errors,
        "makespan_s": lambda cell: cell.makespan_s,
        **_bounds("makespan_s", lambda cell: cell.makespan_s_ci),
        "throughput_rps": lambda cell: cell.throughput_rps,
        **_bounds("throughput_rps", lambda cell: cell.throughput_rps_ci),
        **_latency("p50"),
        **_latency("p90"),
        **_latency("p95"),
        **_latency("p99"),
        **_latency("p999"),
        "latency_max_ms": lambda cell: cell.latency_ms.max,
        "latency_intervals_from": lambda cell: cell.latency_ci_from,
        "target_cpu_ms_per_request": lambda cell: cell.target_use.cpu_ms_per_request,
        **_bounds("target_cpu_ms_per_request", lambda cell: cell.target_use.cpu_ms_per_request_ci),
        "target_cpu_fraction": lambda cell: cell.target_use.cpu_fraction,
        "target_rss_mib": lambda cell: cell.target_use.rss_mib,
        "target_threads": lambda cell: cell.target_use.threads,
        "target_loop_lag_p50_ms": lambda cell: cell.target_use.loop_lag_ms.p50,
        "target_loop_lag_p99_ms": lambda cell: cell.target_use.loop_lag_ms.p99,
        "target_loop_lag_max_ms": lambda cell: cell.target_use.loop_lag_ms.max,
        "driver_cpu_fraction": lambda cell: cell.driver_use.cpu_fraction,
        "driver_loop_lag_p99_ms": lambda cell: cell.driver_use.loop_lag_ms.p99,
        "driver_loop_lag_max_ms": lambda cell: cell.driver_use.loop_lag_ms.max,
        "driver_late_sends_fraction": lambda cell: cell.driver_use.late_sends,
        "driver_send_spread_ms": lambda cell: cell.driver_use.send_spread_ms,
    }
)
"""By name of the column, in order. Names are for programs: they stay once they are released."""


def render(results: RunResults) -> str:
    """The cells as CSV text, with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *COLUMNS])
    for cell in results.cells:
        writer.writerow([results.run.run_id, *(field(cell) for field in COLUMNS.values())])
    return text.getvalue()
