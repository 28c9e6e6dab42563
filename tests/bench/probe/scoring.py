"""How often a tool is right: trials against the marks in the source of the corpus. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from tests.bench.probe.guilty import GuiltyLine
from tests.bench.probe.kinds import HOST_STARVED
from tests.bench.probe.trial import Accusation, Block, Trial

LATE_NS = 100_000_000
"""A tool that reports when the loop runs again may take so long after the block; the pause between
blocks is three times that."""


@dataclass(frozen=True, slots=True)
class Score:
    """Counts, of one trial or of several.

    Attributes:
        blocks: Blocks that somebody is guilty of.
        seen: Those with an accusation that overlaps.
        right_line: Those whose heaviest accusation names a guilty line.
        right_kind: Those whose heaviest accusation has the kind; None for a tool without kinds.
        strays: Accusations that overlap no block of theirs.
        innocent: Requests of which nobody is guilty.
        false: Accusations made while these were asked.
    """

    blocks: int = 0
    seen: int = 0
    right_line: int = 0
    right_kind: int | None = None
    strays: int = 0
    innocent: int = 0
    false: int = 0


def score(trial: Trial, guilty: Iterable[GuiltyLine]) -> Score:
    """Compare what was said with what was done.

    To say that the host was starved accuses nobody, so it is no accusation here.
    """
    lines = [line for line in guilty if line.entry == trial.entry]
    accusations = [one for one in trial.accusations if HOST_STARVED not in one.kinds]
    if not lines:
        return Score(innocent=len(trial.blocks), false=len(accusations))
    heaviest = [_heaviest(_of(block, accusations)) for block in trial.blocks]
    blamed = [accusation for accusation in heaviest if accusation is not None]
    says_kinds = any(accusation.kinds for accusation in blamed)
    return Score(
        blocks=len(trial.blocks),
        seen=len(blamed),
        right_line=sum(_names_one_of(lines, accusation) for accusation in blamed),
        right_kind=sum(
            any(line.kind in accusation.kinds for line in lines) for accusation in blamed
        )
        if says_kinds
        else None,
        strays=sum(
            not any(_overlap(accusation, block) for block in trial.blocks)
            for accusation in accusations
        ),
    )


def total(scores: Sequence[Score]) -> Score:
    """The sum of several; its kinds count where the tool says kinds at all."""
    kinds = [one.right_kind for one in scores if one.right_kind is not None]
    return Score(
        blocks=sum(one.blocks for one in scores),
        seen=sum(one.seen for one in scores),
        right_line=sum(one.right_line for one in scores),
        right_kind=sum(kinds) if kinds else None,
        strays=sum(one.strays for one in scores),
        innocent=sum(one.innocent for one in scores),
        false=sum(one.false for one in scores),
    )


def _of(block: Block, accusations: Sequence[Accusation]) -> list[Accusation]:
    return [accusation for accusation in accusations if _overlap(accusation, block)]


def _overlap(accusation: Accusation, block: Block) -> bool:
    return accusation.began_ns <= block.ended_ns + LATE_NS and accusation.ended_ns >= block.began_ns


def _heaviest(accusations: Sequence[Accusation]) -> Accusation | None:
    """Of the line that was accused longest, or as long but earlier."""
    weights: dict[tuple[str, int], int] = defaultdict(int)
    for accusation in accusations:
        # A tool that knows no durations accuses for a moment each time.
        weights[accusation.file, accusation.line] += accusation.ended_ns - accusation.began_ns + 1
    return max(accusations, key=lambda one: weights[one.file, one.line], default=None)


def _names_one_of(lines: Sequence[GuiltyLine], accusation: Accusation) -> bool:
    name = PurePath(accusation.file).name
    return any((line.file, line.line) == (name, accusation.line) for line in lines)
