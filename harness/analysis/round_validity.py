"""Whether a round counts: its errors, wrong answers, steadiness, and Little's law.

A round that does not is kept and shown, and its figures take no part in those of its cell. It is
not measured again: a target that fails now and then would otherwise be measured until it does not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopmark.harness.analysis.audits import over_rounds
from loopmark.harness.analysis.littles_law import Balance
from loopmark.harness.analysis.steady_state import Change
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode, RoundObjections
from loopmark.harness.vocabulary.failure import Failure, joined
from loopmark.harness.vocabulary.figures import AuditResult
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import Series
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, RoundState
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import Thresholds

_TOLD_ELSEWHERE = (
    ErrorKind.WRONG
    | {ErrorKind.REFUSED, ErrorKind.LOCUSTFILE, ErrorKind.MISSING}
    | ErrorKind.MISDELIVERED
)
"""Failures that have a reason of their own."""


@dataclass(frozen=True, slots=True)
class RoundEvidence:
    """The evidence for and against one round.

    Attributes:
        round: Its number.
        state: How it ended.
        error_kinds: Failed requests by kind, those outside of the window included; those beyond the
            knee of steps and ramps are excluded.
        requests: All requests, those outside of the window included.
        answers: Right answers within the window.
        failures: Failed requests by kind and status, with examples; those beyond the knee too.
        window_s: Length of the window, in seconds; 0 without one.
        audits: Rows against acknowledged writes.
        users: Users that received an answer, right or wrong, within the window.
        balance: Both sides of Little's law; None where the load is not steady.
        halves: The second half of the window compared with the first, in answers, or under an open
            load in response times; None without answers.
        cut: Whether MSER found a material change.
        trend: The end of the window over its start, by a straight line; None unless that is a
            material drift.
        expected: Of a fan-out: deliveries that were due.
        received: Of these, those that were made.
        reconnects: Of a fan-out: how often active clients connected again.
        knee_rps: Of steps and ramps; 0 where the target did not keep up with any stage.
    """

    round: int
    state: RoundState
    error_kinds: Mapping[str, int]
    requests: int
    answers: int
    audits: tuple[AuditResult, ...] = ()
    users: int = 0
    balance: Balance | None = None
    halves: Change | None = None
    cut: bool = False
    trend: float | None = None
    expected: int = 0
    received: int = 0
    reconnects: int = 0
    knee_rps: float | None = None
    window_s: float = 0.0
    failures: tuple[Failure, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it ran to its end, so that it should have figures."""
        return self.state in RAN_TO_THEIR_END


def judge_rounds(
    load: Load, rounds: Sequence[RoundEvidence], thresholds: Thresholds
) -> tuple[RoundObjections, ...]:
    """The rounds that do not count, each judged by itself."""
    answers = _answers(rounds)
    return tuple(
        RoundObjections(one.round, against)
        for one in rounds
        if (against := objections(load, [one], thresholds, answers=answers))
    )


def too_many(bad: int, rounds: int, thresholds: Thresholds) -> bool:
    """Whether so many rounds do not count that the cell does not either."""
    return bad > thresholds.max_bad_rounds * rounds + 1e-9


def objections(
    load: Load,
    rounds: Sequence[RoundEvidence],
    thresholds: Thresholds,
    *,
    answers: int | None = None,
) -> tuple[Objection, ...]:
    """The reasons against these rounds: failures are added up, of other values the worst is named.

    Args:
        load: The load.
        rounds: One round, or all of a cell that have too many objections.
        thresholds: Those in force.
        answers: Right answers of the whole cell; with too few of them steadiness is
            not judged.
    """
    found = [*_from_answers(load, rounds), *_from_deliveries(load, rounds)]
    ended = [one for one in rounds if one.has_ended]
    if load.traits.ends_with_last_answer:
        found += _from_users(load, ended)
    elif (_answers(rounds) if answers is None else answers) >= thresholds.min_answers:
        if load.traits.steady is not None:
            found += _from_steadiness(load.traits.steady, ended, thresholds)
        if load.traits.balance is not None:
            found += _from_littles_law(load, ended, thresholds)
    return tuple(sorted(found, key=lambda one: one.code.state.gravity))


def _answers(rounds: Sequence[RoundEvidence]) -> int:
    return sum(one.answers for one in rounds)


def _failures(one: RoundEvidence) -> Counter[str]:
    kinds = Counter(one.error_kinds)
    if one.state != "measured":
        # Requests that were abandoned fell with their round, which says so itself.
        del kinds[ErrorKind.ABANDONED]
    return kinds


def _from_answers(load: Load, rounds: Sequence[RoundEvidence]) -> Iterator[Objection]:
    kinds = sum(map(_failures, rounds), Counter[str]())
    requests = sum(one.requests for one in rounds)
    every = joined(one.failures for one in rounds)
    if wrong := sum(n for kind, n in kinds.items() if kind in ErrorKind.WRONG):
        why = _why([one for one in every if one.kind in ErrorKind.WRONG])
        yield Objection.of(ObjectionCode.ANSWERS_WRONG, wrong=wrong, answers=requests, **why)
    failed_audits = [audit for one in rounds for audit in one.audits if not audit.ok]
    for what in dict.fromkeys(audit.what for audit in failed_audits):
        alike = [audit for audit in failed_audits if audit.what == what]
        yield over_rounds(alike).objection
    others = {kind for kind, n in kinds.items() if n and kind not in _TOLD_ELSEWHERE}
    if failed := sum(kinds[kind] for kind in others):
        why = _why([one for one in every if one.kind in others])
        if load.traits.fans_out:
            # Beside so many deliveries the number of all samples would say nothing.
            yield Objection.of(ObjectionCode.BESIDE_DELIVERIES_FAILED, failed=failed, **why)
        else:
            yield Objection.of(
                ObjectionCode.REQUESTS_FAILED, failed=failed, requests=requests, **why
            )
    if refused := kinds[ErrorKind.REFUSED]:
        what, limit = load.traits.unit.scheduled, load.in_flight_limit
        yield Objection.of(ObjectionCode.REFUSED, refused=refused, what=what, limit=limit)


def _why(alike: Sequence[Failure]) -> dict[str, str]:
    """An example of the most frequent failure, or what it is called; whether it is the only one."""
    if not alike:
        return {}
    first = alike[0]
    return {"mostly" if alike[1:] else "why": first.examples[0] if first.examples else first.name}


def _from_deliveries(load: Load, rounds: Sequence[RoundEvidence]) -> Iterator[Objection]:
    kinds = sum((Counter(one.error_kinds) for one in rounds), Counter[str]())
    if missing := kinds[ErrorKind.MISSING]:
        expected = sum(one.expected for one in rounds)
        received = sum(one.received for one in rounds)
        # Of stages it is mostly that of the last ones.
        reach = received / expected if expected and not load.traits.is_staged else None
        yield Objection.of(ObjectionCode.DELIVERIES_MISSING, missing=missing, reach=reach)
    if doubled := kinds[ErrorKind.DUPLICATE]:
        yield Objection.of(ObjectionCode.DELIVERIES_DOUBLED, deliveries=doubled)
    if displaced := kinds[ErrorKind.OUT_OF_ORDER]:
        yield Objection.of(ObjectionCode.DELIVERIES_DISPLACED, deliveries=displaced)
    # Where every client received all up to the knee, none was cut off before it.
    if reconnects := sum(one.reconnects for one in rounds if not one.knee_rps):
        yield Objection.of(ObjectionCode.CLIENTS_RECONNECTED, times=reconnects)


def _from_users(load: Load, rounds: Sequence[RoundEvidence]) -> Iterator[Objection]:
    fewest = min((one.users for one in rounds), default=load.concurrency)
    if fewest < load.concurrency:
        yield Objection.of(ObjectionCode.USERS_UNANSWERED, answered=fewest, users=load.concurrency)


def _from_steadiness(
    series: Series, rounds: Sequence[RoundEvidence], thresholds: Thresholds
) -> Iterator[Objection]:
    if silent := sum(one.halves is None for one in rounds):
        yield Objection.of(ObjectionCode.ROUNDS_SILENT, rounds=silent)
    level = thresholds.materiality(series).level
    differing = [
        one.halves for one in rounds if one.halves is not None and one.halves.is_material(level)
    ]
    if differing:
        ratio = max((one.ratio for one in differing), key=_distance)
        if math.isinf(ratio):
            yield Objection(ObjectionCode.FIRST_HALF_EMPTY)
        else:
            yield Objection.of(ObjectionCode.HALVES_DIFFER, ratio=ratio, series=series)
    elif cut := sum(one.cut for one in rounds):
        yield Objection.of(ObjectionCode.LEVEL_CHANGED, series=series, cut=cut, rounds=len(rounds))
    elif drifting := [one.trend for one in rounds if one.trend is not None]:
        ratio = max(drifting, key=_distance)
        yield Objection.of(ObjectionCode.LEVEL_DRIFTED, series=series, ratio=ratio)


def _distance(ratio: float) -> float:
    """How far a ratio is from 1, up or down alike."""
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def _from_littles_law(
    load: Load, rounds: Sequence[RoundEvidence], thresholds: Thresholds
) -> Iterator[Objection]:
    balances = [one.balance for one in rounds if one.balance is not None]
    if len(balances) < len(rounds):
        yield Objection(ObjectionCode.CONCURRENCY_UNKNOWN)
    worst = max(balances, key=lambda one: one.deviation, default=None)
    if worst is None or worst.deviation <= thresholds.max_little_deviation:
        return
    if load.held is not None:
        yield Objection.of(
            ObjectionCode.USERS_UNACCOUNTED,
            counted=worst.counted,
            users=load.held.users,
            think_s=load.held.think_s,
        )
    else:
        yield Objection.of(
            ObjectionCode.REQUESTS_UNACCOUNTED, counted=worst.counted, expected=worst.expected
        )
