"""From what was seen of an event loop that stands still to what is to blame."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import dropwhile

from loopmark.harness.vocabulary.blocking import (
    GIL,
    Call,
    CellBlocking,
    Culprit,
    Frame,
    Kind,
    LoopTimeline,
    LostCoroutine,
    Occurrence,
    ProcessEvidence,
    ProcessFacts,
    StackSample,
    StoodStill,
    Stretch,
)

SHORTEST_NS = 35_000_000
"""A stretch that is shorter without what the host took of it is the host's."""

MOSTLY = 0.5
"""Share of a stretch that decides on its kind."""

BESIDE = 0.7
"""Share of a stretch for which a thread beside the loop must have stood still too for the GIL to
have been held; it wants to run every 20 ms, and gets the GIL from Python code within 5 ms."""

FUTEX = "futex"

STARTING = 3
"""Innermost frames of a thread that waits for one that it starts: two of the wait."""

FEWEST_CHANCES = 3
"""At one line, for it to be no chance: collections, which begin anywhere, and computing stretches
with a single stack, which may be of many short steps in a row."""

DEEPEST = 100
"""Frames of a stack that faulthandler tells."""

MOST_POINTS = 600
"""Of the picture of the lag over time."""

FEWEST_SIGHTINGS = 3
"""Of one line, for it to be accused where it was only seen asleep."""


ENDLESS_NS = 5_000_000_000
"""A loop that has not gone on for so long, and still stands when it is looked at last, hangs."""


def occurrences(evidence: ProcessEvidence) -> tuple[Occurrence, ...]:
    """Each time that the loop of a process stood still or was seen asleep, in time order."""
    facts = evidence.facts
    stood = [_of_stretch(stretch, facts) for stretch in evidence.stretches]
    asleep = [
        seen
        for sample in evidence.sightings
        if not _is_within(sample.at_ns, evidence.stretches)
        and (seen := _of_sighting(sample, facts)) is not None
    ]
    return tuple(sorted([*stood, *asleep], key=lambda one: one.at_ns))


def culprits(times: Iterable[Occurrence]) -> tuple[Culprit, ...]:
    """The lines that are to blame, the one that took most time first."""
    by_line: dict[tuple[str, int], list[Occurrence]] = defaultdict(list)
    for occurrence in times:
        blamed = occurrence.application or occurrence.place
        if blamed is not None and occurrence.kind is not Kind.HOST:
            by_line[blamed.file, blamed.line].append(occurrence)
    accused = [_culprit(same) for same in by_line.values() if _is_enough(same)]
    return tuple(sorted(accused, key=lambda culprit: culprit.total_ms, reverse=True))


def of_cell(rounds: Iterable[Sequence[ProcessEvidence]]) -> CellBlocking | None:
    """What blocks the loops of a cell's target; None where it was not watched.

    Args:
        rounds: Of each, what was seen of every process.
    """
    watched = [processes for processes in rounds if processes]
    if not watched:
        return None
    seen = [one for processes in watched for one in processes]
    times = [occurrence for one in seen for occurrence in occurrences(one)]
    stood = [one for one in times if not one.is_sighting]
    by_host = sum(one.kind is Kind.HOST for one in stood)
    lost = Counter[LostCoroutine]()
    for one in seen:
        for coroutine in one.facts.lost_coroutines:
            lost[replace(coroutine, times=0)] += coroutine.times
    last = {one.pid: one.facts for one in seen}
    threads = [facts.threads for facts in last.values() if facts.threads is not None]
    return CellBlocking(
        culprits=culprits(times),
        stretches=len(stood),
        standing_ms=sum(one.duration_ns for one in stood if one.kind is not Kind.HOST) / 1e6,
        by_host=by_host,
        lost_coroutines=tuple(replace(one, times=many) for one, many in lost.most_common()),
        threads=max(threads, key=lambda use: use.most_waiting, default=None),
        pools=tuple(pool for facts in last.values() for pool in facts.pools),
        timeline=_of_round(watched[0]),
    )


def _of_round(processes: Sequence[ProcessEvidence]) -> LoopTimeline:
    """The timeline of one round, from its first heartbeat on."""
    start_ns = min((one.lags[0][0] for one in processes if one.lags), default=0)
    return timeline(processes, [seen for one in processes for seen in occurrences(one)], start_ns)


def timeline(
    evidence: Sequence[ProcessEvidence], times: Iterable[Occurrence], start_ns: int
) -> LoopTimeline:
    """Loops over time, for a picture.

    Args:
        evidence: Of each process.
        times: What follows from it.
        start_ns: The beginning.
    """
    lags = sorted(lag for one in evidence for lag in one.lags)
    size = max(1, math.ceil(len(lags) / MOST_POINTS))
    parts = [lags[first : first + size] for first in range(0, len(lags), size)]
    return LoopTimeline(
        lags=tuple(
            ((part[0][0] - start_ns) / 1e9, max(lag_ns for _, lag_ns in part) / 1e6)
            for part in parts
        ),
        stood_still=tuple(
            StoodStill((one.at_ns - start_ns) / 1e9, one.duration_ns / 1e6, one.kind)
            for one in times
            if not one.is_sighting
        ),
    )


def _is_enough(same: Sequence[Occurrence]) -> bool:
    sightings = sum(occurrence.is_sighting for occurrence in same)
    return sightings < len(same) or sightings >= FEWEST_SIGHTINGS


def _culprit(same: Sequence[Occurrence]) -> Culprit:
    stretches = [occurrence for occurrence in same if not occurrence.is_sighting]
    kinds, places = Counter[Kind](), Counter[tuple[Frame | None, Frame | None]]()
    calls = Counter[Call | None]()
    for occurrence in same:
        kinds[occurrence.kind] += occurrence.duration_ns
        places[occurrence.place, occurrence.application] += occurrence.duration_ns
        calls[occurrence.call] += occurrence.duration_ns
    place, application = max(places, key=places.__getitem__)
    assert place is not None, "culprits have a line"
    return Culprit(
        kind=max(kinds, key=kinds.__getitem__),
        place=place,
        application=application,
        routes=tuple(sorted({one.route for one in same if one.route})),
        call=max(calls, key=calls.__getitem__),
        times=len(stretches),
        total_ms=sum(occurrence.duration_ns for occurrence in same) / 1e6,
        worst_ms=max((occurrence.duration_ns for occurrence in stretches), default=0) / 1e6,
        recurs=_recurs(same),
    )


def _recurs(same: Sequence[Occurrence]) -> bool:
    """Whether a line does it again and again, or for ever."""
    collections = Counter(one.place for one in same if one.kind is Kind.COLLECTION)
    times = len(same)
    if max(collections.values(), default=0) < FEWEST_CHANCES:
        times -= collections.total()
    by_one_stack = sum(one.by_one_stack for one in same)
    if by_one_stack < FEWEST_CHANCES:
        times -= by_one_stack
    return times > 1 or any(occurrence.is_endless for occurrence in same)


# ---- one stretch ----


def _of_stretch(stretch: Stretch, facts: ProcessFacts) -> Occurrence:
    kind = kind_of(stretch)
    if kind in {Kind.HOST, Kind.CONTENTION}:
        stacks = []
    elif kind is Kind.GIL_HOG:
        stacks = [(sample, sample.frames) for sample in stretch.others]
    else:
        stacks = [(sample, _steps(sample, facts)) for sample in stretch.samples]
    sample, steps = _guilty(stacks, facts)
    if kind is Kind.CALL and not steps and _waited_ns(stretch) >= MOSTLY * stretch.duration_ns:
        # It waited in its own code, as it takes up the next event: other threads had the GIL.
        kind = Kind.CONTENTION
    return Occurrence(
        at_ns=stretch.start_ns,
        duration_ns=stretch.duration_ns,
        kind=kind,
        place=steps[0] if steps else None,
        application=_application(steps, facts),
        route=_route(steps, facts),
        call=sample.call if sample is not None and kind is Kind.CALL else None,
        is_endless=not stretch.has_ended and stretch.duration_ns >= ENDLESS_NS,
        by_one_stack=kind is Kind.COMPUTING and len(stacks) == 1,
    )


def kind_of(stretch: Stretch) -> Kind:
    """Why a loop stood still.

    What the host took is subtracted first: a process beside it that computes makes a stretch
    longer, and a short step into a stretch.
    """
    if stretch.run_ns is None or stretch.queued_ns is None:
        return Kind.UNKNOWN
    own_ns = stretch.duration_ns - stretch.queued_ns - stretch.steal_ns
    if own_ns < SHORTEST_NS:
        return Kind.HOST
    if not stretch.samples:
        return Kind.UNKNOWN
    all_stood = stretch.beside_ns >= BESIDE * stretch.duration_ns
    if stretch.collecting_ns >= MOSTLY * own_ns:
        kind = Kind.COLLECTION
    elif stretch.run_ns >= MOSTLY * own_ns:
        kind = Kind.COMPUTING_GIL if all_stood else Kind.COMPUTING
    elif all_stood and _waited_ns(stretch) >= MOSTLY * stretch.duration_ns:
        # Who holds the GIL and does not run waits for a processor itself.
        kind = Kind.GIL_HOG if stretch.others else Kind.HOST
    elif _contended_ns(stretch) >= MOSTLY * stretch.duration_ns:
        kind = Kind.CONTENTION
    else:
        kind = Kind.CALL
    return kind


def _waited_ns(stretch: Stretch) -> int:
    """For how long the loop's thread waited for a lock, or was about to."""
    return sum(
        sample.weight_ns
        for sample in stretch.samples
        if sample.call is None or sample.call.name == FUTEX
    )


def _contended_ns(stretch: Stretch) -> int:
    """For how long the loop's thread waited for the GIL, at whichever line it was to go on.

    One that starts a thread waits until that has had the GIL.
    """
    return sum(
        sample.weight_ns
        for sample in stretch.samples
        if (sample.call is not None and sample.call.peer == GIL)
        or any(map(_starts_thread, sample.frames[:STARTING]))
    )


def _starts_thread(frame: Frame) -> bool:
    return frame.function == "start" and frame.file.endswith("/threading.py")


Stack = tuple[StackSample, tuple[Frame, ...]]
"""A sample, and its frames that are to be looked at, innermost first."""


def _guilty(
    stacks: Sequence[Stack], facts: ProcessFacts
) -> tuple[StackSample | None, tuple[Frame, ...]]:
    """The stack that shows the line where most of the time went; none if no line stands out.

    Where a loop does many short things in a row, few samples agree: nobody is accused.
    """
    weights = Counter[tuple[str, int]]()
    shown: dict[tuple[str, int], Stack] = {}
    for sample, steps in stacks:
        if steps:
            blamed = _application(steps, facts) or steps[0]
            line = blamed.file, blamed.line
            weights[line] += max(1, sample.weight_ns)
            # One that tells the call, if any does.
            if line not in shown or (shown[line][0].call is None and sample.call is not None):
                shown[line] = sample, steps
    if weights:
        line, weight = weights.most_common(1)[0]
        # Stacks of the loop's own code count too: there it waits for the GIL, or for the host.
        whole = sum(max(1, sample.weight_ns) for sample, _ in stacks)
        if weight >= MOSTLY * whole:
            return shown[line]
    return None, ()


def _steps(sample: StackSample, facts: ProcessFacts) -> tuple[Frame, ...]:
    """The frames of what the loop is running, innermost first; none where it is idle."""
    frames = tuple(dropwhile(lambda frame: _is_of_probe(frame, facts), sample.frames))
    for index in range(len(frames) - 1, -1, -1):
        if (frames[index].file, frames[index].function) == facts.runs_callbacks:
            return frames[:index]
    # Of deep stacks only the inner frames are told.
    return frames if len(sample.frames) >= DEEPEST else ()


def _is_of_probe(frame: Frame, facts: ProcessFacts) -> bool:
    """Whether it is the probe's own: it is called in the middle of what others do."""
    return bool(facts.probe) and frame.file.startswith(facts.probe)


def _application(steps: Sequence[Frame], facts: ProcessFacts) -> Frame | None:
    """The innermost line of the application itself."""
    return next((frame for frame in steps if not facts.is_of_library(frame)), None)


def _route(steps: Sequence[Frame], facts: ProcessFacts) -> str:
    """Path of the route whose function is among the frames; empty if none is."""
    return next((route.path for frame in steps for route in facts.routes if route.holds(frame)), "")


# ---- one sighting ----


def _is_within(at_ns: int, stretches: Iterable[Stretch]) -> bool:
    return any(stretch.start_ns <= at_ns <= stretch.end_ns for stretch in stretches)


def _of_sighting(sample: StackSample, facts: ProcessFacts) -> Occurrence | None:
    """A loop asleep in somebody else's call; None where it is its own wait for events."""
    steps = _steps(sample, facts)
    if not steps:
        return None
    return Occurrence(
        at_ns=sample.at_ns,
        duration_ns=sample.weight_ns,
        kind=Kind.CALL,
        place=steps[0],
        application=_application(steps, facts),
        route=_route(steps, facts),
        call=sample.call,
        is_sighting=True,
    )
