"""The order of the rounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random
from typing import TypeVar

from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.question import Question

T = TypeVar("T")
Group = Sequence[Cell]


def interleave(
    cells: Sequence[Cell], questions: Iterable[Question], random: Random
) -> tuple[tuple[tuple[Cell, int], ...], ...]:
    """Order the rounds: blocks that hold each cell at most once, shuffled.

    A cell with fewer rounds than the most is measured in a random choice of the blocks, so that
    drift of the machine falls on all cells alike. Cells that will be compared share that choice as
    far as their rounds go, and follow each other within a block: their rounds are pairs.

    Args:
        cells: All of the run.
        questions: Which are compared beside those with the same scenario and load.
        random: Decides.

    Returns:
        Blocks of (cell, 0-based round of that cell).
    """
    count = max((cell.rounds for cell in cells), default=0)
    blocks: list[list[list[tuple[Cell, int]]]] = [[] for _ in range(count)]
    for group in compared(cells, questions):
        order = random.sample(range(count), count)
        rounds: dict[int, list[tuple[Cell, int]]] = {}
        for cell in group:
            for number, block in enumerate(sorted(order[: cell.rounds])):
                rounds.setdefault(block, []).append((cell, number))
        for block, of_group in rounds.items():
            blocks[block].append(of_group)
    return tuple(shuffled(block, random) for block in blocks)


def shuffled(groups: Iterable[Sequence[T]], random: Random) -> tuple[T, ...]:
    """The members of all groups, in random order, each group together."""
    mixed = [random.sample(group, len(group)) for group in groups]
    random.shuffle(mixed)
    return tuple(one for group in mixed for one in group)


def alike(cells: Iterable[Cell]) -> tuple[Group, ...]:
    """Cells in groups of one scenario under the same load."""
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.scenario, cell.load.label), []).append(cell)
    return tuple(map(tuple, groups.values()))


def compared(cells: Iterable[Cell], questions: Iterable[Question]) -> tuple[Group, ...]:
    """Cells in groups of those that are compared, directly or through others."""
    found = {cell.name: group for group in map(list, alike(cells)) for cell in group}
    for question in questions:
        if {question.base, question.other} <= found.keys():
            one, other = found[question.base], found[question.other]
            if one is not other:
                one += other
                found |= {cell.name: one for cell in other}
    return tuple({id(group): group for group in found.values()}.values())
