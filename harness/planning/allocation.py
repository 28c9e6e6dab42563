"""Which rounds follow the first ones: those of the questions that are known least.

What follows depends on the scatter of the pairs until then. That one stops when a scatter is small,
`moderation.FURTHER` makes up for. Where a ratio lies is looked at once only, beforehand: what is
decided at every look (`comparison.LOOKS`) needs no more.
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
        half_width: Half of its interval, as a logarithm, as far as it comes from scatter; None
            where its pairs say nothing.
        delay: What the driver's delay adds to that, which more pairs do not make less.
    """

    question: Question
    pairs: int
    half_width: float | None
    delay: float = 0.0

    def lack(self, more: int) -> float:
        """How many times too wide its interval is with so many more pairs.

        Infinite where it lacks even its first pairs, 0 where more rounds would not help.
        """
        pairs = self.pairs + more
        if pairs < self.question.pairs:
            return math.inf
        aim = self.question.half_width - self.delay
        if self.half_width is None or aim <= 0:
            return 0.0
        return self.half_width * math.sqrt(self.pairs / pairs) / aim


def further_blocks(
    known: Sequence[Known], round_s: Mapping[str, float], left_s: float, block_s: float = 0.0
) -> tuple[tuple[str, ...], ...]:
    """Spend the time that is left: what takes least to be known well enough comes first.

    What then remains goes where intervals are widest against what is aimed at.

    Args:
        known: The questions.
        round_s: By cell: seconds that a round of it takes.
        left_s: Seconds that may be spent.
        block_s: Seconds that a block takes beside its rounds.

    Returns:
        Blocks of names of cells, each at most once in a block.
    """
    spent = _Blocks((), 0.0)
    open_ = [one for one in known if one.question.is_extended and one.lack(0) > 1]
    while open_:
        ways = [_until_known(one, spent, round_s, block_s, left_s) for one in open_]
        cost_s, way = min(
            ((way.cost_s, way) for way in ways if way is not None),
            key=lambda one: one[0],
            default=(math.inf, None),
        )
        if way is None or cost_s > left_s:
            break
        spent = way
        open_ = [one for one in open_ if one.lack(spent.pairs_of(one)) > 1]
    while open_:
        widest = max(open_, key=lambda one: one.lack(spent.pairs_of(one)))
        way = spent.with_pair(widest.question, round_s, block_s)
        if way.cost_s > left_s:
            open_.remove(widest)
        else:
            spent = way
            open_ = [one for one in open_ if one.lack(spent.pairs_of(one)) > 1]
    return spent.blocks


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Blocks of cells, and the seconds they take."""

    blocks: tuple[tuple[str, ...], ...]
    cost_s: float

    def pairs_of(self, one: Known) -> int:
        """Pairs that a question gets in these blocks."""
        return sum(all(cell in block for cell in _cells(one.question)) for block in self.blocks)

    def with_pair(
        self, question: Question, round_s: Mapping[str, float], block_s: float
    ) -> _Blocks:
        """The same with one more pair of a question, where that costs least."""
        needed = _cells(question)
        options = [
            (sum(round_s[cell] for cell in needed if cell not in block), number)
            for number, block in enumerate(self.blocks)
            if not all(cell in block for cell in needed)
        ]
        alone_s = sum(round_s[cell] for cell in needed) + block_s
        cost_s, number = min([*options, (alone_s, len(self.blocks))])
        blocks = [*self.blocks, *([()] if number == len(self.blocks) else [])]
        blocks[number] = tuple(dict.fromkeys([*blocks[number], *needed]))
        return _Blocks(tuple(blocks), self.cost_s + cost_s)


def _until_known(
    one: Known, spent: _Blocks, round_s: Mapping[str, float], block_s: float, left_s: float
) -> _Blocks | None:
    """The blocks after which a question is known well enough; None if that takes too long."""
    while one.lack(spent.pairs_of(one)) > 1:
        spent = spent.with_pair(one.question, round_s, block_s)
        if spent.cost_s > left_s:
            return None
    return spent


def _cells(question: Question) -> tuple[str, str]:
    return question.base, question.other
