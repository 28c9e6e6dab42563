"""Whether a cell may be believed. Fail-closed: what speaks against it is its state.

All thresholds are here, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from harness.vocabulary.cell import Validity, ValidityState
from harness.vocabulary.job import ErrorKind
from harness.vocabulary.load import Burst, Closed, Load
from harness.vocabulary.record import RoundState
from harness.vocabulary.result import AuditResult, DriverUse

MAX_DRIVER_CPU = 0.85
"""A single-threaded driver that is busier than this answers late itself: queueing grows as
1 / (1 - utilisation)."""

LAG_ALLOWANCE_MS = 5.0
MAX_LAG_SHARE = 0.1
"""The driver's loop lag adds to every latency: it may be a tenth of it, and whatever the latency,
the few milliseconds that a scheduler takes."""

MAX_SPREAD_SHARE = 0.2
SPREAD_ALLOWANCE_MS = 10.0
"""In a burst, the last request may be sent this late, as a share of the makespan."""

MAX_LITTLE_DEVIATION = 0.03
"""Requests in flight, as throughput x latency, against the users there are: the rest of the time
the users were kept by the driver."""

MAX_DRIFT = 1.25
"""The second half of the window against the first, as the median over the rounds."""

DRIFT_SIGMAS = 4.0
"""Beside it, what chance does: the ratio of two Poisson counts of n / 2 each scatters by
2 / sqrt(n)."""

MIN_ANSWERS = 20
"""Fewer cannot carry a median: N (1 - p) >= 10."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for or against a cell.

    Attributes:
        planned_rounds: Rounds in the plan.
        states: Of the rounds that were begun.
        error_kinds: Failed requests by kind, those outside of the windows included.
        requests: All requests, those outside of the windows included.
        answers: Right answers within the windows.
        missing_samples: Requests that the drivers report but the sample files lack.
        audits: Rows against acknowledged writes.
        driver_use: What the driver spent.
        median_latency_ms: Over all rounds.
        makespan_s: Of a burst.
        users_heard: By round: users of whom an answer, right or wrong, came within the window.
        littles_users: By round: mean number of requests in flight.
        halves_ratios: By round with answers: those in the second half of the window per one in the
            first.
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
    users_heard: tuple[int, ...]
    littles_users: tuple[float, ...]
    halves_ratios: tuple[float, ...]


def judge(load: Load, evidence: Evidence) -> Validity:
    """Name the gravest objection as the state, and all of them as reasons."""
    objections = list(_objections(load, evidence))
    if not objections:
        return Validity(ValidityState.VALID)
    gravity = list(ValidityState)
    state = min((state for state, _ in objections), key=gravity.index)
    return Validity(state, tuple(reason for _, reason in objections))


def _objections(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    yield from _from_rounds(evidence)
    yield from _from_answers(evidence)
    if "measured" in evidence.states:
        yield from _from_driver(load, evidence)
        yield from _from_samples(load, evidence)
        if isinstance(load, Closed):
            yield from _from_flow_of_answers(load, evidence)


def _from_rounds(evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    done = evidence.states.count("measured")
    if "target-died" in evidence.states:
        yield ValidityState.TARGET_DIED, "the target ended while it was driven, or did not start"
    if "driver-died" in evidence.states:
        yield ValidityState.INTERRUPTED, "the driver failed or did not end in time"
    if "interrupted" in evidence.states or len(evidence.states) < evidence.planned_rounds:
        yield ValidityState.INTERRUPTED, f"{done} of {evidence.planned_rounds} rounds were measured"


def _from_answers(evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    wrong = sum(n for kind, n in evidence.error_kinds.items() if kind in ErrorKind.WRONG)
    # Requests that were abandoned fell with their round, which says so itself.
    unfinished = any(state != "measured" for state in evidence.states)
    told = ErrorKind.WRONG | ({ErrorKind.ABANDONED} if unfinished else set())
    failed = sum(n for kind, n in evidence.error_kinds.items() if kind not in told)
    if wrong:
        yield ValidityState.WRONG_ANSWERS, f"{wrong} of {evidence.requests} answers were wrong"
    for audit in evidence.audits:
        if not audit.ok:
            reason = (
                f"{audit.what}: {audit.acknowledged:+d} rows acknowledged, {audit.found:+d} found"
            )
            yield ValidityState.WRONG_ANSWERS, reason
    if failed:
        yield ValidityState.ERRORS, f"{failed} of {evidence.requests} requests failed"


def _from_driver(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    use = evidence.driver_use
    if use.cpu_fraction is not None and use.cpu_fraction > MAX_DRIVER_CPU:
        reason = f"the driver used {use.cpu_fraction:.0%} of its processor"
        yield ValidityState.DRIVER_LIMITED, reason
    lag = use.loop_lag_ms.p99
    makespan_ms = 1e3 * (evidence.makespan_s or 0.0)
    # Too small a burst has no median, but its makespan.
    latency_ms = makespan_ms if evidence.median_latency_ms is None else evidence.median_latency_ms
    if lag is not None and lag > LAG_ALLOWANCE_MS + MAX_LAG_SHARE * latency_ms:
        reason = f"the driver's event loop lagged by {lag:.1f} ms (99th percentile)"
        yield ValidityState.DRIVER_LIMITED, reason
    spread = use.send_spread_ms
    allowed = SPREAD_ALLOWANCE_MS + MAX_SPREAD_SHARE * makespan_ms
    if isinstance(load, Burst) and spread is not None and spread > allowed:
        reason = f"the driver sent a request {spread:.0f} ms after it was due"
        yield ValidityState.DRIVER_LIMITED, reason


def _from_samples(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    if evidence.missing_samples:
        reason = f"{evidence.missing_samples} samples that the driver took are missing"
        yield ValidityState.TOO_FEW_SAMPLES, reason
    if isinstance(load, Burst):
        silent = evidence.states.count("measured") - len(evidence.users_heard)
        fewest = 0 if silent > 0 else min(evidence.users_heard)
        if fewest >= load.n:
            return
        yield ValidityState.TOO_FEW_SAMPLES, f"only {fewest} of {load.n} users got an answer"


def _from_flow_of_answers(load: Closed, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    if evidence.answers < MIN_ANSWERS:
        reason = f"{evidence.answers} right answers; a median needs {MIN_ANSWERS}"
        yield ValidityState.TOO_FEW_SAMPLES, reason
        return
    silent = evidence.states.count("measured") - len(evidence.halves_ratios)
    if silent > 0:
        yield ValidityState.UNSTEADY, f"{silent} rounds had no answer in their window"
    drift = float(np.median(evidence.halves_ratios)) if evidence.halves_ratios else 0.0
    chance = DRIFT_SIGMAS * 2 / evidence.answers**0.5
    if not 1 / (MAX_DRIFT + chance) <= drift <= MAX_DRIFT + chance:
        reason = f"the second half of the window had {drift:.2f} x the answers of the first"
        yield ValidityState.UNSTEADY, reason
    users = float(np.median(evidence.littles_users)) if evidence.littles_users else 0.0
    if abs(users / load.users - 1) > MAX_LITTLE_DEVIATION:
        reason = f"throughput x latency makes {users:.1f} users, there were {load.users}"
        yield ValidityState.LITTLES_LAW, reason
