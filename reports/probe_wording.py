"""What a probe found, in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import PurePath

from loopmark.harness.vocabulary.blocking import Frame, Kind
from loopmark.harness.vocabulary.probe_result import Finding, LostFinding, ProbeResult, Unblamed
from loopmark.harness.vocabulary.route_request import RouteAnswers
from loopmark.reports import formatting

GOOD = range(200, 400)
_SECOND_MS = 1000.0
_MOST_CODE = 48
_MOST_ROUTES = 2
_INSTALLED = ("site-packages", "dist-packages")
_STANDARD_LIBRARY = re.compile(r"^.*/lib(?:64)?/python3\.\d+t?/")


def time(ms: float) -> str:
    """`0.31 ms`, `412 ms`, `4.9 s`."""
    if ms >= _SECOND_MS:
        return f"{ms / _SECOND_MS:,.1f} s"
    return f"{ms:.0f} ms" if ms >= 10 else f"{formatting.number(ms)} ms"  # noqa: PLR2004 - two digits


def file(path: str, folder: str) -> str:
    """A file relative to the folder; one of a library, relative to where libraries are."""
    pure = PurePath(path)
    for name in _INSTALLED:
        if name in pure.parts:
            after = len(pure.parts) - pure.parts[::-1].index(name)
            return str(PurePath(*pure.parts[after:]))
    if is_inside(path, folder):
        return str(pure.relative_to(folder))
    return _STANDARD_LIBRARY.sub("", path)


def is_inside(path: str, folder: str) -> bool:
    """Whether a file is of the folder itself, and not of a package that is installed in it."""
    pure = PurePath(path)
    return pure.is_relative_to(folder) and not any(name in pure.parts for name in _INSTALLED)


def place(frame: Frame, folder: str) -> str:
    """`shop/orders.py:31`."""
    return f"{file(frame.file, folder)}:{frame.line}"


def code(text: str) -> str:
    """A line of code, shortened."""
    return text if len(text) <= _MOST_CODE else f"{text[: _MOST_CODE - 1]}…"


def why(finding: Finding, folder: str) -> str:
    """The kind, its call and peer, and where in a library: `blocking call: recvfrom from …`."""
    culprit = finding.culprit
    words = culprit.kind.words
    if culprit.call is not None and culprit.call.name:
        words += f": {culprit.call.name}"
        words += f", {culprit.call.peer}" if culprit.call.peer else ""
    if culprit.application is not None and culprit.place != culprit.application:
        inner = culprit.place
        words += f", in {place(inner, folder)} {inner.function}"
    return words


def routes(named: Sequence[str]) -> str:
    """The first few, and how many there are beside."""
    if len(named) <= _MOST_ROUTES:
        return ", ".join(named)
    return f"{named[0]} and {len(named) - 1} others"


def times(finding: Finding) -> str:
    """How often; lines that were only seen asleep have no count."""
    return str(finding.culprit.times) if finding.culprit.times else "often"


def worst(finding: Finding) -> str:
    """The longest stretch."""
    return time(finding.culprit.worst_ms) if finding.culprit.times else "short"


def head(result: ProbeResult) -> str:
    """The effect in a sentence."""
    blocking, lost = result.blocking, result.unawaited
    parts = []
    if blocking:
        most = max(blocking, key=lambda one: one.culprit.worst_ms)
        number = "1 line blocks" if len(blocking) == 1 else f"{len(blocking)} lines block"
        parts.append(
            f"{number} the event loop of {result.application}; worst: "
            f"{place(most.line, result.folder)} ({code(most.code) or most.line.function}), "
            f"{worst(most)}"
        )
    if lost:
        of = "" if blocking else f" by {result.application}"
        number = "1 coroutine is" if len(lost) == 1 else f"{len(lost)} coroutines are"
        where = place(lost[0].line, result.folder)
        parts.append(f"{number} never awaited{of}: {lost[0].lost.coroutine}, {where}")
    if parts:
        return "; ".join(parts)
    lag = f"; its highest lag was {time(result.lag_ms.max)}" if result.lag_ms else ""
    return f"No line blocks the event loop of {result.application} again and again{lag}"


def lost(one: LostFinding, folder: str) -> str:
    """What became of it."""
    dropped = Frame(one.lost.file, one.lost.line, one.lost.function)
    if one.created is None or dropped == one.created:
        return f"{one.lost.coroutine} is not awaited"
    return f"{one.lost.coroutine} is not awaited; dropped in {place(dropped, folder)}"


def notes(result: ProbeResult) -> Iterator[str]:
    """What is to be known beside the lines, in sentences."""
    if result.needs_authorization:
        statuses = sorted({status for one in result.answers for status in one.statuses})
        yield (
            f"{' or '.join(map(str, statuses))} everywhere: set {result.authorization_from} to its "
            "Authorization header."
        )
    yield from _waits(result)
    if result.lag_ms is not None:
        lag = result.lag_ms
        yield (
            f"Event-loop lag: p50 {time(lag.p50)}, p99 {time(lag.p99)}, max {time(lag.max)}, of a "
            "heartbeat each 20 ms."
        )
    collected = [one.culprit for one in result.findings if one.culprit.kind is Kind.COLLECTION]
    if len(collected) > 1:
        sums = Unblamed(sum(one.times for one in collected), sum(one.total_ms for one in collected))
        yield (
            f"Garbage collection stopped it {_often(sums)}, at whichever line was running: "
            "gc.freeze() after the start makes collections shorter, a higher threshold rarer."
        )
    if result.starved.times:
        yield f"The host took the processor away {_often(result.starved)}: no line is to blame."
    if result.contended.times:
        often = _often(result.contended)
        yield f"Threads competed for the GIL {often}: the loop waited for its turn."
    if result.unnamed.times:
        yield f"It stood still {_often(result.unnamed)} without one line that took most of it."
    if not result.has_kinds:
        yield "This system does not tell what threads do, so kinds are not known."
    for one in result.allowed:
        yield f"Allowed by {one.allowed_by}: {place(one.line, result.folder)}."
    for name in result.allowed_in_vain:
        yield f"Allowed, and not seen: {name}."


def _often(one: Unblamed) -> str:
    number = "once" if one.times == 1 else f"{one.times} times"
    return f"{number} ({time(one.total_ms)})"


def _waits(result: ProbeResult) -> Iterator[str]:
    """Threads and pools side by side, where anyone waited, and connections that are not back."""
    threads = result.threads
    pool = max(result.pools, key=lambda one: (one.most_waiting, one.most_used), default=None)
    waits = [
        f"{use.most_waiting} for one of {use.limit:g} {name}"
        for use, name in ((threads, "worker threads"), (pool, "pooled connections"))
        if use is not None and use.most_waiting
    ]
    if waits:
        yield f"Requests waited: at most {' and '.join(waits)}, at once."
        if threads is not None and pool is not None:
            decides = "pool" if pool.limit <= threads.limit else "thread limit"
            yield (
                f"{threads.limit:g} threads against {pool.limit:g} connections: the {decides} "
                "decides."
            )
    if used := sum(one.used for one in result.pools):
        limit = sum(one.limit for one in result.pools)
        taken = "; ".join(
            f"{one.times} taken at {place(Frame(one.file, one.line, one.function), result.folder)}"
            for one in result.held
        )
        by = f": {taken}" if taken else ""
        yield f"{used} of {limit:g} connections are still checked out at the end{by}."


def asked(result: ProbeResult) -> str:
    """Routes, requests and statuses, in a sentence."""
    named = [one for one in result.answers if one.route]
    statuses, errors = Counter[int](), Counter[str]()
    for one in result.answers:
        statuses.update(one.statuses)
        errors.update(one.errors)
    outcomes = [f"{times:,} x {status}" for status, times in sorted(statuses.items())]
    outcomes += [f"{times:,} {kind}" for kind, times in sorted(errors.items())]
    number = "1 route" if len(named) == 1 else f"{len(named)} routes"
    users = "1 user" if result.users == 1 else f"{result.users} users"
    requests = sum(one.requests for one in result.answers)
    return f"{number}, {requests:,} requests by {users}: {', '.join(outcomes)}."


def untested(result: ProbeResult) -> Iterator[str]:
    """Routes that never answered as they should, and routes that were not asked, by reason."""
    failed = [one for one in result.answers if one.route and not _is_good(one)]
    for outcome, same in groupby(sorted(failed, key=_outcome), key=_outcome):
        yield f"{routes([one.route for one in same])}: only {outcome}."
    by_reason: dict[str, list[str]] = {}
    for skipped in result.skipped:
        by_reason.setdefault(skipped.reason, []).append(skipped.route)
    for reason, named in by_reason.items():
        yield f"Not asked: {routes(named)}: {reason}."


def _is_good(one: RouteAnswers) -> bool:
    return any(status in GOOD for status in one.statuses)


def _outcome(one: RouteAnswers) -> str:
    return ", ".join(map(str, [*one.statuses, *one.errors]))


RULES = {
    Kind.CALL: "A blocking call on the event loop",
    Kind.COMPUTING: "Computing on the event loop",
    Kind.COMPUTING_GIL: "Computing on the event loop with the GIL held",
    Kind.GIL_HOG: "Another thread holds the GIL and so stops the event loop",
    Kind.COLLECTION: "Garbage collection stops the event loop",
    Kind.CONTENTION: "Threads compete for the GIL and so stop the event loop",
    Kind.UNKNOWN: "The event loop stands still",
}
"""By kind: the finding in general."""
