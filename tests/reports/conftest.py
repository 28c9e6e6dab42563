"""Synthetic results: small ones with every kind of cell, and a page's worth of them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from harness.vocabulary.cell import Cell, Validity, ValidityState
from harness.vocabulary.load import Burst, Closed, Load
from harness.vocabulary.record import (
    SCHEMA_VERSION,
    DatabaseFacts,
    MachineFacts,
    Pinning,
    RoundState,
    RunRecord,
)
from harness.vocabulary.result import (
    AuditResult,
    CellResult,
    Comparison,
    DocumentedPoint,
    DriverUse,
    LoopLag,
    PercentileIntervals,
    Percentiles,
    RoundResult,
    RunResults,
    ScenarioFacts,
    StepResult,
    TargetFacts,
    TargetUse,
)

VALID = Validity(ValidityState.VALID)
HOSTILE = "<script>alert('x')</script> | `tick` & \"quoted\""


MEASURED: RoundState = "measured"


def around(value: float, share: float) -> tuple[float, float]:
    return value / (1 + share), value * (1 + share)


def cell_result(  # noqa: PLR0913 - a cell has that many coordinates
    scenario: str,
    target: str,
    load: Load,
    *,
    figure: float,
    driver: str = "httpx",
    validity: Validity = VALID,
    rounds: int = 3,
) -> CellResult:
    """A cell whose makespan (burst) or throughput is `figure`, and everything else follows."""
    burst = isinstance(load, Burst)
    rps = load.concurrency / figure if burst else figure
    p50 = 500.0 if burst else load.concurrency / rps * 1e3
    requests = load.concurrency * rounds if burst else round(rps * 3 * rounds)
    latency = Percentiles(
        p50=p50,
        p90=p50 * 1.3,
        p95=p50 * 1.4,
        p99=p50 * 1.8 if requests >= 1000 else None,
        p999=None,
        max=p50 * 2.2,
    )
    several = rounds > 1
    return CellResult(
        name=Cell(scenario, target, load, driver, rounds).name,
        scenario=scenario,
        target=target,
        driver=driver,
        load=load,
        rounds=rounds,
        requests=requests,
        errors=0,
        error_kinds={},
        error_examples={},
        makespan_s=figure if burst else None,
        makespan_s_ci=around(figure, 0.03) if burst and several else None,
        throughput_rps=rps,
        throughput_rps_ci=around(rps, 0.12) if several else None,
        latency_ms=latency,
        latency_ms_ci=PercentileIntervals(p50=around(p50, 0.1)),
        latency_ci_from="rounds" if several else "samples",
        target_use=TargetUse(
            cpu_ms_per_request=2.5,
            cpu_ms_per_request_ci=around(2.5, 0.04) if several else None,
            cpu_fraction=0.81,
            rss_mib=80.125,
            threads=46,
            loop_lag_ms=LoopLag(0.2, 1.4, 5.4),
        ),
        driver_use=DriverUse(
            cpu_fraction=0.3,
            loop_lag_ms=LoopLag(None, 0.5, 8.8),
            late_sends=0.0,
            send_spread_ms=0.8,
        ),
        steps=(StepResult("only", requests, 0, latency),),
        audits=() if burst else (AuditResult("rows", requests, 0, requests, ok=True),),
        per_round=tuple(
            RoundResult(
                n, n, requests // rounds, 0, 3.0, figure if burst else None, rps, latency, 2.5
            )
            for n in range(rounds)
        ),
        validity=validity,
    )


def ratio(
    base: CellResult, other: CellResult, metric: str, value: float | None, share: float = 0.1
) -> Comparison:
    return Comparison(
        scenario=base.scenario,
        load=base.load,
        driver=base.driver,
        base=base.target,
        other=other.target,
        metric=metric,
        ratio=value,
        ratio_ci=None if value is None or base.rounds == 1 else around(value, share),
        rounds=0 if value is None else base.rounds,
        reasons=() if value is not None else (f"{other.target}: {other.validity.state}",),
    )


def run_results(
    cells: Sequence[CellResult],
    comparisons: Sequence[Comparison] = (),
    *,
    title: str = "What does async buy?",
    interrupted: bool = False,
) -> RunResults:
    planned = tuple(Cell(c.scenario, c.target, c.load, c.driver, 3) for c in cells)
    run = RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id="20260102-030405-example",
        started="2026-01-02T03:04:05+00:00",
        finished=None if interrupted else "2026-01-02T03:10:05+00:00",
        plan="example",
        title=title,
        plan_toml='name = "example"\n',
        seed=7,
        planned_s=300.0,
        wall_s=360.0,
        interrupted=interrupted,
        machine=MachineFacts(
            hostname="bench",
            system="Linux 6.1",
            cpu="Example CPU",
            cores=2,
            memory_gib=15.6,
            python="CPython 3.11.7",
            packages={"loopmark": "0.1.0", "fastapi": "0.120.0"},
            commit="0123abc",
        ),
        database=DatabaseFacts("embedded", embedded=True, version="18.1", settings={"fsync": "on"}),
        pinning=Pinning((0,), (1,), ()),
        cells=planned,
        round_states={c.name: (MEASURED,) * c.rounds for c in cells},
    )
    return RunResults(
        schema_version=SCHEMA_VERSION,
        run=run,
        scenarios=(
            ScenarioFacts("wait-timer", "The documented timing table", "Every request waits."),
            ScenarioFacts("create-fresh", "Create a resource", "A query and an insert."),
        ),
        targets=(
            TargetFacts("sync-one-thread", "One worker thread."),
            TargetFacts("sync", "The framework's pool of 40 threads."),
            TargetFacts("async", "Handlers on the event loop."),
        ),
        documented=(
            DocumentedPoint("sync", 10, 5.0),
            DocumentedPoint("sync", 100, 50.0),
            DocumentedPoint("async", 10, 0.5),
            DocumentedPoint("async", 100, 0.6),
        ),
        cells=tuple(cells),
        comparisons=tuple(comparisons),
    )


@pytest.fixture
def results() -> RunResults:
    """Valid, invalid and interrupted cells, errors and a dead target; texts of a hostile target."""
    one_thread = cell_result("wait-timer", "sync-one-thread", Burst(100), figure=50.1, rounds=1)
    sync = cell_result("wait-timer", "sync", Burst(100), figure=1.52)
    async_ = cell_result("wait-timer", "async", Burst(100), figure=0.58)
    load = Closed(users=10, duration_s=3.0)
    fresh_sync = cell_result("create-fresh", "sync", load, figure=440.0)
    fresh_async = replace(
        cell_result("create-fresh", "async", load, figure=800.0),
        errors=3,
        error_kinds={"wrong-answer": 3},
        error_examples={"wrong-answer": (HOSTILE,)},
        audits=(AuditResult("rows", 120, 1, 117, ok=False),),
        validity=Validity(
            ValidityState.WRONG_ANSWERS, ("3 of 7,200 answers were wrong", f"rows: {HOSTILE}")
        ),
    )
    dead = replace(
        cell_result("create-fresh", "sync", Closed(users=100, duration_s=3.0), figure=1.0),
        rounds=0,
        requests=0,
        throughput_rps=None,
        throughput_rps_ci=None,
        latency_ms=Percentiles(),
        latency_ms_ci=PercentileIntervals(),
        latency_ci_from=None,
        target_use=TargetUse(),
        driver_use=DriverUse(),
        steps=(),
        audits=(),
        per_round=(),
        validity=Validity(ValidityState.INTERRUPTED, ("0 of 3 rounds were measured",)),
        stderr_tail=f"Traceback\n{HOSTILE}",
    )
    return run_results(
        (one_thread, sync, async_, fresh_sync, fresh_async, dead),
        (
            ratio(sync, async_, "makespan_s", 0.382, 0.05),
            ratio(sync, async_, "throughput_rps", 2.62, 0.05),
            ratio(fresh_sync, fresh_async, "throughput_rps", None),
        ),
        interrupted=True,
    )


@pytest.fixture
def many() -> RunResults:
    """Sixty cells, as a full plan has them."""
    makespans = {
        "sync-one-thread": (5.02, 50.1, 501.0),
        "sync": (0.513, 1.56, 12.9),
        "async": (0.518, 0.58, 0.97),
    }
    rates = {
        "sync-one-thread": (410.0, 380.0, 350.0),
        "sync": (440.0, 340.0, 290.0),
        "async": (810.0, 560.0, 420.0),
    }
    cells, comparisons = [], []
    for scenario in ("wait-timer", "wait-database", "create-fresh", "create-existing", "crud", "x"):
        burst = scenario.startswith("wait")
        for place, users in enumerate((10, 100, 1000)):
            load: Load = Burst(users) if burst else Closed(users=users, duration_s=3.0)
            level = [
                cell_result(scenario, target, load, figure=figures[place])
                for target, figures in (makespans if burst else rates).items()
            ]
            cells += level
            metrics = ["throughput_rps", "latency_ms.p50", "cpu_ms_per_request"]
            if burst:
                metrics.insert(0, "makespan_s")
            _, sync, async_ = level
            assert sync.throughput_rps
            assert async_.throughput_rps
            faster = async_.throughput_rps / sync.throughput_rps
            for metric in metrics:
                value = faster if metric == "throughput_rps" else 1 / faster
                comparisons.append(ratio(sync, async_, metric, value))
    cells += [
        cell_result("read-mostly", target, Closed(users=users, duration_s=3.0), figure=500.0)
        for users in (10, 100, 1000)
        for target in ("sync", "async")
    ]
    return run_results(cells, comparisons)
