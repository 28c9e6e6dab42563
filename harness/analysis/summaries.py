"""Makes a cell's summary from its samples and records. Pure: values in, values out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from loopmark.harness.analysis import (
    audits,
    conditions,
    fan_out,
    knee,
    latencies,
    resource_use,
    schedule,
    stages,
    statistics,
    validity,
)
from loopmark.harness.analysis.round_validity import RoundEvidence, judge_rounds, too_many
from loopmark.harness.analysis.rounds import Round, measured_round
from loopmark.harness.analysis.timeline import over_time
from loopmark.harness.analysis.worker_use import losses, worker_use
from loopmark.harness.vocabulary.cell import Cell, Objection, ObjectionCode
from loopmark.harness.vocabulary.failure import Failure, failures, joined
from loopmark.harness.vocabulary.figures import (
    AuditResult,
    DriverUse,
    Figures,
    Interval,
    LoopLag,
    StepResult,
)
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, RoundRecord, RoundState
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
    """The values of every round, whether measured to its end or not.

    Attributes:
        record: Of the round.
        requests: All of them.
        missing: Samples that the driver reported but that are not on disk.
        error_kinds: Failed requests by kind.
        failures: The same by kind and status, with examples.
        audits: Those that could be held, in the order of the scenario's; those of connections last.
        measured: Its figures; None where it has none.
    """

    record: RoundRecord
    requests: int
    missing: int
    error_kinds: Counter[str]
    failures: tuple[Failure, ...]
    audits: tuple[AuditResult, ...]
    measured: Round | None

    @property
    def state(self) -> RoundState:
        """How it ended: without the driver's report it has no window, and counts as unmeasured."""
        has_none = self.record.state in RAN_TO_THEIR_END and self.record.driver is None
        return "driver-died" if has_none else self.record.state


def summarise(  # noqa: PLR0913, PLR0917 - what a run knows of a cell
    cell: Cell,
    records: Sequence[RoundRecord],
    samples_of: SamplesOf,
    scenario_audits: Sequence[Audit],
    thresholds: Thresholds = SHIPPED,
    seed: int = 0,
) -> CellResult:
    """Summarise one cell.

    Args:
        cell: As planned.
        records: Of the rounds that were started.
        samples_of: Where the samples of each round come from.
        scenario_audits: The audits of the cell's scenario.
        thresholds: By which it is judged.
        seed: Of the run; Poisson arrivals follow from it.
    """
    load = cell.load
    shown = _shown(records)
    begun = []
    for record in records:
        samples = samples_of(record.round)
        measured = None
        if record.round in shown and record.driver is not None:
            due = schedule.planned(load, seed, cell.scenario, record.round)
            measured = measured_round(load, record, record.driver, samples, thresholds, due)
        begun.append(_begun(load, record, samples, scenario_audits, measured))
    rounds = tuple(_round_evidence(load, one) for one in begun)
    disturbed = conditions.set_aside(cell, records, thresholds)
    judged = judge_rounds(load, rounds, thresholds)
    aside = disturbed - {one.round for one in judged if one.has_failed}
    rounds = tuple(one for one in rounds if one.round not in aside)
    bad = {one.round for one in judged} - aside
    left_out = frozenset() if too_many(len(bad), len(rounds), thresholds) else frozenset(bad)
    counting = [one for one in begun if one.record.round not in aside]
    figures = _with_rounds(_figures(cell, counting, bad, left_out), begun, aside)
    reports = [record.driver for record in records if record.driver is not None]
    task_exceptions = sum(one.task_exceptions for one in reports)
    evidence = validity.Evidence(
        planned_rounds=cell.rounds,
        rounds=rounds,
        missing_samples=sum(one.missing for one in begun),
        driver_use=figures.driver_use,
        latency_ms=figures.latency_ms,
        makespan_s=figures.makespan_s,
        arrivals=tuple(
            one.measured.arrivals
            for one in counting
            if one.measured is not None and one.measured.arrivals is not None
        ),
        knee_rps=figures.knee_rps,
        death=next((_death(r) for r in records if r.state == "target-died"), None),
        driver_ending=next((_driver_ending(r) for r in records if r.state == "driver-died"), ""),
        losses=losses(records),
        task_exceptions=task_exceptions,
        ended_early=tuple(dict.fromkeys(one.ended_early for one in reports if one.ended_early)),
        remarks=_examples(records).get(ErrorKind.LOCUSTFILE, ()),
        fan_out=figures.fan_out,
    )
    error_kinds = sum((one.error_kinds for one in begun), Counter[str]())
    error_kinds[ErrorKind.LOCUSTFILE] = task_exceptions
    return CellResult(
        name=cell.name,
        scenario=cell.scenario,
        target=cell.target,
        driver=cell.driver,
        load=load,
        rounds=evidence.ended,
        error_kinds={kind: count for kind, count in error_kinds.most_common() if count},
        error_examples=_examples(records),
        audits=_over_rounds([one for of_round in begun for one in of_round.audits]),
        validity=validity.judge(load, evidence, thresholds),
        unjudged=figures,
        stderr_tail=next((r.stderr_tail for r in records if r.stderr_tail), ""),
        planned=cell.rounds,
        failures=joined(one.failures for one in begun),
    )


def _round_evidence(load: Load, begun: _Begun) -> RoundEvidence:
    """The evidence of a round, without its failures beyond the knee."""
    measured = begun.measured
    limit, past = None, Counter[str]()
    if measured is not None:
        limit = knee.of_round(load.stages, measured.kept_up)
        past = knee.past_the_knee(load.stages, measured.stages, limit)
    evidence = RoundEvidence(
        round=begun.record.round,
        state=begun.state,
        error_kinds=dict(begun.error_kinds - past),
        requests=begun.requests,
        answers=0,
        audits=begun.audits,
        knee_rps=limit,
        failures=begun.failures,
    )
    if measured is None:
        return evidence
    fans = measured.fan_out
    return replace(
        evidence,
        answers=measured.answers.service.size,
        window_s=measured.result.window_s,
        users=measured.users,
        balance=measured.balance,
        halves=measured.halves,
        cut=bool(measured.cut),
        trend=measured.trend,
        expected=fans.expected if fans else 0,
        received=fans.received if fans else 0,
        reconnects=fans.report.reconnects if fans else 0,
    )


def _death(record: RoundRecord) -> Objection:
    """The target's last output; for one that was not driven, the first line says why."""
    lines = _printable(record.stderr_tail)
    if record.wall_s:
        return Objection.of(ObjectionCode.TARGET_DIED, why=" ".join(lines[-2:]))
    return Objection.of(ObjectionCode.TARGET_NOT_READY, why=" ".join(lines[:1]))


def _driver_ending(record: RoundRecord) -> str:
    """The first line says how its process ended; then the last that it wrote."""
    first, *written = _printable(record.stderr_tail) or [""]
    return "; ".join([first, *written[-1:]])


def _printable(tail: str) -> list[str]:
    """Lines as a reason shows them: a log may hold what moves a terminal, and lines without end."""
    printable = ["".join(filter(str.isprintable, one)) for one in tail.splitlines()]
    return [f"{one[:_LONGEST]}…" if len(one) > _LONGEST else one for one in printable]


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
    failed = samples.loc[wrong, ["error", "status"]]
    counted = Counter(zip(failed["error"].astype(str), failed["status"].astype(int), strict=True))
    kinds = Counter[str]()
    for (kind, _), many in counted.items():
        kinds[kind] += many
    return _Begun(
        record=record,
        requests=len(samples),
        missing=_missing(load, record.driver, samples) if record.driver is not None else 0,
        error_kinds=kinds,
        failures=failures(counted, _told(record)),
        audits=(*_of_rows(record, samples, scenario_audits), *audits.of_connections(record)),
        measured=measured,
    )


def _told(record: RoundRecord) -> dict[str, list[str]]:
    """Examples of errors by kind, each one printable line."""
    examples = {} if record.driver is None else record.driver.error_examples
    return {
        kind: [" ".join(_printable(message)) for message in messages]
        for kind, messages in examples.items()
    }


def _of_rows(
    record: RoundRecord, samples: pd.DataFrame, scenario_audits: Sequence[Audit]
) -> Iterator[AuditResult]:
    for audit in scenario_audits:
        result = audits.of_round(audit, record, samples)
        if result is not None:
            yield result


def _over_rounds(results: Sequence[AuditResult]) -> tuple[AuditResult, ...]:
    """Each audit over all rounds; one that no round could answer has nothing to say."""
    return tuple(
        audits.over_rounds([one for one in results if one.what == what])
        for what in dict.fromkeys(one.what for one in results)
    )


def _missing(load: Load, driver: DriverReport, samples: pd.DataFrame) -> int:
    """Samples that the driver reported but that are not on disk."""
    return max(0, driver.requests - len(samples), fan_out.missing_samples(load, driver, samples))


def _figures(
    cell: Cell,
    begun: Sequence[_Begun],
    bad: Collection[int],
    left_out: Collection[int],
) -> Figures:
    """The figures.

    Args:
        cell: As planned.
        begun: All rounds.
        bad: Numbers of those that do not count.
        left_out: Those of which nothing is in the figures: none where the cell is invalid for them.
    """
    load = cell.load
    every = [one.measured for one in begun if one.measured is not None]
    rounds = [one for one in every if one.result.round not in left_out]
    all_records = [one.record for one in begun]
    records = [one for one in all_records if one.round not in left_out]
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
    goes_on = not load.traits.ends_with_last_answer
    measured_s = sum(one.result.window_s for one in rounds)
    kept_up = [one.kept_up for one in rounds if load.stages]
    knees = [knee.of_round(load.stages, kept) for kept in kept_up]
    limit = knee.over_rounds(knees) if knees else None
    arrivals = [one.arrivals for one in rounds if one.arrivals is not None]
    offered_s = sum(one.window_s for one in arrivals)
    requests = {one.result.round: one.served for one in rounds}
    return Figures(
        requests=sum(one.result.requests for one in every),
        errors=sum(one.result.errors for one in every),
        makespan_s=makespan,
        makespan_s_ci=_interval(makespan, makespans),
        throughput_rps=throughput,
        throughput_rps_ci=_interval(throughput, throughputs),
        latency_ms=latency,
        latency_ms_ci=intervals,
        latency_ci_from=intervals_from,
        target_use=resource_use.target_use(load, records, requests),
        driver_use=_driver_use(all_records, every),
        steps=_steps(load, every, rounds),
        per_round=tuple(replace(one.result, counts=one.result.round not in bad) for one in every),
        response_ms=response,
        service_ms=service,
        phases_ms=latencies.phases(counted),
        refused=sum(one.refused for one in every),
        offered_rps=sum(one.due for one in arrivals) / offered_s if offered_s > 0 else None,
        stages=stages.results(load.stages, [one.stages for one in rounds], kept_up)
        if knees
        else (),
        knee_rps=limit,
        knee_rps_ci=knee.interval(load.stages, knees),
        database_use=resource_use.database_use(load, records, requests),
        over_time=over_time(records),
        workers=worker_use(all_records),
        fan_out=fan_out.figures([one.fan_out for one in rounds if one.fan_out is not None]),
        conditions=conditions.over_rounds(all_records),
        seconds_for=latencies.seconds_for(latency, sum(map(len, per_round)), measured_s)
        if goes_on
        else {},
    )


def _with_rounds(figures: Figures, begun: Sequence[_Begun], aside: Collection[int]) -> Figures:
    """The figures with the rounds that were set aside among the single ones."""
    shown = [
        replace(one.measured.result, counts=False, set_aside=True)
        for one in begun
        if one.measured is not None and one.record.round in aside
    ]
    every = sorted([*figures.per_round, *shown], key=lambda one: one.round)
    return replace(figures, per_round=tuple(every))


def _interval(estimate: float | None, per_round: Sequence[float]) -> Interval | None:
    return None if estimate is None else statistics.interval_over_rounds(estimate, per_round)


def _steps(load: Load, every: Sequence[Round], rounds: Sequence[Round]) -> tuple[StepResult, ...]:
    """The steps: counts of every round, latencies of those that count."""
    found = []
    for step in dict.fromkeys(name for one in every for name in one.requests_by_step):
        requests = sum(one.requests_by_step[step] for one in every)
        right = sum(one.answers_by_step.of_step(step, load).size for one in every)
        of_step = latencies.joined([one.answers_by_step.of_step(step, load) for one in rounds])
        percentiles = latencies.percentiles(of_step)
        found.append(StepResult(step, requests, requests - right, percentiles))
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
    delayed = [one.delayed for one in rounds if one.delayed is not None]
    return DriverUse(
        cpu_fraction=max((report.cpu_s / window_s for report, window_s in windows), default=None),
        cpu_ms_per_request=_driver_cost_ms(records, rounds),
        waited_fraction=max(waited, default=None),
        delayed_fraction=float(np.median(delayed)) if delayed else None,
        loop_lag_ms=LoopLag(
            p50=None,
            p99=max(report.loop_lag_ms_p99 for report in reports),
            max=max(report.loop_lag_ms_max for report in reports),
        ),
        late_sends=max(one.late_sends for one in rounds),
        send_spread_ms=max(one.send_spread_ms for one in rounds),
    )


def _driver_cost_ms(records: Sequence[RoundRecord], rounds: Sequence[Round]) -> float | None:
    requests = {one.result.round: one.result.requests for one in rounds}
    reports = [
        (record.driver, requests[record.round])
        for record in records
        if record.driver is not None and record.round in requests
    ]
    # Of workers, the CPU time of the busiest one is known only.
    if any(report.workers for report, _ in reports):
        return None
    sent = sum(count for _, count in reports)
    return 1e3 * sum(report.cpu_s for report, _ in reports) / sent if sent else None


def _examples(records: Sequence[RoundRecord]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.driver is not None:
            for kind, messages in record.driver.error_examples.items():
                found.setdefault(kind, {}).update(dict.fromkeys(messages))
    return {kind: tuple(messages)[:3] for kind, messages in found.items()}
