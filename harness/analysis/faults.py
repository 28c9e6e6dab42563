"""Whether the faults that targets declare have shown, cell by cell, beside their twins."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from loopmark.harness.vocabulary.cell import ValidityState
from loopmark.harness.vocabulary.fault import CellFinding, Fault, FaultFinding, Showing, Symptom
from loopmark.harness.vocabulary.figures import AuditResult
from loopmark.harness.vocabulary.record import RunRecord
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.scenario import AuditKind

INNOCENT = "innocent"
"""The step of requests that ask for next to nothing beside those of the fault."""

BLOCKED = 2.0
"""Ratio of latencies from which on a loop counts as blocked."""


class _Said(NamedTuple):
    """Whether it shows, the sentence, and where it shows the same in a few words."""

    showing: Showing
    sentence: str
    short: str = ""


def findings(
    run: RunRecord, cells: Sequence[CellResult], warnings: Mapping[str, Sequence[str]]
) -> tuple[FaultFinding, ...]:
    """What the cells of a run show of the faults that its targets declare.

    Args:
        run: The run.
        cells: All of its cells.
        warnings: By cell: Python's warnings of coroutines that were never awaited.
    """
    return tuple(
        FaultFinding(target.name, target.fault, tuple(of_target))
        for target in run.targets
        if target.fault is not None
        and (of_target := list(_of_target(target.name, target.fault, run, cells, warnings)))
    )


def _of_target(
    name: str,
    fault: Fault,
    run: RunRecord,
    cells: Sequence[CellResult],
    warnings: Mapping[str, Sequence[str]],
) -> Iterator[CellFinding]:
    twins = {target.name for target in run.targets if target.variant == fault.twin}
    for cell in cells:
        if cell.target != name:
            continue
        twin = next((one for one in cells if one.target in twins and _is_like(one, cell)), None)
        beside = "" if twin is None else twin.name
        said = _of_cell(fault, cell, twin, warnings)
        yield CellFinding(cell.name, said.showing, said.sentence, said.short, beside)


def _is_like(one: CellResult, other: CellResult) -> bool:
    """Whether two cells differ in nothing but their targets."""
    return (one.scenario, one.driver, one.load.label) == (
        other.scenario,
        other.driver,
        other.load.label,
    )


def _of_cell(
    fault: Fault,
    cell: CellResult,
    twin: CellResult | None,
    warnings: Mapping[str, Sequence[str]],
) -> _Said:
    if not cell.rounds:
        return _Said("unclear", "no round was measured to its end")
    if fault.symptom is Symptom.WRONG_ANSWERS:
        return _wrong_answers(cell, warnings.get(cell.name, ()))
    return _JUDGES[fault.symptom](cell, twin)


# ---- blocked loops ----


def _blocks_loop(cell: CellResult, twin: CellResult | None) -> _Said:
    """Compare the innocent requests of both.

    Bursts of throughput do not forbid it, nor do requests that time out: that is what a loop that
    stands still does.
    """
    if twin is None:
        return _Said("unclear", "the plan has no cell of its twin with this scenario and load")
    p50, twin_p50 = _innocent_p50(cell), _innocent_p50(twin)
    late = set(cell.error_kinds) == {ErrorKind.TIMEOUT}
    why = _unusable(cell, *([ValidityState.ERRORS] if late else [])) or _unusable(twin)
    if why or p50 is None or twin_p50 is None:
        return _Said("unclear", why)
    times = p50 / twin_p50
    took = (
        f"its innocent requests took {_times(times)} as long as beside {twin.target} "
        f"(p50 {_ms(p50)} against {_ms(twin_p50)})"
    )
    if times >= BLOCKED:
        lost = f"; {cell.error_kinds[ErrorKind.TIMEOUT]:,} requests timed out" if late else ""
        line = f"; the probe names {named}" if (named := _line(cell)) else ""
        return _Said("shown", took + lost + line, f"innocent requests take {_times(times)} as long")
    if disturbed := [one.target for one in (cell, twin) if _is_disturbed(one)]:
        who = " and ".join(disturbed)
        return _Said("unclear", f"others took the processors of {who}; {took}")
    return _Said("not-shown", took)


def _line(cell: CellResult) -> str:
    """The line that blocked its loop most; empty where none did, or it was not watched."""
    recurring = (
        [] if cell.blocking is None else [one for one in cell.blocking.culprits if one.recurs]
    )
    if not recurring:
        return ""
    worst = recurring[0]
    blamed = worst.application or worst.place
    call = "" if worst.call is None else f", {worst.call.name}"
    return f"{blamed.file.rpartition('/')[2]}:{blamed.line} ({worst.kind.words}{call})"


_FORBIDDING = frozenset(
    {
        ValidityState.INTERRUPTED,
        ValidityState.TARGET_DIED,
        ValidityState.WRONG_ANSWERS,
        ValidityState.DRIVER_LIMITED,
        ValidityState.ERRORS,
    }
)


def _unusable(cell: CellResult, *despite: ValidityState) -> str:
    """Why its innocent requests prove nothing; empty if they do."""
    against = [one for one in cell.validity.states if one in _FORBIDDING and one not in despite]
    if not cell.rounds:
        why = "no round was measured to its end"
    elif against:
        why = f"its cell is invalid ({against[0]})"
    elif _innocent_p50(cell) is None:
        why = "too few innocent requests were answered for a median"
    else:
        return ""
    return f"{cell.target}: {why}"


def _is_disturbed(cell: CellResult) -> bool:
    """Whether others took the processors during any round: that alone makes innocents wait."""
    rounds = cell.figures_despite(cell.validity).per_round
    return any(one.disturbed for one in rounds if one.counts)


def _innocent_p50(cell: CellResult) -> float | None:
    """Median of the latency of innocent requests, in milliseconds."""
    steps = cell.figures_despite(cell.validity).steps
    return next((one.latency_ms.p50 for one in steps if one.step == INNOCENT), None)


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 9.95 else f"{ratio:.0f} times"  # noqa: PLR2004 - to two digits


def _ms(value: float) -> str:
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"  # noqa: PLR2004


# ---- answers and rows ----


_ANSWERED = (ErrorKind.SERVER_ERROR, *sorted(ErrorKind.WRONG))
"""Kinds of failures that are responses."""


def _wrong_answers(cell: CellResult, warnings: Sequence[str]) -> _Said:
    requests = cell.figures_despite(cell.validity).requests
    if not cell.error_kinds:
        return _Said("not-shown", f"all of its {requests:,} responses were right")
    failed = sum(many for kind, many in cell.error_kinds.items() if kind in _ANSWERED)
    if not failed:
        return _Said("unclear", "no response was wrong, but requests failed otherwise")
    examples = [one for kind in _ANSWERED for one in cell.error_examples.get(kind, ())]
    example = examples[0] if examples else "without an example"
    sentence = f"refused, its figures do not count: {failed:,} responses were wrong, {example}"
    lost = () if cell.blocking is None else cell.blocking.lost_coroutines
    if lost:
        counted = f"the probe counted {lost[0].times:,} of {lost[0].coroutine}"
        warnings = (*warnings[:1], counted)
    warned = "; ".join(warnings[:2]) if warnings else "its output has no warning of it"
    return _Said("shown", f"{sentence}; {warned}", f"{failed:,} responses wrong, refused")


def _loses_writes(cell: CellResult, twin: CellResult | None) -> _Said:
    durable = _audits(cell, "durable")
    if not durable:
        return _Said("unclear", "this scenario has no audit of what was acknowledged")
    lost = [one for one in durable if not one.ok and one.found < one.acknowledged]
    said = [
        f"{one.acknowledged - one.found:,} of {one.acknowledged:,} acknowledged {one.what} are "
        "not in the database"
        for one in lost
    ]
    if not said:
        acknowledged = sum(one.acknowledged for one in durable)
        if not acknowledged:
            return _Said("unclear", "no write was acknowledged")
        return _Said("not-shown", f"all {acknowledged:,} acknowledged rows are in the database")
    rows = sum(one.acknowledged - one.found for one in lost)
    clean = _clean(twin, "durable", "lost")
    said += [*_connections(cell), *clean]
    return _Said("shown", "; ".join(said), f"{rows:,} acknowledged rows are not in the database")


def _half_applies(cell: CellResult, twin: CellResult | None) -> _Said:
    halves = _audits(cell, "half-applied")
    if not halves:
        return _Said("unclear", "this scenario has no change that could be half-applied")
    said = [f"{one.what}: {one.found:,}" for one in halves if one.found > 0]
    if not said:
        if not _has_refused(cell):
            return _Said("unclear", "no request failed in the middle")
        return _Said("not-shown", "nothing is half-applied")
    clean = _clean(twin, "half-applied", "half-applied")
    changes = sum(one.found for one in halves)
    said += [*_connections(cell), *clean]
    return _Said("shown", "; ".join(said), f"half-applied changes: {changes:,}")


def _has_refused(cell: CellResult) -> bool:
    """Whether any request was refused as it should be, after half of its work."""
    steps = cell.figures_despite(cell.validity).steps
    return any(one.step.endswith("-taken") and one.requests for one in steps)


def _audits(cell: CellResult, kind: AuditKind) -> list[AuditResult]:
    return [one for one in cell.audits if one.kind == kind]


def _connections(cell: CellResult) -> Iterator[str]:
    """What came of its connections."""
    for one in (*_audits(cell, "idle-in-transaction"), *_audits(cell, "leaked")):
        if one.found:
            yield f"{one.what}: {one.found:,}"
    if failed := sum(cell.error_kinds.values()):
        yield f"{failed:,} requests failed"


def _clean(twin: CellResult | None, kind: AuditKind, word: str) -> Iterator[str]:
    """What its twin has of it, under the same load."""
    if twin is None or not (audits := _audits(twin, kind)):
        return
    wrong = sum(abs(one.found - one.acknowledged) for one in audits if not one.ok)
    yield f"{twin.target} under the same load: {wrong:,} {word}"


_JUDGES: Mapping[Symptom, Callable[[CellResult, CellResult | None], _Said]] = {
    Symptom.BLOCKS_LOOP: _blocks_loop,
    Symptom.LOSES_WRITES: _loses_writes,
    Symptom.HALF_APPLIES: _half_applies,
}
