"""Which rounds are measured again: pairs during which others took the processors.

The choice looks at the conditions of the rounds and at their planned length only, never at what
they measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations

from loopmark.harness.planning.order import alike
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.question import Question

Pair = frozenset[str]
"""The names of two cells that are compared."""


def pairs_of(cells: Sequence[Cell], questions: Iterable[Question]) -> frozenset[Pair]:
    """The cells that are compared: those of a question, and others under the same load.

    A question that gets a single pair, because that takes long, gets no other.
    """
    asked = {frozenset({one.base, one.other}): one.is_extended for one in questions}
    in_question = frozenset[str]().union(*asked)
    return frozenset(pair for pair, is_repeated in asked.items() if is_repeated) | {
        frozenset({one.name, other.name})
        for group in alike(cell for cell in cells if cell.name not in in_question)
        for one, other in combinations(group, 2)
    }


def repeated(
    blocks: Iterable[Mapping[str, bool]],
    pairs: Collection[Pair],
    seconds: Callable[[str], float],
    reserve_s: float,
) -> tuple[tuple[str, ...], ...]:
    """Repeat disturbed pairs whole, as far as the reserve goes: the shortest first.

    Args:
        blocks: The measured ones. By cell: whether its round was disturbed.
        pairs: The cells that are compared.
        seconds: What a round of a cell is expected to take.
        reserve_s: Seconds that may be spent.

    Returns:
        Blocks of names of cells, each at most once in a block.
    """
    units = [unit for block in blocks for unit in _disturbed(block, pairs)]
    found: list[dict[str, None]] = []
    for cost_s, unit in sorted(
        ((sum(map(seconds, unit)), unit) for unit in units), key=lambda one: one[0]
    ):
        if cost_s > reserve_s:
            break
        reserve_s -= cost_s
        block = next((one for one in found if not one.keys() & set(unit)), None)
        if block is None:
            found.append(block := {})
        block |= dict.fromkeys(unit)
    return tuple(tuple(block) for block in found)


def _disturbed(block: Mapping[str, bool], pairs: Collection[Pair]) -> list[tuple[str, ...]]:
    """The cells of a block's disturbed pairs; those that share a cell together."""
    units: list[set[str]] = []
    for name in (name for name, was_disturbed in block.items() if was_disturbed):
        unit = {name}.union(*(pair for pair in pairs if name in pair)) & block.keys()
        apart = [one for one in units if not one & unit]
        units = [*apart, unit.union(*(one for one in units if one & unit))]
    return [tuple(name for name in block if name in unit) for unit in units]
