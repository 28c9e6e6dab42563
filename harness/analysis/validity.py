"""Whether a cell is valid. Fail-closed: any reason makes it invalid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loopmark.harness.analysis import knee, schedule
from loopmark.harness.analysis.littles_law import Balance
from loopmark.harness.analysis.schedule import Arrivals
from loopmark.harness.analysis.steady_state import Change, most
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode, Validity, ValidityState
from loopmark.harness.vocabulary.figures import AuditResult, DriverUse, FanOutFigures
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import Series
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, RoundState
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for and against a cell.

    Attributes:
        planned_rounds: Rounds in the plan.
        states: Of the rounds that were started.
        error_kinds: Failed requests by kind, those outside of the windows included; those beyond
            the knee of steps and ramps are excluded.
        requests: All requests, those outside of the windows included.
        answers: Right answers within the windows.
        missing_samples: Requests that the drivers report but the sample files lack.
        audits: Rows against acknowledged writes.
        driver_use: The driver's resource use.
        median_latency_ms: Over all rounds.
        tail_latency_ms: The 99th percentile over all rounds; None where there are too few
            samples.
        makespan_s: Of a burst.
        users_answered: By round: users that received an answer, right or wrong, within the window.
        balances: By round of a steady load: both sides of Little's law.
        halves: By round with answers: the second half of the window compared with the first, in
            answers, or under an open load in response times.
        cuts: By round with answers: whether MSER found a material change.
        arrivals: By round of an open load: the schedule, and how the driver kept it.
        knee_rps: Of steps and ramps; 0 where the target did not keep up with any stage.
        death: How the target died, or why it did not get ready.
        losses: Of a distributed driver: the workers that did not deliver all, and why.
        ended_early: Of a locustfile: why rounds ended early.
        remarks: Of a locustfile: examples of failures outside its requests.
        fan_out: Of a fan-out: the outcome of its publications.
    """

    planned_rounds: int
    states: tuple[RoundState, ...]
    error_kinds: Mapping[str, int]
    requests: int
    answers: int
    missing_samples: int
    audits: tuple[AuditResult, ...]
    driver_use: DriverUse
    median_latency_ms: float | None
    makespan_s: float | None
    users_answered: tuple[int, ...]
    balances: tuple[Balance, ...] = ()
    halves: tuple[Change, ...] = ()
    cuts: tuple[bool, ...] = ()
    arrivals: tuple[Arrivals, ...] = ()
    knee_rps: float | None = None
    death: Objection | None = None
    losses: tuple[Objection, ...] = ()
    tail_latency_ms: float | None = None
    ended_early: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    fan_out: FanOutFigures | None = None

    @property
    def ended(self) -> int:
        """Number of rounds that ran to their end, which should have figures."""
        return sum(state in RAN_TO_THEIR_END for state in self.states)


def judge(load: Load, evidence: Evidence, thresholds: Thresholds = SHIPPED) -> Validity:
    """The state of the most serious reason, and all reasons, most serious first."""
    gravity = list(ValidityState)
    objections = sorted(
        _objections(load, evidence, thresholds), key=lambda one: gravity.index(one.code.state)
    )
    state = objections[0].code.state if objections else ValidityState.VALID
    return Validity(state, tuple(objections))


def _objections(load: Load, evidence: Evidence, thresholds: Thresholds) -> Iterator[Objection]:
    yield from _from_rounds(evidence)
    yield from _from_locustfile(evidence)
    yield from _from_answers(load, evidence)
    yield from _from_deliveries(load, evidence)
    if evidence.ended:
        yield from _from_driver(load, evidence, thresholds)
        yield from _from_samples(load, evidence)
        yield from schedule.objections(
            load, evidence.arrivals, evidence.ended, evidence.median_latency_ms, thresholds
        )
        if not load.traits.ends_with_last_answer:
            yield from _from_flow_of_answers(load, evidence, thresholds)


def _from_rounds(evidence: Evidence) -> Iterator[Objection]:
    states = evidence.states
    if evidence.death is not None:
        yield evidence.death
    if "driver-died" in states:
        yield Objection(ObjectionCode.DRIVER_FAILED)
    if "interrupted" in states or len(states) < evidence.planned_rounds:
        yield Objection.of(
            ObjectionCode.ROUNDS_UNFINISHED,
            measured=evidence.ended,
            planned=evidence.planned_rounds,
        )
    yield from evidence.losses
    if "worker-lost" in states and not evidence.losses:
        yield Objection.of(ObjectionCode.UNKNOWN_WORKER_LOST, round=states.index("worker-lost") + 1)


def _from_locustfile(evidence: Evidence) -> Iterator[Objection]:
    for why in evidence.ended_early:
        yield Objection.of(ObjectionCode.LOCUSTFILE_ENDED_EARLY, why=why)
    exceptions = evidence.error_kinds.get(ErrorKind.LOCUSTFILE, 0)
    example = evidence.remarks[0] if evidence.remarks else ""
    if exceptions:
        # Where it is the only one the example has the same number.
        times = "once" if exceptions == 1 else f"{exceptions} times"
        example = example.removesuffix(f" ({times})")
        yield Objection.of(ObjectionCode.TASKS_RAISED, times=exceptions, example=example)
    elif evidence.remarks:
        yield Objection.of(ObjectionCode.LOCUSTFILE_PROBLEM, example=example)


def _from_answers(load: Load, evidence: Evidence) -> Iterator[Objection]:
    kinds, requests = evidence.error_kinds, evidence.requests
    # Requests that were abandoned fell with their round, which says so itself.
    unfinished = any(state != "measured" for state in evidence.states)
    told: frozenset[str] = ErrorKind.WRONG | ({ErrorKind.ABANDONED} if unfinished else set())
    told |= {ErrorKind.REFUSED, ErrorKind.LOCUSTFILE, ErrorKind.MISSING} | ErrorKind.MISDELIVERED
    if wrong := sum(n for kind, n in kinds.items() if kind in ErrorKind.WRONG):
        yield Objection.of(ObjectionCode.ANSWERS_WRONG, wrong=wrong, answers=requests)
    for audit in evidence.audits:
        if not audit.ok:
            yield Objection.of(
                ObjectionCode.ROWS_DIFFER,
                what=audit.what,
                acknowledged=audit.acknowledged,
                found=audit.found,
            )
    if failed := sum(n for kind, n in kinds.items() if kind not in told):
        if load.traits.fans_out:
            # Beside so many deliveries the number of all samples would say nothing.
            yield Objection.of(ObjectionCode.BESIDE_DELIVERIES_FAILED, failed=failed)
        else:
            yield Objection.of(ObjectionCode.REQUESTS_FAILED, failed=failed, requests=requests)
    if refused := kinds.get(ErrorKind.REFUSED, 0):
        what, limit = load.traits.unit.scheduled, load.in_flight_limit
        yield Objection.of(ObjectionCode.REFUSED, refused=refused, what=what, limit=limit)


def _from_deliveries(load: Load, evidence: Evidence) -> Iterator[Objection]:
    kinds, fan_out = evidence.error_kinds, evidence.fan_out
    if missing := kinds.get(ErrorKind.MISSING, 0):
        # Of stages it is mostly that of the last ones.
        reach = fan_out.reach if fan_out and not load.traits.is_staged else None
        yield Objection.of(ObjectionCode.DELIVERIES_MISSING, missing=missing, reach=reach)
    if doubled := kinds.get(ErrorKind.DUPLICATE, 0):
        yield Objection.of(ObjectionCode.DELIVERIES_DOUBLED, deliveries=doubled)
    if displaced := kinds.get(ErrorKind.OUT_OF_ORDER, 0):
        yield Objection.of(ObjectionCode.DELIVERIES_DISPLACED, deliveries=displaced)
    # Where every client received all up to the knee, none was cut off before it.
    if fan_out and fan_out.reconnects and not evidence.knee_rps:
        yield Objection.of(ObjectionCode.CLIENTS_RECONNECTED, times=fan_out.reconnects)


def _from_driver(load: Load, evidence: Evidence, thresholds: Thresholds) -> Iterator[Objection]:
    use, is_burst = evidence.driver_use, load.traits.ends_with_last_answer
    if use.cpu_fraction is not None and use.cpu_fraction > thresholds.max_driver_cpu:
        yield Objection.of(ObjectionCode.DRIVER_BUSY, share=use.cpu_fraction)
    # Less than that widens intervals (see `delays`).
    waited = use.waited_fraction or 0.0
    if waited > thresholds.max_waited:
        yield Objection.of(ObjectionCode.DRIVER_NOT_SCHEDULED, share=waited)
    makespan_ms = 1e3 * (evidence.makespan_s or 0.0)
    # Too small a burst has no median, but its makespan.
    latency_ms = makespan_ms if evidence.median_latency_ms is None else evidence.median_latency_ms
    if load.traits.fans_out and evidence.tail_latency_ms is not None:
        latency_ms = evidence.tail_latency_ms
    lag_ms = use.loop_lag_ms.p99
    allowed_ms = thresholds.lag_allowance_ms + thresholds.max_lag_share * latency_ms
    if lag_ms is not None and lag_ms > allowed_ms and not _explained(lag_ms, waited):
        yield Objection.of(ObjectionCode.LOOP_LAGGED, lag_ms=lag_ms)
    spread_ms = use.send_spread_ms
    allowed_ms = thresholds.spread_allowance_ms + thresholds.max_spread_share * makespan_ms
    if is_burst and spread_ms is not None and spread_ms > allowed_ms:
        yield Objection.of(ObjectionCode.BURST_SPREAD, late_ms=spread_ms)
    cost_us = evidence.fan_out.driver_cpu_us if evidence.fan_out else None
    yield from knee.objections(load, evidence.knee_rps, cost_us, thresholds)


def _explained(lag_ms: float, waited: float) -> bool:
    """Whether the driver lagged because it was not scheduled, which is bounded elsewhere.

    The lag is the 99th percentile of a timer that is armed every 5 ms: one in a hundred is at least
    as late, which takes twice the lag of every second.
    """
    return waited >= 2 * lag_ms / 1e3


def _from_samples(load: Load, evidence: Evidence) -> Iterator[Objection]:
    if evidence.missing_samples:
        yield Objection.of(ObjectionCode.SAMPLES_MISSING, missing=evidence.missing_samples)
    if load.traits.ends_with_last_answer:
        silent = evidence.ended - len(evidence.users_answered)
        fewest = 0 if silent > 0 else min(evidence.users_answered)
        if fewest < load.concurrency:
            yield Objection.of(
                ObjectionCode.USERS_UNANSWERED, answered=fewest, users=load.concurrency
            )


def _from_flow_of_answers(
    load: Load, evidence: Evidence, thresholds: Thresholds
) -> Iterator[Objection]:
    if evidence.answers < thresholds.min_answers:
        yield Objection.of(
            ObjectionCode.ANSWERS_FEW, answers=evidence.answers, needed=thresholds.min_answers
        )
        return
    if load.traits.steady is not None:
        yield from _from_steadiness(load.traits.steady, evidence, thresholds)
    if load.traits.balance is not None:
        yield from _from_littles_law(load, evidence, thresholds)
    if load.traits.knee == "slowest-stage" and evidence.knee_rps == 0:
        # Not "with no stage": of several stages at the slowest rate some may be kept up with.
        yield Objection(ObjectionCode.FELL_BEHIND)


def _from_steadiness(
    series: Series, evidence: Evidence, thresholds: Thresholds
) -> Iterator[Objection]:
    silent = evidence.ended - len(evidence.halves)
    if silent > 0:
        yield Objection.of(ObjectionCode.ROUNDS_SILENT, rounds=silent)
    between = drift(evidence.halves)
    if between.is_material(thresholds.materiality(series).level):
        if math.isinf(between.ratio):
            yield Objection(ObjectionCode.FIRST_HALF_EMPTY)
        else:
            yield Objection.of(ObjectionCode.HALVES_DIFFER, ratio=between.ratio, series=series)
    elif most(evidence.cuts):
        yield Objection.of(
            ObjectionCode.LEVEL_CHANGED,
            series=series,
            cut=sum(evidence.cuts),
            rounds=len(evidence.cuts),
        )


def drift(halves: Sequence[Change]) -> Change:
    """The change between the halves of the windows, as the median of the rounds."""
    if not halves:
        return Change(0.0)
    return Change(
        float(np.median([one.ratio for one in halves])),
        float(np.median([one.chance for one in halves])),
    )


def _from_littles_law(
    load: Load, evidence: Evidence, thresholds: Thresholds
) -> Iterator[Objection]:
    balances = evidence.balances
    if not balances:
        yield Objection(ObjectionCode.CONCURRENCY_UNKNOWN)
        return
    deviation = float(np.median([one.deviation for one in balances]))
    if deviation <= thresholds.max_little_deviation:
        return
    counted = float(np.median([one.counted for one in balances]))
    if load.held is not None:
        yield Objection.of(
            ObjectionCode.USERS_UNACCOUNTED,
            counted=counted,
            users=load.held.users,
            think_s=load.held.think_s,
        )
    else:
        expected = float(np.median([one.expected for one in balances]))
        yield Objection.of(ObjectionCode.REQUESTS_UNACCOUNTED, counted=counted, expected=expected)
