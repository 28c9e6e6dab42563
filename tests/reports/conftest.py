"""Synthetic results: small ones with every kind of cell, and a page's worth of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loopmark.harness.analysis.questions import verdict_of
from loopmark.harness.commands.plans import known_names, scenario_facts
from loopmark.harness.planning.plan import cells_of
from loopmark.harness.planning.plan_file import parse_plan
from loopmark.harness.planning.questions import questions_of
from loopmark.harness.vocabulary.cell import Cell, Objection, ObjectionCode, Validity, ValidityState
from loopmark.harness.vocabulary.comparison import Comparison, SeriesResult, Side
from loopmark.harness.vocabulary.figures import (
    AuditResult,
    DatabaseUse,
    DriverUse,
    FanOutFigures,
    Figures,
    LoopLag,
    PercentileIntervals,
    Percentiles,
    Phase,
    Phases,
    RoundResult,
    StageResult,
    StepResult,
    TargetUse,
    TimelinePoint,
    WorkerUse,
)
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.metrics import METRICS
from loopmark.harness.vocabulary.question import QuestionResult
from loopmark.harness.vocabulary.record import (
    SCHEMA_VERSION,
    DatabaseFacts,
    DocumentedPoint,
    MachineFacts,
    Pinning,
    RoundState,
    RunRecord,
)
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.harness.vocabulary.scenario import LocustfileFacts, ScenarioFacts, Sweep
from loopmark.harness.vocabulary.target import Target
from loopmark.harness.vocabulary.thresholds import Thresholds
from loopmark.reports import html

VALID = Validity(ValidityState.VALID)


def against(*objections: Objection) -> Validity:
    """The validity of a cell with these objections, most serious first."""
    return Validity(objections[0].code.state, objections)


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
    driver: str = "native",
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
    measured = Figures(
        requests=requests,
        errors=0,
        makespan_s=figure if burst else None,
        makespan_s_ci=around(figure, 0.03) if burst and several else None,
        throughput_rps=rps,
        throughput_rps_ci=around(rps, 0.12) if several else None,
        latency_ms=latency,
        latency_ms_ci=PercentileIntervals(p50=around(p50, 0.1) if several else None),
        latency_ci_from="rounds" if several else None,
        target_use=TargetUse(
            cpu_ms_per_request=2.5,
            cpu_ms_per_request_ci=around(2.5, 0.04) if several else None,
            cpu_fraction=0.81,
            rss_mib=80.125,
            threads=46,
            loop_lag_ms=LoopLag(0.2, 1.4, 5.4),
            sockets=load.concurrency + 31,
            context_switches_per_request=4.25,
        ),
        driver_use=DriverUse(
            cpu_fraction=0.3,
            loop_lag_ms=LoopLag(None, 0.5, 8.8),
            late_sends=0.0,
            send_spread_ms=0.8,
        ),
        steps=(StepResult("only", requests, 0, latency),),
        per_round=tuple(
            RoundResult(
                n, n, requests // rounds, 0, 3.0, figure if burst else None, rps, latency, 2.5
            )
            for n in range(rounds)
        ),
        response_ms=replace(latency, p50=p50 + 0.25),
        service_ms=latency,
        phases_ms=Phases(
            to_send=Phase(requests, 0.25, 0.5),
            connecting=Phase(12, None, None),
            to_first_byte=Phase(requests, p50 - 0.75, 1.6 * p50),
            transfer=Phase(requests, 0.75, 0.875),
        ),
        database_use=DatabaseUse(
            connections=30,
            active=2.25,
            idle_in_transaction=5.5,
            waiting=0.25,
            waiting_max=3,
            transactions_per_request=None if burst else 2.0,
            rollbacks_per_request=None if burst else 1.0,
            cache_hits=None if burst else 0.998,
            cpu_ms_per_request=0.75,
            cpu_fraction=0.22,
        ),
        over_time=timeline_points(figure if burst else 3.0),
    )
    return CellResult(
        name=Cell(scenario, target, load, driver, rounds).name,
        scenario=scenario,
        target=target,
        driver=driver,
        load=load,
        rounds=rounds,
        error_kinds={},
        error_examples={},
        audits=() if burst else (AuditResult("rows", requests, 0, requests, ok=True),),
        validity=validity,
        unjudged=measured,
    )


def with_figures(cell: CellResult, **changed: Any) -> CellResult:  # noqa: ANN401 - any of them
    """The cell with other figures."""
    return replace(cell, unjudged=replace(cell.figures_despite(cell.validity), **changed))


def arriving(
    target: str,
    load: Open | Steps | Ramp,
    *,
    kept_up: Sequence[bool] = (),
    validity: Validity = VALID,
) -> CellResult:
    """A cell of an open load; with stages, one for each that says whether it was kept up with."""
    rates = [100.0 * (number + 1) for number in range(len(kept_up))]
    found = tuple(
        StageResult(
            start_s=float(number),
            duration_s=1.0,
            rate=rate,
            offered_rps=rate,
            sent_rps=rate if kept else rate - 40,
            answered_rps=rate if kept else rate - 50,
            refused=0 if kept else 120,
            errors=0 if kept else 150,
            p50_ms=8.5 if kept else 310.0,
            p99_ms=None,
            kept_up=kept,
        )
        for number, (rate, kept) in enumerate(zip(rates, kept_up, strict=True))
    )
    knee = next((max(0.0, s.rate - 100.0) for s in found if not s.kept_up), None)
    return with_figures(
        cell_result("create-fresh", target, load, figure=250.0, validity=validity),
        offered_rps=257.5,
        refused=sum(stage.refused for stage in found),
        stages=found,
        knee_rps=knee,
    )


def timeline_points(window_s: float) -> tuple[TimelinePoint, ...]:
    """A window in which everything grows, and the database is looked at a little late."""
    count = min(60, round(window_s * 10))
    return tuple(
        TimelinePoint(
            t_s=round(window_s * (place + 0.5) / count, 4),
            cpu_fraction=round(0.9 * (place + 1) / count, 4),
            rss_mib=80.0 + place,
            threads=40.0,
            sockets=12.0,
            context_switches_per_s=1000.0,
            connections=min(30.0, place + 1) if place else None,
            active=float(place % 4) if place else None,
            waiting=float(place % 7 == 0) if place else None,
            database_cpu_fraction=round(0.2 + place % 3 / 20, 4) if place else None,
        )
        for place in range(count)
    )


def ratio(
    base: CellResult, other: CellResult, metric: str, value: float | None, share: float = 0.1
) -> Comparison:
    return Comparison(
        axis="target",
        metric=metric,
        base=Side(base.target, None),
        other=Side(other.target, None),
        scenario=base.scenario,
        target=other.target,
        load=base.load,
        driver=base.driver,
        ratio=value,
        ratio_ci=None if value is None or base.rounds == 1 else around(value, share),
        rounds=0 if value is None else base.rounds,
        reasons=() if value is not None else (f"{other.target}: {other.validity.state}",),
    )


def _variant(name: str, description: str) -> Target:
    return Target(name=name, variant=name, description=description)


def with_scenarios(results: RunResults, *facts: ScenarioFacts) -> RunResults:
    """The results of a run that had these scenarios."""
    return replace(results, run=replace(results.run, scenarios=facts))


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
        scenarios=(
            ScenarioFacts("wait-timer", "The documented timing table", "Every request waits."),
            ScenarioFacts("create-fresh", "Create a resource", "A query and an insert."),
        ),
        targets=(
            _variant("sync-one-thread", "One worker thread."),
            _variant("sync", "The framework's pool of 40 threads."),
            _variant("async", "Handlers on the event loop."),
        ),
        documented=(
            DocumentedPoint("sync", 10, 5.0),
            DocumentedPoint("sync", 100, 50.0),
            DocumentedPoint("async", 10, 0.5),
            DocumentedPoint("async", 100, 0.6),
        ),
        thresholds=Thresholds(),
    )
    return RunResults(
        schema_version=SCHEMA_VERSION,
        run=run,
        cells=tuple(cells),
        comparisons=tuple(comparisons),
    )


@pytest.fixture(scope="session")
def results() -> RunResults:
    """Valid, invalid and interrupted cells, errors and a dead target; texts of a hostile target."""
    one_thread = cell_result("wait-timer", "sync-one-thread", Burst(100), figure=50.1, rounds=1)
    sync = cell_result("wait-timer", "sync", Burst(100), figure=1.52)
    async_ = cell_result("wait-timer", "async", Burst(100), figure=0.58)
    load = Closed(users=10, duration_s=3.0)
    fresh_sync = cell_result("create-fresh", "sync", load, figure=440.0)
    fresh_async = replace(
        with_figures(cell_result("create-fresh", "async", load, figure=800.0), errors=3),
        error_kinds={"wrong-answer": 3},
        error_examples={"wrong-answer": (HOSTILE,)},
        audits=(AuditResult("rows", 120, 1, 117, ok=False),),
        validity=against(
            Objection.of(ObjectionCode.ANSWERS_WRONG, wrong=3, answers=7200),
            Objection.of(ObjectionCode.ROWS_DIFFER, what=HOSTILE, acknowledged=120, found=117),
        ),
    )
    dead = replace(
        with_figures(
            cell_result("create-fresh", "sync", Closed(users=100, duration_s=3.0), figure=1.0),
            requests=0,
            throughput_rps=None,
            throughput_rps_ci=None,
            latency_ms=Percentiles(),
            latency_ms_ci=PercentileIntervals(),
            latency_ci_from=None,
            target_use=TargetUse(),
            driver_use=DriverUse(),
            database_use=DatabaseUse(),
            over_time=(),
            steps=(),
            per_round=(),
            response_ms=Percentiles(),
            service_ms=Percentiles(),
            phases_ms=Phases(),
        ),
        rounds=0,
        audits=(),
        validity=against(Objection.of(ObjectionCode.ROUNDS_UNFINISHED, measured=0, planned=3)),
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


@pytest.fixture(scope="session")
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
            faster = rates["async"][place] / rates["sync"][place]
            if burst:
                faster = makespans["sync"][place] / makespans["async"][place]
            for metric in metrics:
                value = faster if metric == "throughput_rps" else 1 / faster
                comparisons.append(ratio(sync, async_, metric, value))
    cells += [
        cell_result("read-mostly", target, Closed(users=users, duration_s=3.0), figure=500.0)
        for users in (10, 100, 1000)
        for target in ("sync", "async")
    ]
    return run_results(cells, comparisons)


@pytest.fixture(scope="session")
def open_loads() -> RunResults:
    """Open loads of every kind, think time, a limit found, one beyond, and one doubtful."""
    steady = Open(rate=250.0, duration_s=10.0)
    poisson = Open(rate=32.5, duration_s=10.0, arrivals="poisson")
    stepped = Steps(rates=(100.0, 200.0, 300.0, 400.0), step_s=5.0)
    up = Ramp(from_rate=50.0, to_rate=450.0, duration_s=20.0)
    late = against(
        Objection.of(
            ObjectionCode.RATE_NOT_REACHED, sent_per_s=240.0, asked_per_s=250.0, what="requests"
        )
    )
    sync, async_ = arriving("sync", steady), arriving("async", steady)
    thinking = Closed(users=40, duration_s=10.0, think_s=0.5, think="exponential")
    cells = (
        sync,
        async_,
        arriving("sync", poisson),
        arriving("async", poisson, validity=late),
        arriving("sync", stepped, kept_up=(True, True, False, False)),
        arriving("async", stepped, kept_up=(True, True, True, True)),
        arriving("sync", up, kept_up=(False, False, False, False)),
        arriving("async", up, kept_up=(True, False, True, False), validity=late),
        cell_result("create-fresh", "sync", thinking, figure=70.0),
        cell_result("create-fresh", "async", thinking, figure=75.0),
    )
    return run_results(
        cells,
        (
            ratio(sync, async_, "latency_ms.p50", 0.5),
            ratio(sync, async_, "latency_ms.p99", 0.75),
        ),
    )


def fan_out(  # noqa: PLR0913 - a cell has that many coordinates
    target: str,
    load: FanOut | FanOutSteps,
    *,
    scenario: str = "fan-out-websocket",
    p99: float = 40.0,
    missing: int = 0,
    kept_up: Sequence[bool] = (),
) -> CellResult:
    """A cell of a fan-out: `missing` deliveries did not come; with stages one for each of these."""
    expected = round(sum(one.arrivals for one in load.window)) * load.readers * 3
    per_s = expected / 3 / load.measured_s
    heard = Percentiles(p50=p99 / 4, p90=p99 / 2, p95=p99 / 1.5, p99=p99, p999=None, max=2 * p99)
    due = replace(heard, p50=p99 / 4 + 3, p99=p99 + 5)
    found = tuple(
        StageResult(
            start_s=stage.start_s,
            duration_s=stage.duration_s,
            rate=stage.rate,
            offered_rps=stage.rate * load.clients,
            sent_rps=stage.rate * load.clients,
            answered_rps=stage.rate * load.clients * (1 if kept else 0.992),
            refused=0,
            errors=0 if kept else 12,
            p50_ms=p99 / 4 * stage.rate,
            p99_ms=p99 * stage.rate / 10,
            kept_up=kept,
        )
        for stage, kept in zip(load.stages, kept_up, strict=False)
    )
    knee = next(
        (found[n - 1].rate if n else 0.0 for n, one in enumerate(found) if not one.kept_up), None
    )
    invalid = against(Objection.of(ObjectionCode.DELIVERIES_MISSING, missing=missing, reach=0.992))
    cell = cell_result(
        scenario,
        target,
        load,
        figure=per_s,
        driver="websocket",
        validity=invalid if missing else VALID,
    )
    steps = (
        StepResult("connect", load.clients * 3, 0, Percentiles(p50=8.0, p90=21.0, max=90.0)),
        StepResult("publish", round(expected / load.readers), 0, replace(heard, p50=4.0)),
        StepResult("deliver", expected, missing, heard),
    )
    return replace(
        with_figures(
            cell,
            requests=expected,
            errors=missing,
            latency_ms=heard,
            latency_ms_ci=PercentileIntervals(p50=around(p99 / 4, 0.1), p99=around(p99, 0.3)),
            response_ms=due,
            service_ms=heard,
            phases_ms=Phases(to_send=Phase(expected, 3.0, 9.0)),
            target_use=TargetUse(
                cpu_ms_per_request=0.0312,
                cpu_ms_per_request_ci=around(0.0312, 0.08),
                cpu_fraction=0.62,
                rss_mib=131.5,
                threads=44,
                loop_lag_ms=LoopLag(0.2, 8.4, 21.4),
                sockets=load.clients + 64,
                context_switches_per_request=0.0625,
                files=12,
            ),
            database_use=DatabaseUse(
                connections=12, transactions_per_request=0.00125, cpu_ms_per_request=0.002
            ),
            offered_rps=expected / 3 / load.measured_s / load.readers,
            steps=steps,
            stages=found,
            knee_rps=knee,
            fan_out=FanOutFigures(
                published=round(expected / load.readers),
                expected=expected,
                received=expected - missing,
                reach=1 - missing / expected,
                duplicates=0,
                out_of_order=0,
                spread_ms=Percentiles(p50=p99 / 5, p90=p99 / 2, max=p99),
                delivered_per_s=per_s,
                reconnects=0,
                closed=1 if isinstance(load, FanOut) and load.stalled else 0,
                slow_heard=0,
                dropped=344 if isinstance(load, FanOut) and load.stalled else 0,
                driver_cpu_us=21.25,
                kib_per_connection=38.5,
                connect_ms=Percentiles(p50=8.0, p99=None, max=90.0),
            ),
        ),
        audits=(),
        error_kinds={"missing": missing} if missing else {},
    )


@pytest.fixture(scope="session")
def fan_outs() -> RunResults:
    """Fan-outs to 10, 100 and 1000 clients, with a stalled one, and with HTTP users; and steps."""
    scale = {10: 0.05, 100: 0.2, 1000: 1.0}
    plain = [
        fan_out(target, FanOut(clients, 20.0, 5.0), p99=p99 * scale[clients])
        for clients in scale
        for target, p99 in (("sync", 120.0), ("async", 61.5))
    ]
    stepped = FanOutSteps(1000, (5.0, 10.0, 20.0, 40.0), 2.0)
    socketio = FanOut(1000, 5.0, 5.0)
    cells = (
        *plain,
        fan_out("sync", FanOut(1000, 20.0, 5.0, stalled=1), p99=124.0),
        fan_out("async", FanOut(1000, 20.0, 5.0, stalled=1), p99=62.0, missing=2397),
        fan_out("sync", FanOut(1000, 20.0, 5.0, slow=100, http_users=10), p99=150.0),
        fan_out("async", FanOut(1000, 20.0, 5.0, slow=100, http_users=10), p99=90.0),
        fan_out("sync", stepped, p99=40.0, kept_up=(True, True, False, False)),
        fan_out("async", stepped, p99=22.0, kept_up=(True, True, True, True)),
        fan_out("sync", socketio, scenario="fan-out-socketio", p99=80.0),
        fan_out("async", socketio, scenario="fan-out-socketio", p99=33.0),
    )
    found = run_results(
        cells,
        (
            ratio(plain[4], plain[5], "latency_ms.p50", 0.5),
            ratio(plain[4], plain[5], "latency_ms.p99", 0.51),
            ratio(plain[4], plain[5], "cpu_ms_per_request", 1.02),
        ),
    )
    description = "Every client hears each resource that is created."
    facts = (
        ScenarioFacts(
            "fan-out-websocket", "Events to all, over WebSocket", description, None, True
        ),
        ScenarioFacts("fan-out-socketio", "Events to all, over Socket.IO", description, None, True),
    )
    disturbances = tuple(
        Comparison(
            axis="disturbance",
            metric=metric,
            base=Side("fan-out-1000-at-20", None),
            other=Side(load.label, None),
            scenario="fan-out-websocket",
            target=target,
            load=load,
            driver="websocket",
            ratio=value,
            ratio_ci=bounds,
            rounds=3,
            reasons=why,
        )
        for target, load, metric, value, bounds, why in (
            ("sync", cells[6].load, "latency_ms.p99", 1.03, (0.97, 1.09), ()),
            ("sync", cells[6].load, "latency_ms.p50", 1.01, (0.99, 1.02), ()),
            ("async", cells[7].load, "latency_ms.p99", None, None, ("stalled-1: errors",)),
            ("sync", cells[8].load, "latency_ms.p99", 1.25, (1.2, 1.31), ()),
        )
    )
    return replace(with_scenarios(found, *facts), comparisons=(*found.comparisons, *disturbances))


@pytest.fixture(scope="session")
def swept() -> RunResults:
    """A series that differs by one number, one cell doubtful; and flows that hear events."""
    load = Closed(users=10, duration_s=3.0)
    rates = {1: 11.0, 2: 21.0, 5: 48.0, 16: 83.0, 64: 84.5, 256: 71.0}
    late = against(Objection.of(ObjectionCode.DRIVER_BUSY, share=0.93))
    cells = []
    for at, rps in rates.items():
        for target, factor in (("sync", 0.6), ("async", 1.0)):
            cell = cell_result(
                f"files-{at}",
                target,
                load,
                figure=rps * factor,
                validity=late if (at, target) == (256, "sync") else VALID,
            )
            use = replace(cell.figures_despite(cell.validity).target_use, files=at + 9)
            cells.append(replace(with_figures(cell, target_use=use), audits=()))
    ratios = [
        ratio(one, other, "throughput_rps", None if at == 256 else 1.67)
        for at, one, other in zip(rates, cells[::2], cells[1::2], strict=True)
    ]
    cells += [process("sync", Burst(100), 560.0), process("async", Burst(100), 130.0)]
    facts = [
        ScenarioFacts(
            f"files-{at}",
            f"Files, {at} at once",
            f"Each request has 100 files read. At most {at} are open at once.",
            Sweep("files-limit", "How many files at once?", "files open at once", float(at)),
        )
        for at in rates
    ]
    facts.append(
        ScenarioFacts("process", "An operation that tells how far it is", "Asks.", None, True)
    )
    series = (
        SeriesResult(
            "files-limit",
            "sync",
            "native",
            load,
            "throughput_rps",
            64.0,
            16.0,
            None,
            3,
            (256.0,),
            0.15,
        ),
        SeriesResult(
            "files-limit", "async", "native", load, "throughput_rps", 64.0, 16.0, 256.0, 3, (), 0.15
        ),
    )
    found = run_results(cells, ratios, title="Where does more not help?")
    return replace(with_scenarios(found, *facts), series=series)


def process(target: str, load: Load, last_ms: float) -> CellResult:
    """A flow whose answer and events have steps of their own."""
    cell = cell_result("process", target, load, figure=0.6, driver="websocket")
    steps = tuple(
        StepResult(name, 300, 0, Percentiles(p50=at, p90=1.3 * at, max=2 * at))
        for name, at in (
            ("first-event", last_ms / 10),
            ("last-event", last_ms),
            ("complete", 1.01 * last_ms),
            ("answer", 1.02 * last_ms),
        )
    )
    return with_figures(cell, steps=steps)


def agreement(
    base: CellResult,
    other: CellResult,
    metric: str,
    figures: tuple[float | None, float | None],
    bounds: tuple[float, float] | None,
) -> Comparison:
    """Both drivers' figures and their ratio; with no figures a reason."""
    one, two = figures
    ratio = two / one if one is not None and two is not None else None
    states = tuple(
        f"{cell.driver}: {cell.validity.state}"
        for cell in (base, other)
        if not cell.validity.is_valid
    )
    return Comparison(
        axis="driver",
        metric=metric,
        base=Side(base.driver, one),
        other=Side(other.driver, two),
        scenario=base.scenario,
        target=base.target,
        load=base.load,
        driver=other.driver,
        ratio=ratio if bounds else None,
        ratio_ci=bounds,
        rounds=3 if bounds else 0,
        reasons=states if states or bounds else ("too few responses for a p99",),
    )


@pytest.fixture(scope="session")
def two_drivers() -> RunResults:
    """Both drivers on the same cells: they agree, differ, and cannot be held side by side."""
    load, burst = Closed(users=100, duration_s=4.0), Burst(100)
    late = against(Objection.of(ObjectionCode.DRIVER_BUSY, share=0.93))
    native = cell_result("create-fresh", "async", load, figure=800.0)
    locust = cell_result("create-fresh", "async", load, figure=780.0, driver="locust")
    wait_native = cell_result("wait-timer", "async", burst, figure=0.52)
    wait_locust = cell_result("wait-timer", "async", burst, figure=0.53, driver="locust")
    busy_native = cell_result("create-fresh", "sync", load, figure=400.0)
    busy = cell_result("create-fresh", "sync", load, figure=300.0, driver="locust", validity=late)
    found = run_results(
        (native, locust, busy_native, busy, wait_native, wait_locust),
        title="Do the drivers agree?",
    )
    return replace(
        found,
        comparisons=(
            agreement(native, locust, "throughput_rps", (800.0, 780.0), (0.94, 1.01)),
            agreement(native, locust, "latency_ms.p50", (125.0, 130.25), (1.02, 1.063)),
            agreement(native, locust, "latency_ms.p99", (225.0, 230.0), None),
            agreement(busy_native, busy, "throughput_rps", (400.0, None), None),
            agreement(busy_native, busy, "latency_ms.p50", (250.0, None), None),
            agreement(wait_native, wait_locust, "makespan_s", (0.52, 0.53), (0.99, 1.05)),
        ),
    )


ANSWERS: Mapping[str, tuple[tuple[float, float] | None, ...]] = {
    "wait-timer": ((0.98, 1.03), (0.36, 0.41), (0.108, 0.123), (0.095, 0.105), (0.009, 0.014)),
    "wait-database": ((0.97, 1.04), (0.9, 1.1)),
    "create-fresh": ((1.05, 1.19), (0.78, 0.84), (0.8, 1.9), (0.7, 0.9)),
    "crud": ((0.75, 1.1), (0.72, 0.81), None, None),
    "fan-out-websocket": ((0.88, 0.97), (0.8, 0.9), (1.2, 1.5), (0.85, 0.95)),
    "upload": ((0.5, 0.7),),
    "files-io": ((0.5, 0.58), (0.93, 1.06), (0.9, 1.3)),
}
"""By scenario or series: the intervals of the ratios, in the order of the questions."""


@pytest.fixture(scope="session")
def asked() -> RunResults:
    """As many questions as `make bench` asks: settled, not settled, and with invalid cells."""
    text = (Path(__file__).parent / "data" / "asked.toml").read_text(encoding="utf-8")
    plan = parse_plan(text, "asked.toml", known_names())
    planned = cells_of(plan)
    facts = scenario_facts(planned)
    places = {fact.name: fact.sweep.at for fact in facts if fact.sweep is not None}
    late = against(Objection.of(ObjectionCode.DRIVER_BUSY, share=0.93))
    cells = tuple(
        cell_result(
            one.scenario,
            one.target,
            one.load,
            figure=one.load.planned_s if isinstance(one.load, Burst) else 500.0,
            driver=one.driver,
            validity=late if (one.scenario, one.load.concurrency) == ("crud", 100) else VALID,
        )
        for one in planned
    )
    found = run_results(cells)
    questions = questions_of(plan, planned, places)
    by_name = {cell.name: cell for cell in cells}
    left = {topic: list(bounds) for topic, bounds in ANSWERS.items()}
    answers = []
    for question in questions:
        base, other = by_name[question.base], by_name[question.other]
        bounds = left["files-io" if "files-io" in base.scenario else base.scenario].pop(0)
        metric = METRICS[question.metric]
        comparison = replace(
            ratio(base, other, question.metric, bounds and math.sqrt(bounds[0] * bounds[1])),
            axis=question.axis,
            base=Side(base.target, metric.of(base.unjudged)),
            other=Side(other.target, metric.of(other.unjudged)),
            ratio_ci=bounds,
            rounds=question.pairs,
        )
        verdict = verdict_of(question, comparison)
        needs_s = 150.0 if verdict == "open" and bounds else None
        answers.append(QuestionResult(question, comparison, verdict, needs_s))
    run = replace(found.run, cells=planned, questions=questions, scenarios=facts, budget_s=360.0)
    return replace(found, run=run, questions=tuple(answers))


@pytest.fixture(scope="session")
def with_workers() -> RunResults:
    """A distributed driver: every kind of clock, and a worker that was lost."""
    lost = Objection.of(
        ObjectionCode.WORKER_LOST, round=1, worker="far-303", why=f"ended {HOSTILE}", samples=950
    )
    gone = against(lost)
    load = Closed(users=100, duration_s=4.0)
    cells = (
        with_figures(
            cell_result("create-fresh", "async", load, figure=800.0, driver="locust"),
            workers=(
                WorkerUse("bench-101", 3, 4_800, "shared", None, 0.42, 0.5),
                WorkerUse("far-202", 3, 4_700, "aligned", 0.35, 0.44, 0.625),
            ),
        ),
        with_figures(
            cell_result("create-fresh", "sync", load, figure=300.0, driver="locust", validity=gone),
            workers=(
                WorkerUse("bench-101", 3, 1_800, "shared", None, 0.3, 0.5),
                WorkerUse("far-303", 2, 950, "durations", None, None, None, f"ended {HOSTILE}"),
            ),
        ),
    )
    found = run_results(cells)
    return replace(found, run=replace(found.run, workers=2))


LOCUSTFILE = """from locust import FastHttpUser, between, task


class Reader(FastHttpUser):
    wait_time = between(0.5, 1.5)

    @task(9)
    def read(self):
        self.client.get("/items")  # <b>not markup</b>
"""


def locustfile_run(
    load: Population, *, validity: Validity = VALID, shape: str | None = None
) -> RunResults:
    """A locustfile against a server of one's own: no target of ours, and no database."""
    target = "shop.example:8080"
    cell = cell_result(
        "shop", target, Closed(load.concurrency, duration_s=30.0), figure=120.0, driver="locust"
    )
    quick = Percentiles(p50=12.5, p90=20.25, p95=25.5, p99=41.0, p999=None, max=133.0)
    slow = Percentiles(p50=88.0, p90=140.0, p95=None, p99=None, p999=None, max=310.0)
    steps = (
        StepResult("GET /items", 3_240, 0, quick),
        StepResult("GET /items/[id]/with/a/name/that/is/rather/long/for/a/table", 320, 0, slow),
        StepResult(f"POST /orders {HOSTILE}", 40, 3 if not validity.is_valid else 0, slow),
    )
    cell = replace(
        with_figures(
            cell,
            requests=3_600,
            errors=3 if not validity.is_valid else 0,
            latency_ms=quick,
            latency_ms_ci=PercentileIntervals(p50=around(12.5, 0.04)),
            service_ms=quick,
            target_use=TargetUse(),
            database_use=DatabaseUse(),
            over_time=(),
            steps=steps,
            driver_use=DriverUse(
                cpu_fraction=0.2,
                cpu_ms_per_request=1.67,
                waited_fraction=0.0,
                delayed_fraction=0.0,
                loop_lag_ms=LoopLag(None, 0.5, 2.0),
                late_sends=0.0,
                send_spread_ms=0.0,
            ),
            seconds_for={"p999": 83.4},
            phases_ms=Phases(to_send=Phase(3_600, 0.0, 0.0)),
            per_round=tuple(
                RoundResult(n, n, 1_200, 0, 30.0, None, 120.0, quick, None) for n in range(3)
            ),
        ),
        load=load,
        name=Cell("shop", target, load, "locust", 3).name,
        audits=(),
        validity=validity,
        error_kinds={} if validity.is_valid else {"failed": 2, "server-error": 1},
        error_examples={} if validity.is_valid else {"failed": (f"POST /orders: {HOSTILE}",)},
    )
    found = run_results((cell,), title="shop.py against shop.example:8080")
    file = LocustfileFacts("shop.py", LOCUSTFILE, ("Reader", "Buyer"), shape)
    run = replace(
        found.run,
        plan="shop",
        plan_toml="",
        database=None,
        pinning=NO_PINNING,
        scenarios=(ScenarioFacts.of_locustfile("shop", file),),
        targets=(Target(name=target, url="http://shop.example:8080"),),
        documented=(),
    )
    return replace(found, run=run)


NO_PINNING = Pinning((), (1,), ())


@pytest.fixture(scope="session")
def own_locustfile() -> RunResults:
    """Fifty users of a locustfile, and nothing against the figures."""
    return locustfile_run(Population(users=50, spawn_rate=10.0, run_time_s=60.0))


@pytest.fixture(scope="session")
def shaped_locustfile() -> RunResults:
    """A locustfile with a shape, some of whose requests failed."""
    failed = against(Objection.of(ObjectionCode.REQUESTS_FAILED, failed=3, requests=3600))
    load = Population(users=None, spawn_rate=1.0, run_time_s=600.0)
    return locustfile_run(load, validity=failed, shape="Wave")


_PAGES: dict[int, str] = {}


def page_of(results: RunResults) -> str:
    """The page of results that a fixture keeps for the session: to draw one takes a second."""
    if id(results) not in _PAGES:
        _PAGES[id(results)] = html.render(results)
    return _PAGES[id(results)]
