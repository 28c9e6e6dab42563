"""The mistakes that targets declare: what is wrong, how it has shown, and what to do instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from loopmark.harness.vocabulary.fault import CellFinding, Showing, Symptom
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import formatting, loop_picture, wording
from loopmark.reports.loop_picture import LagPicture

TITLE = "Pitfalls"

SHOWING: Mapping[Showing, str] = MappingProxyType(
    {"shown": "shown", "not-shown": "not shown", "unclear": "inconclusive"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """One declared mistake.

    Attributes:
        target: Its target.
        mistake: What is wrong.
        showing: Whether it has shown.
        load: Of the cell that says so.
        symptom: The effect there, or why there is none.
        cure: What to write instead.
        cells: By load, what every cell says.
        line: All of it in a few words.
    """

    target: str
    mistake: str
    showing: Showing
    load: str
    symptom: str
    cure: str
    cells: tuple[tuple[str, CellFinding], ...]
    line: str


def rows(results: RunResults) -> tuple[Row, ...]:
    """The declared mistakes of a run, in the order of its targets."""
    loads = {cell.name: cell.load for cell in results.cells}
    found = []
    for one in results.faults:
        main = one.main
        load = wording.at_once(loads[main.cell])
        said = main.short or f"{SHOWING[main.showing]}: {main.sentence}"
        found.append(
            Row(
                target=one.target,
                mistake=one.fault.mistake,
                showing=one.showing,
                load=load,
                symptom=main.sentence,
                cure=one.fault.cure,
                cells=tuple((wording.at_once(loads[cell.cell]), cell) for cell in one.cells),
                line=f"{one.target}, {load}: {said}",
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Pictures:
    """The loop of a target with a blocking mistake, and that of its twin, on one scale.

    Attributes:
        title: What they show.
        drawn: With the name of each target; the twin last.
    """

    title: str
    drawn: tuple[tuple[str, LagPicture], ...]


def pictures(results: RunResults) -> Iterator[Pictures]:
    """For each blocking mistake that has shown, of the cell that is shown first."""
    cells = {cell.name: cell for cell in results.cells}
    for one in results.faults:
        if one.fault.symptom is not Symptom.BLOCKS_LOOP or one.showing != "shown":
            continue
        both = [cells[name] for name in (one.main.cell, one.main.beside) if name in cells]
        timelines = [(cell.target, cell.blocking.timeline) for cell in both if cell.blocking]
        highest = max((loop_picture.highest_ms(timeline) for _, timeline in timelines), default=0.0)
        drawn = [
            (target, picture)
            for target, timeline in timelines
            if (picture := loop_picture.drawn(timeline, highest=highest)) is not None
        ]
        if drawn:
            load = wording.at_once(cells[one.main.cell].load)
            yield Pictures(f"The event loop of {one.target}, {load}, and of its twin", tuple(drawn))


def summary(found: Sequence[Row]) -> str:
    """How many of the mistakes have shown, in a sentence without its full stop."""
    shown = sum(row.showing == "shown" for row in found)
    said = f"{shown} of {formatting.many(len(found), 'documented mistake')} showed"
    others = [
        f"{row.target} {'did not' if row.showing == 'not-shown' else 'is inconclusive'}"
        for row in found
        if row.showing != "shown"
    ]
    return f"{said}; {formatting.listed(others)}" if others else said
