"""From what was seen of a probed application, and what was asked of it, to what is said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from loopmark.harness.analysis.blocking import culprits, occurrences, timeline
from loopmark.harness.vocabulary.blocking import (
    Culprit,
    Frame,
    HeldConnection,
    Kind,
    LostCoroutine,
    Occurrence,
    ProcessEvidence,
    ResourceUse,
)
from loopmark.harness.vocabulary.probe_result import (
    NOT_AWAITED,
    Asked,
    Finding,
    LagPercentiles,
    LostFinding,
    ProbeResult,
    Unblamed,
)
from loopmark.harness.vocabulary.route_request import (
    RouteAnswers,
    SkippedRoute,
    is_same_path,
)

UNAUTHORIZED = frozenset({401, 403})
GOOD = range(200, 400)

Code = Callable[[str, int], str]
"""The code of a line of a file; empty where it cannot be read."""


def result_of(  # noqa: PLR0913 - all of it is told of one probe
    evidence: Sequence[ProcessEvidence],
    answers: Sequence[RouteAnswers],
    *,
    origins: Sequence[LostCoroutine],
    held: Sequence[HeldConnection],
    skipped: Sequence[SkippedRoute],
    application: str,
    folder: str,
    users: int,
    authorization_from: str,
    allow: Sequence[str],
    code: Code,
) -> ProbeResult:
    """Say what a probe found.

    Args:
        evidence: Of each process.
        answers: Of each route, in time order.
        origins: Lost coroutines by the line that creates them, of a second pass.
        held: Connections still out after it, by the line that took them.
        skipped: Routes that were not asked.
        application: Its name.
        folder: That its files are shown relative to.
        users: How many asked at once.
        authorization_from: Name of the environment variable for the Authorization header.
        allow: What is accepted: `file:line`, a file, a function or a kind.
        code: Reads a line of code.
    """
    by_process = [
        tuple(_with_route(seen, answers) for seen in occurrences(one)) for one in evidence
    ]
    every = [seen for of_one in by_process for seen in of_one]
    recurring = {
        _key(culprit) for of_one in by_process for culprit in culprits(of_one) if culprit.recurs
    }
    findings = tuple(_finding(one, recurring, allow, code) for one in culprits(every))
    lost = _lost(evidence, origins, allow, code)
    statuses = {status for one in answers for status in one.statuses}
    start_ns = min((one.lags[0][0] for one in evidence if one.lags), default=0)
    facts = [one.facts for one in evidence]
    used = {one.allowed_by for one in findings} | {one.allowed_by for one in lost}
    return ProbeResult(
        application=application,
        folder=folder,
        python=facts[0].python if facts else "",
        loop=facts[0].loop if facts else "",
        processes=len(evidence),
        users=users,
        findings=findings,
        lost=lost,
        threads=max(
            (one.threads for one in facts if one.threads is not None), key=_wanted, default=None
        ),
        pools=tuple(pool for one in facts for pool in one.pools),
        held=tuple(held),
        lag_ms=_lag(evidence, answers),
        starved=_unblamed(one for one in every if one.kind is Kind.HOST),
        contended=_unblamed(one for one in every if one.kind is Kind.CONTENTION),
        unnamed=_unblamed(
            one
            for one in every
            if one.kind not in {Kind.HOST, Kind.CONTENTION} and one.place is None
        ),
        answers=tuple(answers),
        skipped=tuple(skipped),
        needs_authorization=bool(statuses) and statuses <= UNAUTHORIZED,
        authorization_from=authorization_from,
        allowed_in_vain=tuple(name for name in allow if name not in used),
        has_kinds=all(one.has_kinds for one in evidence),
        timeline=timeline(evidence, every, start_ns),
        asked=tuple(
            Asked(one.route, (one.start_ns - start_ns) / 1e9, (one.end_ns - start_ns) / 1e9)
            for one in answers
        ),
    )


def has_answered(answers: Iterable[RouteAnswers]) -> bool:
    """Whether anything was answered as it should be."""
    return any(status in GOOD for one in answers for status in one.statuses)


# ---- routes ----


def _with_route(seen: Occurrence, answers: Sequence[RouteAnswers]) -> Occurrence:
    """With method and path, if its path is known or only one route was being asked."""
    asked = _asked_at(seen.at_ns, answers)
    if not seen.route:
        return replace(seen, route=asked)
    routes = [one.route for one in answers if is_same_path(seen.route, one.route)]
    if not routes:
        return seen
    return replace(seen, route=asked if asked in routes else routes[0])


def _asked_at(at_ns: int, answers: Sequence[RouteAnswers]) -> str:
    """The route that was asked last; what it leaves behind may run on until the next."""
    for this, following in pairwise(answers):
        if this.start_ns <= at_ns < following.start_ns:
            return this.route
    return answers[-1].route if answers and answers[-1].start_ns <= at_ns else ""


# ---- findings ----


def _key(culprit: Culprit) -> tuple[str, int]:
    line = culprit.application or culprit.place
    return line.file, line.line


def _finding(
    culprit: Culprit, recurring: set[tuple[str, int]], allow: Sequence[str], code: Code
) -> Finding:
    frames = [culprit.place, *([culprit.application] if culprit.application else [])]
    return Finding(
        culprit=culprit,
        routes=culprit.routes,
        recurs=_key(culprit) in recurring,
        allowed_by=_allowed(allow, culprit.kind, frames),
        code=code(*_key(culprit)),
    )


def _lost(
    evidence: Sequence[ProcessEvidence],
    origins: Sequence[LostCoroutine],
    allow: Sequence[str],
    code: Code,
) -> tuple[LostFinding, ...]:
    """By the line where they were dropped, with where they were created."""
    rows: dict[tuple[str, str, int], LostCoroutine] = {}
    for row in (row for one in evidence for row in one.facts.lost_coroutines):
        key = row.coroutine, row.file, row.line
        times = row.times + (rows[key].times if key in rows else 0)
        rows[key] = replace(row, times=times)
    found = []
    for row in sorted(rows.values(), key=lambda row: row.times, reverse=True):
        same = [one for one in origins if one.coroutine == row.coroutine]
        # More than one line creates it: which of them is not known, but it may be the same.
        here = [one for one in same if (one.file, one.function) == (row.file, row.function)]
        first = (here or same)[:1]
        created = next((Frame(one.file, one.line, one.function) for one in first), None)
        dropped = Frame(row.file, row.line, row.function)
        lines = [dropped, *([created] if created else [])]
        shown = created or dropped
        found.append(
            LostFinding(
                row, created, _allowed(allow, NOT_AWAITED, lines), code(shown.file, shown.line)
            )
        )
    return tuple(found)


def _allowed(allow: Sequence[str], kind: str, frames: Sequence[Frame]) -> str:
    """The first name that accepts it."""
    return next((name for name in allow if _accepts(name, kind, frames)), "")


def _accepts(name: str, kind: str, frames: Sequence[Frame]) -> bool:
    file, _, line = name.rpartition(":")
    for frame in frames:
        path = f"/{frame.file.lstrip('/')}"
        if name == frame.function or path.endswith(f"/{name.lstrip('/')}"):
            return True
        if line == str(frame.line) and path.endswith(f"/{file.lstrip('/')}"):
            return True
    return name == kind


# ---- figures ----


def _wanted(use: ResourceUse) -> tuple[int, int]:
    return use.most_waiting, use.most_used


def _unblamed(seen: Iterable[Occurrence]) -> Unblamed:
    durations = [one.duration_ns for one in seen if not one.is_sighting]
    return Unblamed(len(durations), sum(durations) / 1e6)


def _lag(
    evidence: Sequence[ProcessEvidence], answers: Sequence[RouteAnswers]
) -> LagPercentiles | None:
    if not answers:
        return None
    start_ns, end_ns = answers[0].start_ns, answers[-1].end_ns
    lags = sorted(
        lag_ns / 1e6
        for one in evidence
        for at_ns, lag_ns in one.lags
        if start_ns <= at_ns <= end_ns
    )
    if not lags:
        return None

    def percentile(share: float) -> float:
        return lags[max(0, math.ceil(share * len(lags)) - 1)]  # The nearest rank.

    return LagPercentiles(percentile(0.5), percentile(0.99), lags[-1])
