"""Whether a cell is valid. Fail-closed: any reason makes it invalid."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from loopmark.harness.analysis import knee, schedule
from loopmark.harness.analysis.round_validity import (
    RoundEvidence,
    judge_rounds,
    objections,
    too_many,
)
from loopmark.harness.analysis.schedule import Arrivals
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode, Validity, ValidityState
from loopmark.harness.vocabulary.figures import DriverUse, FanOutFigures, Percentiles
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for and against a cell.

    Attributes:
        planned_rounds: Rounds in the plan.
        rounds: What is known of each round that was started.
        missing_samples: Requests that the drivers report but the sample files lack.
        driver_use: The driver's resource use.
        latency_ms: Over the rounds that count, as the next.
        makespan_s: Of a burst.
        arrivals: By round of an open load: the schedule, and how the driver kept it.
        knee_rps: Of steps and ramps; 0 where the target did not keep up with any stage.
        death: How the target died, or why it did not get ready.
        driver_ending: How the driver's process ended in a round that it did not complete, and what
            it wrote last.
        losses: Of a distributed driver: the workers that did not deliver all, and why.
        task_exceptions: Of a locustfile: exceptions that its tasks raised.
        ended_early: Of a locustfile: why rounds ended early.
        remarks: Of a locustfile: examples of failures outside its requests.
        fan_out: Of a fan-out: the outcome of its publications.
    """

    planned_rounds: int
    rounds: tuple[RoundEvidence, ...]
    missing_samples: int
    driver_use: DriverUse
    latency_ms: Percentiles
    makespan_s: float | None
    arrivals: tuple[Arrivals, ...] = ()
    knee_rps: float | None = None
    death: Objection | None = None
    driver_ending: str = ""
    losses: tuple[Objection, ...] = ()
    task_exceptions: int = 0
    ended_early: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    fan_out: FanOutFigures | None = None

    @property
    def ended(self) -> int:
        """Number of rounds that ran to their end, which should have figures."""
        return sum(one.has_ended for one in self.rounds)


def judge(load: Load, evidence: Evidence, thresholds: Thresholds = SHIPPED) -> Validity:
    """The state of the most serious reason, and all reasons, most serious first."""
    bad = judge_rounds(load, evidence.rounds, thresholds)
    found = list(_objections(load, evidence, {one.round for one in bad}, thresholds))
    if too_many(len(bad), len(evidence.rounds), thresholds):
        found += objections(load, evidence.rounds, thresholds)
    found.sort(key=lambda one: one.code.state.gravity)
    state = found[0].code.state if found else ValidityState.VALID
    return Validity(state, tuple(found), bad)


def _objections(
    load: Load, evidence: Evidence, bad: Collection[int], thresholds: Thresholds
) -> Iterator[Objection]:
    yield from _from_rounds(evidence)
    yield from _from_locustfile(evidence)
    if evidence.ended:
        yield from _from_driver(load, evidence, thresholds)
        if evidence.missing_samples:
            yield Objection.of(ObjectionCode.SAMPLES_MISSING, missing=evidence.missing_samples)
        yield from schedule.objections(
            load, evidence.arrivals, evidence.ended, evidence.latency_ms, thresholds
        )
        if not load.traits.ends_with_last_answer:
            yield from _from_flow_of_answers(evidence, bad, thresholds)


def _from_rounds(evidence: Evidence) -> Iterator[Objection]:
    states = [one.state for one in evidence.rounds]
    if evidence.death is not None:
        yield evidence.death
    elif "target-died" in states:
        yield Objection(ObjectionCode.TARGET_DIED)
    if "driver-died" in states:
        yield Objection.of(ObjectionCode.DRIVER_FAILED, why=evidence.driver_ending)
    # What was interrupted beyond the plan is no loss.
    if evidence.ended < evidence.planned_rounds and (
        "interrupted" in states or len(states) < evidence.planned_rounds
    ):
        yield Objection.of(
            ObjectionCode.ROUNDS_UNFINISHED,
            measured=evidence.ended,
            planned=evidence.planned_rounds,
        )
    yield from evidence.losses


def _from_locustfile(evidence: Evidence) -> Iterator[Objection]:
    for why in evidence.ended_early:
        yield Objection.of(ObjectionCode.LOCUSTFILE_ENDED_EARLY, why=why)
    exceptions = evidence.task_exceptions
    example = evidence.remarks[0] if evidence.remarks else ""
    if exceptions:
        # Where it is the only one the example has the same number.
        times = "once" if exceptions == 1 else f"{exceptions} times"
        example = example.removesuffix(f" ({times})")
        yield Objection.of(ObjectionCode.TASKS_RAISED, times=exceptions, example=example)
    elif evidence.remarks:
        yield Objection.of(ObjectionCode.LOCUSTFILE_PROBLEM, example=example)


def _from_driver(load: Load, evidence: Evidence, thresholds: Thresholds) -> Iterator[Objection]:
    use, is_burst = evidence.driver_use, load.traits.ends_with_last_answer
    if use.cpu_fraction is not None and use.cpu_fraction > thresholds.max_driver_cpu:
        yield Objection.of(ObjectionCode.DRIVER_BUSY, share=use.cpu_fraction)
    # Less than that widens intervals (see `delays`).
    if use.delayed_fraction is not None and use.delayed_fraction > thresholds.max_delay:
        yield Objection.of(ObjectionCode.DRIVER_NOT_SCHEDULED, share=use.delayed_fraction)
    waited = use.waited_fraction or 0.0
    makespan_ms = 1e3 * (evidence.makespan_s or 0.0)
    # Too small a burst has no median, but its makespan.
    latency_ms = makespan_ms if evidence.latency_ms.p50 is None else evidence.latency_ms.p50
    if load.traits.fans_out and evidence.latency_ms.p99 is not None:
        latency_ms = evidence.latency_ms.p99
    lag_ms = use.loop_lag_ms.p99
    allowed_ms = thresholds.lag_allowance_ms + thresholds.max_lag_share * latency_ms
    if lag_ms is not None and lag_ms > allowed_ms and not _explained(lag_ms, waited):
        yield Objection.of(ObjectionCode.LOOP_LAGGED, lag_ms=lag_ms)
    spread_ms = use.send_spread_ms
    allowed_ms = thresholds.spread_allowance_ms + thresholds.max_spread_share * makespan_ms
    late = spread_ms is not None and spread_ms > max(allowed_ms, waited * makespan_ms)
    if is_burst and late:
        yield Objection.of(ObjectionCode.BURST_SPREAD, late_ms=spread_ms)
    cost_us = evidence.fan_out.driver_cpu_us if evidence.fan_out else None
    yield from knee.objections(load, evidence.knee_rps, cost_us, thresholds)


def _explained(lag_ms: float, waited: float) -> bool:
    """Whether the driver lagged because it was not scheduled, which is bounded elsewhere.

    The lag is the 99th percentile of a timer that is armed every 5 ms: one in a hundred is at least
    as late, which takes twice the lag of every second.
    """
    return waited >= 2 * lag_ms / 1e3


def _from_flow_of_answers(
    evidence: Evidence, bad: Collection[int], thresholds: Thresholds
) -> Iterator[Objection]:
    rounds = evidence.rounds
    if not too_many(len(bad), len(rounds), thresholds):
        rounds = tuple(one for one in rounds if one.round not in bad)
    counted, needed = sum(one.answers for one in rounds), thresholds.min_answers
    if counted < needed:
        seconds = sum(one.window_s for one in rounds) * needed / counted if counted else None
        yield Objection.of(
            ObjectionCode.ANSWERS_FEW, answers=counted, needed=needed, seconds=seconds
        )
