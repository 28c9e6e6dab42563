"""Small values for the tests of the harness: cells, samples, records, results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from loopmark.harness.vocabulary.cell import Cell, Validity, ValidityState
from loopmark.harness.vocabulary.conditions import Conditions, Pressure, Taken
from loopmark.harness.vocabulary.figures import (
    DriverUse,
    Figures,
    PercentileIntervals,
    Percentiles,
    RoundResult,
    TargetUse,
)
from loopmark.harness.vocabulary.job import DriverReport, EmitterCounts, FanOutReport, Wait
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.record import (
    SCHEMA_VERSION,
    AuditCount,
    DatabaseFacts,
    DatabaseReading,
    MachineFacts,
    Pinning,
    RoundRecord,
    RoundState,
    RunRecord,
    TargetReading,
)
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import CONNECT_STEP, DELIVERY_STEP
from loopmark.harness.vocabulary.thresholds import Thresholds

MS = 1_000_000
S = 1_000_000_000
START = 100 * S
"""Where windows begin: any moment but 0."""


def cell(
    target: str = "async", load: Load | None = None, *, scenario: str = "crud", rounds: int = 1
) -> Cell:
    return Cell(scenario, target, load or closed(), "native", rounds)


def closed(users: int = 10, duration_s: float = 2.0) -> Closed:
    return Closed(users=users, duration_s=duration_s)


def burst(n: int = 10, planned_s: float = 1.0) -> Burst:
    return Burst(n=n, planned_s=planned_s)


def open_(rate: float = 100.0, duration_s: float = 2.0) -> Open:
    return Open(rate=rate, duration_s=duration_s)


def steps(*rates: float, step_s: float = 1.0) -> Steps:
    return Steps(rates=rates or (100.0, 200.0), step_s=step_s)


def ramp(start: float = 10.0, end: float = 100.0, duration_s: float = 10.0) -> Ramp:
    return Ramp(from_rate=start, to_rate=end, duration_s=duration_s)


def population(users: int | None = 10, run_time_s: float = 2.0) -> Population:
    return Population(users=users, spawn_rate=100.0, run_time_s=run_time_s)


def fan_out(  # noqa: PLR0913 - the fields of the load
    clients: int = 10,
    rate: float = 20.0,
    duration_s: float = 2.0,
    *,
    slow: int = 0,
    stalled: int = 0,
    http_users: int = 0,
) -> FanOut:
    return FanOut(
        clients=clients,
        rate=rate,
        duration_s=duration_s,
        slow=slow,
        stalled=stalled,
        http_users=http_users,
    )


def fan_out_steps(*rates: float, clients: int = 10, step_s: float = 1.0) -> FanOutSteps:
    return FanOutSteps(clients=clients, rates=rates or (20.0, 40.0), step_s=step_s)


# ---- samples ----


def sample(  # noqa: PLR0913 - the columns of a sample
    *,
    sent_ms: float,
    took_ms: float,
    waited_ms: float = 0.0,
    connecting_ms: float = 0.0,
    first_byte_ms: float | None = None,
    step: str = "read",
    error: str = "",
    status: int = 0,
    round_number: int = 0,
    user: int | None = None,
) -> dict[str, Any]:
    """One row, of a user of its own if none is named; `sent_ms` counts from the window's start.

    The first byte comes halfway unless it is said when, in milliseconds from the sending.
    """
    sent_ns = START + round(sent_ms * MS)
    first_byte = took_ms / 2 if first_byte_ms is None else first_byte_ms
    return {
        "round": round_number,
        "user": user,
        "step": step,
        "due_ns": sent_ns - round(waited_ms * MS),
        "sent_ns": sent_ns,
        "connected_ns": sent_ns + round(connecting_ms * MS) if connecting_ms else 0,
        "first_byte_ns": sent_ns + round(first_byte * MS),
        "done_ns": sent_ns + round(took_ms * MS),
        "error": error,
        "status": status,
    }


def frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as the store gives them: labels are categories."""
    every = list(rows)
    columns = {name: [row[name] for row in every] for name in sample(sent_ms=0, took_ms=0)}
    users = [place if user is None else user for place, user in enumerate(columns.pop("user"))]
    labels = {name: pd.Categorical(columns.pop(name)) for name in ("step", "error")}
    moments = {name: np.array(values, np.int64) for name, values in columns.items()}
    return pd.DataFrame({**moments, "user": np.array(users, np.int32), **labels})


def steady(  # noqa: PLR0913 - what the rows depend on
    users: int,
    duration_s: float,
    took_ms: float,
    *,
    round_number: int = 0,
    step: str = "read",
    lead_ms: float = 0.0,
) -> list[dict[str, Any]]:
    """A closed load without noise: every user has one request in flight at any moment."""
    rows = []
    for user in range(users):
        sent_ms = -lead_ms - took_ms * user / users
        while sent_ms < duration_s * 1e3:
            rows.append(
                sample(
                    sent_ms=sent_ms,
                    took_ms=took_ms,
                    step=step,
                    round_number=round_number,
                    user=user,
                )
            )
            sent_ms += took_ms
    return rows


def published(  # noqa: PLR0913 - what the rows depend on
    due_ms: float,
    clients: int,
    *,
    emit_ms: float = 2.0,
    heard_ms: float = 5.0,
    apart_ms: float = 0.1,
    late_ms: float = 0.0,
    round_number: int = 0,
) -> list[dict[str, Any]]:
    """A publication and what comes of it, as a driver writes it.

    It is sent `late_ms` after it was due, emitted `emit_ms` after that, and heard by the first
    client `heard_ms` after the emission, by each other `apart_ms` after the one before it.
    """
    sent_ms = due_ms + late_ms
    rows = [
        sample(
            sent_ms=sent_ms,
            took_ms=emit_ms + 1,
            waited_ms=late_ms,
            step="publish",
            round_number=round_number,
            user=clients,
        )
    ]
    rows += [
        sample(
            sent_ms=sent_ms + emit_ms,
            took_ms=heard_ms + client * apart_ms,
            waited_ms=emit_ms + late_ms,
            step=DELIVERY_STEP,
            round_number=round_number,
            user=client,
        )
        for client in range(clients)
    ]
    return rows


def connects(clients: int, took_ms: float = 3.0, round_number: int = 0) -> list[dict[str, Any]]:
    """The connections of a fan-out, all there before the window."""
    return [
        sample(
            sent_ms=-1000.0 + client,
            took_ms=took_ms,
            step=CONNECT_STEP,
            round_number=round_number,
            user=client,
        )
        for client in range(clients)
    ]


def fanned_out(
    load: FanOut | FanOutSteps,
    *,
    heard_ms: Callable[[float], float] = lambda _: 5.0,
    round_number: int = 0,
) -> list[dict[str, Any]]:
    """A fan-out in which everybody hears everything, by the rate so many ms after its emission."""
    rows = connects(load.clients, round_number=round_number)
    start_ms = 0.0
    for stretch in load.window:
        rate = stretch.start_rate
        for number in range(round(stretch.arrivals)):
            due_ms = start_ms + number / rate * 1e3
            rows += published(
                due_ms, load.readers, heard_ms=heard_ms(rate), round_number=round_number
            )
        start_ms += stretch.duration_s * 1e3
    return rows


def by_round(samples: pd.DataFrame) -> Callable[[int], pd.DataFrame]:
    """The samples as summaries ask for them: a round at a time."""
    return lambda number: samples[samples["round"] == number]


# ---- records ----


def reading(  # noqa: PLR0913 - the fields of a reading
    at_ms: float,
    cpu_ms: float,
    *,
    rss_mib: float = 100.0,
    threads: int = 4,
    sockets: int = 12,
    switches: int = 0,
    files: int = 8,
) -> TargetReading:
    return TargetReading(
        at_ns=START + round(at_ms * MS),
        cpu_ns=round(cpu_ms * MS),
        rss_bytes=round(rss_mib * 1024**2),
        threads=threads,
        sockets=sockets,
        context_switches=switches,
        files=files,
    )


def database_reading(  # noqa: PLR0913 - the fields of a reading
    at_ms: float,
    *,
    connections: int = 30,
    active: int = 2,
    idle_in_transaction: int = 1,
    waiting: int = 0,
    commits: int = 0,
    rollbacks: int = 0,
    blocks_read: int = 0,
    blocks_hit: int = 0,
    cpu_ms: float | None = None,
) -> DatabaseReading:
    return DatabaseReading(
        at_ns=START + round(at_ms * MS),
        connections=connections,
        active=active,
        idle_in_transaction=idle_in_transaction,
        waiting=waiting,
        commits=commits,
        rollbacks=rollbacks,
        blocks_read=blocks_read,
        blocks_hit=blocks_hit,
        cpu_ns=None if cpu_ms is None else round(cpu_ms * MS),
    )


def report(  # noqa: PLR0913 - the fields of a report
    window_s: float = 2.0,
    *,
    requests: int = 0,
    unsent: int = 0,
    cpu_s: float = 0.2,
    waited_s: float | None = 0.0,
    lag_ms: float = 0.5,
    examples: Mapping[str, tuple[str, ...]] | None = None,
    fan_out: FanOutReport | None = None,
    waits: Sequence[Wait] = (),
) -> DriverReport:
    return DriverReport(
        window_start_ns=START,
        window_end_ns=START + round(window_s * S),
        requests=requests,
        unsent=unsent,
        cpu_s=cpu_s,
        waited_s=waited_s,
        loop_lag_ms_p99=lag_ms,
        loop_lag_ms_max=2 * lag_ms,
        error_examples=dict(examples or {}),
        fan_out=fan_out,
        waits=tuple(waits),
    )


def fan_out_report(  # noqa: PLR0913 - the fields of a report
    published: int,
    *,
    failed: int = 0,
    slow_heard: int = 0,
    reconnects: int = 0,
    closed: int = 0,
    dropped: int | None = 0,
) -> FanOutReport:
    """`dropped` events while clients were connected; None for a target that did not say."""
    before = EmitterCounts(clients=10, emitted=5, queued=50, delivered=40, dropped=7)
    return FanOutReport(
        published=published,
        failed=failed,
        slow_heard=slow_heard,
        reconnects=reconnects,
        closed=closed,
        before=None if dropped is None else before,
        after=None if dropped is None else replace(before, dropped=before.dropped + dropped),
    )


def record(  # noqa: PLR0913 - the fields of a record
    number: int = 0,
    driver: DriverReport | None = None,
    *,
    state: RoundState = "measured",
    target: Sequence[TargetReading] = (),
    database: Sequence[DatabaseReading] = (),
    loop_lag: Sequence[tuple[int, int]] = (),
    audits: Sequence[AuditCount] = (),
    stderr_tail: str = "",
    conditions: Conditions | None = None,
) -> RoundRecord:
    return RoundRecord(
        round=number,
        block=number,
        state=state,
        wall_s=3.0,
        driver=driver,
        target=tuple(target),
        database=tuple(database),
        loop_lag=tuple(loop_lag),
        audits=tuple(audits),
        stderr_tail=stderr_tail,
        conditions=conditions,
    )


def conditions(  # noqa: PLR0913 - what a test varies
    seconds: float = 3.0,
    *,
    steal_s: float | None = 0.0,
    outside_s: float | None = 0.0,
    on_driver_s: float = 0.0,
    throttled_s: float | None = 0.0,
    target_waited_s: float | None = 0.0,
) -> Conditions:
    """Two processors, the target's and the driver's; all but `on_driver_s` is the target's."""
    return Conditions(
        seconds=seconds,
        taken=(Taken((0,), steal_s, outside_s), Taken((1,), 0.0, on_driver_s)),
        pressure=Pressure(0.0, 0.0, 0.0),
        throttled_s=throttled_s,
        target_waited_s=target_waited_s,
    )


def run_record(*cells: Cell, schema_version: int = SCHEMA_VERSION) -> RunRecord:
    return RunRecord(
        schema_version=schema_version,
        run_id="20260101-000000-test",
        started="2026-01-01T00:00:00+00:00",
        finished=None,
        plan="test",
        title="Does it work?",
        plan_toml='name = "test"',
        seed=1,
        planned_s=2.5,
        wall_s=None,
        interrupted=False,
        machine=MachineFacts(
            hostname="machine",
            system="Linux",
            cpu="a processor",
            cores=2,
            memory_gib=4.0,
            python="3.11.9",
            packages={"httpx": "0.28.1"},
            commit="0" * 40,
        ),
        database=DatabaseFacts(
            url="postgresql://u@127.0.0.1/d", embedded=True, version="18", settings={}
        ),
        pinning=Pinning(target=(0,), driver=(1,), database=(0,)),
        cells=cells,
        round_states={one.name: () for one in cells},
        scenarios=(),
        targets=(),
        thresholds=Thresholds(),
    )


# ---- results ----

VALID = Validity(ValidityState.VALID)


def round_result(
    number: int = 0,
    *,
    makespan_s: float | None = None,
    throughput_rps: float = 100.0,
    p50: float | None = 10.0,
    cpu: float | None = 1.0,
) -> RoundResult:
    return RoundResult(
        round=number,
        block=number,
        requests=200,
        errors=0,
        window_s=2.0,
        makespan_s=makespan_s,
        throughput_rps=throughput_rps,
        latency_ms=Percentiles(p50=p50),
        cpu_ms_per_request=cpu,
    )


def figures(rounds: Sequence[RoundResult] = (), **more: Any) -> Figures:  # noqa: ANN401 - any of its fields
    nothing = Figures(
        requests=200 * len(rounds),
        errors=0,
        makespan_s=None,
        makespan_s_ci=None,
        throughput_rps=None,
        throughput_rps_ci=None,
        latency_ms=Percentiles(),
        latency_ms_ci=PercentileIntervals(),
        latency_ci_from=None,
        target_use=TargetUse(),
        driver_use=DriverUse(),
        steps=(),
        per_round=tuple(rounds),
    )
    return replace(nothing, **more)


def cell_result(
    of: Cell, rounds: Sequence[RoundResult] = (), validity: Validity = VALID
) -> CellResult:
    return CellResult(
        name=of.name,
        scenario=of.scenario,
        target=of.target,
        driver=of.driver,
        load=of.load,
        rounds=len(rounds),
        error_kinds={},
        error_examples={},
        audits=(),
        validity=validity,
        unjudged=figures(rounds),
        planned=max(len(rounds), 1),
    )
