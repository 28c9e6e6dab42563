"""What makes event loops stand still, cell by cell: the lines to blame, worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from loopmark.harness.vocabulary.blocking import CellBlocking, Culprit, Frame
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import formatting

TITLE = "What blocks the event loop"
MOST_LINES = 5
"""Of each cell: what follows took little beside these."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line that blocks the event loop of a cell's target.

    Attributes:
        cell: Name of the cell.
        line: File, line and function.
        why: The kind, with what it waits for and where in a library.
        routes: Paths of the requests.
        times: How often, in words.
        total: Of all times.
        worst: The longest time.
        recurs: Whether it happened again and again.
    """

    cell: str
    line: str
    why: str
    routes: str
    times: str
    total: str
    worst: str
    recurs: bool


def rows(results: RunResults) -> tuple[Row, ...]:
    """The lines of all cells whose targets were watched."""
    return tuple(
        _row(cell.name, culprit)
        for cell, blocking in _watched(results)
        for culprit in blocking.culprits[:MOST_LINES]
    )


def sentences(results: RunResults) -> Sequence[str]:
    """What is to be known beside the lines; nothing where no target was watched."""
    watched = _watched(results)
    if not watched:
        return []
    blamed = {cell.name for cell, one in watched if any(line.recurs for line in one.culprits)}
    of_all = f"{formatting.many(len(blamed), 'cell')} of {len(watched)} watched ones"
    said = [f"{of_all} had a line that blocked the loop more than once."]
    if by_host := sum(one.by_host for _, one in watched):
        times = formatting.many(by_host, "time")
        said.append(f"The host took the processor from a loop {times}: no line is to blame for it.")
    said += [text for cell, one in watched for text in _waits(cell, one)]
    said += [text for cell, one in watched for text in _lost(cell, one)]
    return said


def _watched(results: RunResults) -> Sequence[tuple[CellResult, CellBlocking]]:
    return [(cell, cell.blocking) for cell in results.cells if cell.blocking is not None]


def _row(cell: str, culprit: Culprit) -> Row:
    blamed = culprit.application or culprit.place
    call = "" if culprit.call is None else f": {culprit.call.name}"
    peer = f", {culprit.call.peer}" if culprit.call is not None and culprit.call.peer else ""
    inner = "" if blamed == culprit.place else f", in {_place(culprit.place)}"
    return Row(
        cell=cell,
        line=_place(blamed),
        why=f"{culprit.kind.words}{call}{peer}{inner}",
        routes=", ".join(culprit.routes) or formatting.MISSING,
        times=formatting.count(culprit.times) if culprit.times else "often, short",
        total=formatting.milliseconds(culprit.total_ms),
        worst=formatting.milliseconds(culprit.worst_ms) if culprit.times else formatting.MISSING,
        recurs=culprit.recurs,
    )


def _place(frame: Frame) -> str:
    """The line with the folder that its file is in."""
    file = "/".join(PurePath(frame.file).parts[-2:])
    return f"{file}:{frame.line} {frame.function}"


def _waits(cell: CellResult, blocking: CellBlocking) -> Iterator[str]:
    threads = blocking.threads
    pool = max(blocking.pools, key=lambda one: one.most_waiting, default=None)
    for use, name in ((threads, "worker threads"), (pool, "pooled connections")):
        if use is not None and use.most_waiting:
            yield (
                f"{cell.name}: up to {formatting.many(use.most_waiting, 'request')} waited for one "
                f"of {use.limit:g} {name}."
            )


def _lost(cell: CellResult, blocking: CellBlocking) -> Iterator[str]:
    for lost in blocking.lost_coroutines:
        dropped = _place(Frame(lost.file, lost.line, lost.function))
        times = formatting.many(lost.times, "time")
        yield f"{cell.name}: {lost.coroutine} was not awaited {times}, dropped at {dropped}."
