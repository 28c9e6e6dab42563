"""Which rounds follow the first ones: those of the questions that are known least.

The number of pairs depends on the scatter of the first pairs alone, not on where a ratio lies:
intervals keep their coverage (Stein 1945, doi 10.1214/aoms/1177731088).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.question import Question


@dataclass(frozen=True, slots=True)
class Known:
    """How well a question's ratio is known.

    Attributes:
        question: The question.
        pairs: Pairs of rounds it has.
        half_width: Half of its interval, as a logarithm; None where its pairs say nothing.
    """

    question: Question
    pairs: int
    half_width: float | None

    def lack(self, more: int) -> float:
        """How many times too wide its interval is with so many more pairs.

        Infinite where it lacks even its first pairs, 0 where more rounds would not help.
        """
        pairs = self.pairs + more
        if pairs < self.question.pairs:
            return math.inf
        if self.half_width is None:
            return 0.0
        return self.half_width * math.sqrt(self.pairs / pairs) / self.question.half_width


def further_blocks(
    known: Sequence[Known], round_s: Mapping[str, float], left_s: float, block_s: float = 0.0
) -> tuple[tuple[str, ...], ...]:
    """Spend the time that is left where intervals are widest against what is aimed at.

    Args:
        known: The questions.
        round_s: By cell: seconds that a round of it takes.
        left_s: Seconds that may be spent.
        block_s: Seconds that a block takes beside its rounds.

    Returns:
        Blocks of names of cells, each at most once in a block.
    """
    blocks: list[dict[str, None]] = []
    while True:
        lacks = [one.lack(_shared(one, blocks)) for one in known]
        for index in sorted(range(len(known)), key=lambda n: -lacks[n]):
            if lacks[index] <= 1:
                return tuple(tuple(block) for block in blocks)
            block, cost_s = _cheapest(known[index].question, blocks, round_s, block_s)
            if cost_s <= left_s:
                left_s -= cost_s
                if block == len(blocks):
                    blocks.append({})
                blocks[block] |= dict.fromkeys(_cells(known[index].question))
                break
        else:
            return tuple(tuple(block) for block in blocks)


def _cheapest(
    question: Question,
    blocks: Sequence[Mapping[str, None]],
    round_s: Mapping[str, float],
    block_s: float,
) -> tuple[int, float]:
    """The block in which one more pair costs least, perhaps a new one, and what it costs there."""
    costs = [
        (sum(round_s[cell] for cell in _cells(question) if cell not in block), number)
        for number, block in enumerate(blocks)
        if not all(cell in block for cell in _cells(question))
    ]
    new = sum(round_s[cell] for cell in _cells(question)) + block_s, len(blocks)
    cost_s, number = min([*costs, new])
    return number, cost_s


def _shared(one: Known, blocks: Sequence[Mapping[str, None]]) -> int:
    """Pairs that a question gets in these blocks."""
    return sum(all(cell in block for cell in _cells(one.question)) for block in blocks)


def _cells(question: Question) -> tuple[str, str]:
    return question.base, question.other
