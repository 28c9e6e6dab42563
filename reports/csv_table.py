"""Results as CSV: one row per cell, plain numbers, the unit in the name of the column."""

import csv
import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

from loopmark.harness.vocabulary.figures import FanOutFigures, Figures, Interval
from loopmark.harness.vocabulary.load import FANNING_OUT, Load
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut
from loopmark.harness.vocabulary.result import CellResult, RunResults, ScenarioFacts
from loopmark.reports import objections

Value = str | int | float | None
"""None becomes an empty field."""


_Field = Callable[[CellResult], Value]
_Figure = Callable[[Figures], Value]


def _bounds(name: str, of: Callable[[Figures], Interval | None]) -> dict[str, _Figure]:
    def bound(end: int) -> _Figure:
        def value(figures: Figures) -> Value:
            found = of(figures)
            return None if found is None else found[end]

        return value

    return {f"{name}_low": bound(0), f"{name}_high": bound(1)}


def _latency(name: str) -> dict[str, _Figure]:
    return {
        f"latency_{name}_ms": lambda figures: getattr(figures.latency_ms, name),
        **_bounds(f"latency_{name}_ms", lambda figures: getattr(figures.latency_ms_ci, name)),
    }


def _percentiles(of: str) -> dict[str, _Figure]:
    def value(name: str) -> _Figure:
        return lambda figures: getattr(getattr(figures, f"{of}_ms"), name)

    return {f"{of}_{name}_ms": value(name) for name in ("p50", "p90", "p95", "p99", "p999", "max")}


def _phase(of: str) -> dict[str, _Figure]:
    def value(name: str) -> _Figure:
        return lambda figures: getattr(getattr(figures.phases_ms, of), name)

    return {f"{of}_{name}_ms": value(name) for name in ("p50", "p99")}


def _fan_out(name: str) -> dict[str, _Figure]:
    def value(figures: Figures) -> Value:
        return None if figures.fan_out is None else getattr(figures.fan_out, name)

    return {f"fan_out_{name}": value}


def _fan_out_percentiles(of: str) -> dict[str, _Figure]:
    def value(name: str) -> _Figure:
        def found(figures: Figures) -> Value:
            fan_out: FanOutFigures | None = figures.fan_out
            return None if fan_out is None else getattr(getattr(fan_out, f"{of}_ms"), name)

        return found

    return {f"fan_out_{of}_{name}_ms": value(name) for name in ("p50", "p90", "p99", "max")}


COLUMNS: Mapping[str, _Field] = MappingProxyType(
    {
        "cell": lambda cell: cell.name,
        "scenario": lambda cell: cell.scenario,
        "target": lambda cell: cell.target,
        "driver": lambda cell: cell.driver,
        "load_model": lambda cell: cell.load.model,
        "concurrency": lambda cell: cell.load.concurrency,
        "validity": lambda cell: cell.validity.state.value,
        "validity_reasons": lambda cell: "; ".join(objections.sentences(cell.validity)),
        "load": lambda cell: cell.load.label,
        "rate": lambda cell: _rate(cell.load),
        "think_s": lambda cell: _think_s(cell.load),
        "rounds": lambda cell: cell.rounds,
    }
)
"""What was asked and what became of it, by name of the column, in order."""

FIGURES: Mapping[str, _Figure] = MappingProxyType(
    {
        "requests": lambda figures: figures.requests,
        "errors": lambda figures: figures.errors,
        "makespan_s": lambda figures: figures.makespan_s,
        **_bounds("makespan_s", lambda figures: figures.makespan_s_ci),
        "throughput_rps": lambda figures: figures.throughput_rps,
        **_bounds("throughput_rps", lambda figures: figures.throughput_rps_ci),
        **_latency("p50"),
        **_latency("p90"),
        **_latency("p95"),
        **_latency("p99"),
        **_latency("p999"),
        "latency_max_ms": lambda figures: figures.latency_ms.max,
        "latency_intervals_from": lambda figures: figures.latency_ci_from,
        "target_cpu_ms_per_request": lambda figures: figures.target_use.cpu_ms_per_request,
        **_bounds(
            "target_cpu_ms_per_request", lambda figures: figures.target_use.cpu_ms_per_request_ci
        ),
        "target_cpu_fraction": lambda figures: figures.target_use.cpu_fraction,
        "target_rss_mib": lambda figures: figures.target_use.rss_mib,
        "target_threads": lambda figures: figures.target_use.threads,
        "target_loop_lag_p50_ms": lambda figures: figures.target_use.loop_lag_ms.p50,
        "target_loop_lag_p99_ms": lambda figures: figures.target_use.loop_lag_ms.p99,
        "target_loop_lag_max_ms": lambda figures: figures.target_use.loop_lag_ms.max,
        "driver_cpu_fraction": lambda figures: figures.driver_use.cpu_fraction,
        "driver_loop_lag_p99_ms": lambda figures: figures.driver_use.loop_lag_ms.p99,
        "driver_loop_lag_max_ms": lambda figures: figures.driver_use.loop_lag_ms.max,
        "driver_late_sends_fraction": lambda figures: figures.driver_use.late_sends,
        "driver_send_spread_ms": lambda figures: figures.driver_use.send_spread_ms,
        "refused": lambda figures: figures.refused,
        "offered_rps": lambda figures: figures.offered_rps,
        "knee_rps": lambda figures: figures.knee_rps,
        **_percentiles("response"),
        **_percentiles("service"),
        **_phase("to_send"),
        "new_connections": lambda figures: figures.phases_ms.connecting.requests,
        **_phase("connecting"),
        **_phase("to_first_byte"),
        **_phase("transfer"),
        "target_sockets": lambda figures: figures.target_use.sockets,
        "target_context_switches_per_request": lambda figures: (
            figures.target_use.context_switches_per_request
        ),
        "database_cpu_ms_per_request": lambda figures: figures.database_use.cpu_ms_per_request,
        "database_cpu_fraction": lambda figures: figures.database_use.cpu_fraction,
        "database_connections": lambda figures: figures.database_use.connections,
        "database_active": lambda figures: figures.database_use.active,
        "database_idle_in_transaction": lambda figures: figures.database_use.idle_in_transaction,
        "database_waiting": lambda figures: figures.database_use.waiting,
        "database_waiting_max": lambda figures: figures.database_use.waiting_max,
        "database_transactions_per_request": lambda figures: (
            figures.database_use.transactions_per_request
        ),
        "database_rollbacks_per_request": lambda figures: (
            figures.database_use.rollbacks_per_request
        ),
        "database_cache_hits_fraction": lambda figures: figures.database_use.cache_hits,
        "target_files": lambda figures: figures.target_use.files,
        **_fan_out("published"),
        **_fan_out("expected"),
        **_fan_out("received"),
        **_fan_out("reach"),
        **_fan_out("duplicates"),
        **_fan_out("out_of_order"),
        **_fan_out_percentiles("spread"),
        **_fan_out("delivered_per_s"),
        **_fan_out("reconnects"),
        **_fan_out("closed"),
        **_fan_out("slow_heard"),
        **_fan_out("dropped"),
        **_fan_out("driver_cpu_us"),
        **_fan_out("kib_per_connection"),
        **_fan_out_percentiles("connect"),
    }
)
"""What was measured. Names are for programs: they stay once they are released."""

PLACES: Mapping[str, Callable[[CellResult, ScenarioFacts | None], Value]] = MappingProxyType(
    {
        "clients": lambda cell, _: _of_fan_out(cell.load, "clients"),
        "slow_clients": lambda cell, _: _of_fan_out(cell.load, "slow"),
        "stalled_clients": lambda cell, _: _of_fan_out(cell.load, "stalled"),
        "http_users": lambda cell, _: _of_fan_out(cell.load, "http_users"),
        "sweep": lambda _, fact: fact.sweep.series if fact and fact.sweep else None,
        "sweep_at": lambda _, fact: fact.sweep.at if fact and fact.sweep else None,
    }
)
"""Who was there under a fan-out, and the place in a series."""


def render(results: RunResults) -> str:
    """The cells as CSV text, with a heading."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["run", *COLUMNS, *FIGURES, *PLACES])
    facts = {fact.name: fact for fact in results.scenarios}
    for cell in results.cells:
        writer.writerow([results.run.run_id, *_row(cell, facts.get(cell.scenario))])
    return text.getvalue()


def _row(cell: CellResult, fact: ScenarioFacts | None) -> list[Value]:
    # The columns before these say whether they may be believed.
    figures = cell.figures_despite(cell.validity)
    return [
        *(field(cell) for field in COLUMNS.values()),
        *(figure(figures) for figure in FIGURES.values()),
        *(place(cell, fact) for place in PLACES.values()),
    ]


def _rate(load: Load) -> float | None:
    return load.rate if isinstance(load, Open | FanOut) else None


def _of_fan_out(load: Load, name: str) -> int | None:
    """Whom the steps of a fan-out do not have there are none of."""
    return getattr(load, name, 0) if isinstance(load, FANNING_OUT) else None


def _think_s(load: Load) -> float | None:
    return load.think_s if isinstance(load, Closed) else None
