"""Makes a cell's summary from its samples and records. Pure: values in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from loopmark.harness.analysis import (
    audits,
    fan_out,
    knee,
    latencies,
    resource_use,
    stages,
    statistics,
    validity,
)
from loopmark.harness.analysis.rounds import Round, measured_round
from loopmark.harness.analysis.timeline import over_time
from loopmark.harness.analysis.worker_use import losses, worker_use
from loopmark.harness.vocabulary.cell import Cell, Objection, ObjectionCode
from loopmark.harness.vocabulary.figures import (
    DriverUse,
    Figures,
    Interval,
    LoopLag,
    StageResult,
    StepResult,
)
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, RoundRecord
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import SLOW_DELIVERY_STEP, ErrorKind
from loopmark.harness.vocabulary.scenario import Audit
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds

SamplesOf = Callable[[int], pd.DataFrame]
"""The samples of a round by its number, with the columns `SUMMARISED`. A round at a time: a cell
can have more of them than fit in memory at once."""

_LONGEST = 300
"""Maximum length of a target's output line in a reason."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """The values of every round, whether measured to its end or not."""

    requests: int
    missing: int
    error_kinds: Counter[str]
    audits: tuple[audits.RoundAudit | None, ...]
    measured: Round | None


def summarise(
    cell: Cell,
    records: Sequence[RoundRecord],
    samples_of: SamplesOf,
    scenario_audits: Sequence[Audit],
    thresholds: Thresholds = SHIPPED,
) -> CellResult:
    """Summarise one cell.

    Args:
        cell: As planned.
        records: Of the rounds that were started.
        samples_of: Where the samples of each round come from.
        scenario_audits: The audits of the cell's scenario.
        thresholds: By which it is judged.
    """
    shown = _shown(records)
    begun = []
    for record in records:
        samples = samples_of(record.round)
        measured = None
        if record.round in shown and record.driver is not None:
            measured = measured_round(cell.load, record, record.driver, samples, thresholds)
        begun.append(_begun(cell.load, record, samples, scenario_audits, measured))
    rounds = [one.measured for one in begun if one.measured is not None]
    error_kinds = sum((one.error_kinds for one in begun), Counter[str]())
    reports = [record.driver for record in records if record.driver is not None]
    error_kinds[ErrorKind.LOCUSTFILE] = sum(one.task_exceptions for one in reports)
    audit_results = tuple(
        audits.over_rounds(audit, found)
        for n, audit in enumerate(scenario_audits)
        # One that no round could answer has nothing to say, for or against.
        if (found := [of for one in begun if (of := one.audits[n]) is not None])
    )
    found_stages, limit, excused = _stages(cell.load, rounds, thresholds)
    figures = _figures(cell, records, rounds, found_stages, limit)
    evidence = validity.Evidence(
        planned_rounds=cell.rounds,
        # A round without the driver's report has no window: it counts as not measured.
        states=tuple(
            "driver-died"
            if record.state in RAN_TO_THEIR_END and record.driver is None
            else record.state
            for record in records
        ),
        error_kinds=dict(error_kinds - excused),
        requests=sum(one.requests for one in begun),
        answers=sum(one.answers.service.size for one in rounds),
        missing_samples=sum(one.missing for one in begun),
        audits=audit_results,
        driver_use=figures.driver_use,
        median_latency_ms=figures.latency_ms.p50,
        tail_latency_ms=figures.latency_ms.p99,
        makespan_s=figures.makespan_s,
        users_answered=tuple(one.users for one in rounds),
        balances=tuple(one.balance for one in rounds if one.balance is not None),
        halves=tuple(one.halves for one in rounds if one.halves is not None),
        cuts=tuple(one.cut for one in rounds if one.cut is not None),
        arrivals=tuple(one.arrivals for one in rounds if one.arrivals is not None),
        knee_rps=limit,
        death=next((_death(r) for r in records if r.state == "target-died"), None),
        losses=losses(records),
        ended_early=tuple(dict.fromkeys(one.ended_early for one in reports if one.ended_early)),
        remarks=_examples(records).get(ErrorKind.LOCUSTFILE, ()),
        fan_out=figures.fan_out,
    )
    return CellResult(
        name=cell.name,
        scenario=cell.scenario,
        target=cell.target,
        driver=cell.driver,
        load=cell.load,
        rounds=evidence.ended,
        error_kinds={kind: count for kind, count in error_kinds.most_common() if count},
        error_examples=_examples(records),
        audits=audit_results,
        validity=validity.judge(cell.load, evidence, thresholds),
        unjudged=figures,
        stderr_tail=next((r.stderr_tail for r in records if r.stderr_tail), ""),
    )


def _death(record: RoundRecord) -> Objection:
    """The target's last output; for one that was not driven, the first line says why."""
    # Reasons are shown as they are: a log may hold what moves a terminal, and lines without an end.
    printable = ["".join(filter(str.isprintable, one)) for one in record.stderr_tail.splitlines()]
    lines = [f"{one[:_LONGEST]}…" if len(one) > _LONGEST else one for one in printable]
    if record.wall_s:
        return Objection.of(ObjectionCode.TARGET_DIED, why=" ".join(lines[-2:]))
    return Objection.of(ObjectionCode.TARGET_NOT_READY, why=" ".join(lines[:1]))


def _shown(records: Sequence[RoundRecord]) -> frozenset[int]:
    """The rounds for the figures: those that ran to their end, otherwise the others."""
    ended = {one.round for one in records if one.has_figures and one.state in RAN_TO_THEIR_END}
    return frozenset(ended or {one.round for one in records if one.has_figures})


def _begun(
    load: Load,
    record: RoundRecord,
    samples: pd.DataFrame,
    scenario_audits: Sequence[Audit],
    measured: Round | None,
) -> _Begun:
    # What becomes of a client that hardly reads is the finding of such a load, and no error.
    wrong = (samples["error"] != "") & (samples["step"] != SLOW_DELIVERY_STEP)
    kinds = samples.loc[wrong, "error"].value_counts()
    return _Begun(
        requests=len(samples),
        missing=_missing(load, record.driver, samples) if record.driver is not None else 0,
        error_kinds=Counter({str(kind): int(count) for kind, count in kinds.items() if count}),
        audits=tuple(audits.of_round(audit, record, samples) for audit in scenario_audits),
        measured=measured,
    )


def _missing(load: Load, driver: DriverReport, samples: pd.DataFrame) -> int:
    """Samples that the driver reported but that are not on disk."""
    return max(0, driver.requests - len(samples), fan_out.missing_samples(load, driver, samples))


def _stages(
    load: Load, rounds: Sequence[Round], thresholds: Thresholds
) -> tuple[tuple[StageResult, ...], float | None, Counter[str]]:
    """The stages, the knee, and the errors beyond it."""
    if not load.stages or not rounds:
        return (), None, Counter()
    counted = [one.stages for one in rounds]
    found = stages.results(load.stages, counted, knee.kept_up(load, counted, thresholds))
    limit = knee.knee_rps(found)
    return found, limit, knee.past_the_knee(load.stages, counted, limit)


def _figures(
    cell: Cell,
    records: Sequence[RoundRecord],
    rounds: Sequence[Round],
    found_stages: tuple[StageResult, ...],
    limit: float | None,
) -> Figures:
    load = cell.load
    throughputs = [one.result.throughput_rps for one in rounds]
    makespans = [one.result.makespan_s for one in rounds if one.result.makespan_s is not None]
    throughput = float(np.median(throughputs)) if throughputs else None
    makespan = float(np.median(makespans)) if makespans else None
    counted = [one.answers for one in rounds]
    response = latencies.percentiles(latencies.joined([one.response for one in counted]))
    service = latencies.percentiles(latencies.joined([one.service for one in counted]))
    per_round = [one.latency(load) for one in counted]
    latency = latencies.percentiles(latencies.joined(per_round))
    intervals, intervals_from = latencies.percentile_intervals(latency, per_round)
    arrivals = [one.arrivals for one in rounds if one.arrivals is not None]
    offered_s = sum(one.window_s for one in arrivals)
    requests = {one.result.round: one.served for one in rounds}
    return Figures(
        requests=sum(one.result.requests for one in rounds),
        errors=sum(one.result.errors for one in rounds),
        makespan_s=makespan,
        makespan_s_ci=_interval(makespan, makespans),
        throughput_rps=throughput,
        throughput_rps_ci=_interval(throughput, throughputs),
        latency_ms=latency,
        latency_ms_ci=intervals,
        latency_ci_from=intervals_from,
        target_use=resource_use.target_use(load, records, requests),
        driver_use=_driver_use(records, rounds),
        steps=_steps(load, rounds),
        per_round=tuple(one.result for one in rounds),
        response_ms=response,
        service_ms=service,
        phases_ms=latencies.phases(counted),
        refused=sum(one.refused for one in rounds),
        offered_rps=sum(one.due for one in arrivals) / offered_s if offered_s > 0 else None,
        stages=found_stages,
        knee_rps=limit,
        database_use=resource_use.database_use(load, records, requests),
        over_time=over_time(records),
        workers=worker_use(records),
        fan_out=fan_out.figures([one.fan_out for one in rounds if one.fan_out is not None]),
    )


def _interval(estimate: float | None, per_round: Sequence[float]) -> Interval | None:
    return None if estimate is None else statistics.interval_over_rounds(estimate, per_round)


def _steps(load: Load, rounds: Sequence[Round]) -> tuple[StepResult, ...]:
    found = []
    for step in dict.fromkeys(name for one in rounds for name in one.requests_by_step):
        requests = sum(one.requests_by_step[step] for one in rounds)
        of_step = latencies.joined([one.answers_by_step.of_step(step, load) for one in rounds])
        percentiles = latencies.percentiles(of_step)
        found.append(StepResult(step, requests, requests - of_step.size, percentiles))
    return tuple(found)


def _driver_use(records: Sequence[RoundRecord], rounds: Sequence[Round]) -> DriverUse:
    reports = [record.driver for record in records if record.driver is not None]
    if not reports or not rounds:
        return DriverUse()
    windows = [
        (report, (report.window_end_ns - report.window_start_ns) / 1e9)
        for report in reports
        if report.window_end_ns > report.window_start_ns
    ]
    waited = [
        report.waited_s / window_s for report, window_s in windows if report.waited_s is not None
    ]
    return DriverUse(
        cpu_fraction=max((report.cpu_s / window_s for report, window_s in windows), default=None),
        waited_fraction=max(waited, default=None),
        loop_lag_ms=LoopLag(
            p50=None,
            p99=max(report.loop_lag_ms_p99 for report in reports),
            max=max(report.loop_lag_ms_max for report in reports),
        ),
        late_sends=max(one.late_sends for one in rounds),
        send_spread_ms=max(one.send_spread_ms for one in rounds),
    )


def _examples(records: Sequence[RoundRecord]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.driver is not None:
            for kind, messages in record.driver.error_examples.items():
                found.setdefault(kind, {}).update(dict.fromkeys(messages))
    return {kind: tuple(messages)[:3] for kind, messages in found.items()}
