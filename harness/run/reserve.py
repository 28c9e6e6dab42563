"""The time that disturbed rounds may take again, and what of it was used."""

from __future__ import annotations

import time
from collections.abc import Callable

from loopmark.harness.planning.plan import BLOCK_S, ROUND_S, expected_seconds
from loopmark.harness.planning.repeats import pairs_of, repeated
from loopmark.harness.run.request import RunRequest
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.thresholds import SHIPPED

CLOSING_S = 8.0
"""Seconds of a run's time that are left for stopping processes, the analysis and the report."""

HOPELESS = 0.5
"""If a larger share of all rounds was disturbed, most repeats would be as well."""


class Reserve:
    """Remembers which rounds were disturbed, until they are due again.

    Args:
        request: The run.
        started: When it was begun.
        clock: Tells the time in seconds.
    """

    def __init__(
        self, request: RunRequest, started: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        planned_s = _planned_s(request)
        self._cells = {cell.name: cell for cell in request.cells}
        self._pairs = pairs_of(request.cells, request.questions)
        self._clock = clock
        self._whole_s = whole_reserve_s(request)
        self._used_s = 0.0
        self._planned_end = started + planned_s - CLOSING_S
        self._blocks: list[dict[str, bool]] = []
        self._has_questions = request.budget_s is not None
        self._rounds = self._disturbed = 0

    @property
    def end(self) -> float:
        """When measuring is to end: what was repeated takes nothing from the other rounds.

        On a machine that is never quiet the whole reserve goes to the questions.
        """
        return self._planned_end + (self._whole_s if self._is_hopeless else self._used_s)

    @property
    def left_s(self) -> float:
        """Seconds that repeats may still take; fewer where the rounds themselves took longer."""
        in_all = self._planned_end + self._whole_s - self._clock()
        return min(in_all, self._whole_s - self._used_s)

    def block_begins(self) -> None:
        """The rounds that follow are of another block."""
        self._blocks.append({})

    def keep(self, cell: Cell, record: RoundRecord) -> None:
        """Remember a round of the block."""
        was_disturbed = record.is_disturbed(SHIPPED)
        self._blocks[-1][cell.name] = was_disturbed
        self._rounds += 1
        self._disturbed += was_disturbed

    def waited(self, began: float) -> None:
        """Nothing could be measured since then: that time is not part of the planned."""
        self._planned_end += self._clock() - began

    def use(self, began: float) -> None:
        """Rounds were repeated since then."""
        self._used_s += self._clock() - began

    def due(self) -> tuple[tuple[Cell, ...], ...]:
        """Blocks of what is to be repeated of the rounds since the last call."""
        measured, self._blocks = self._blocks, []
        if self._is_hopeless:
            return ()
        blocks = repeated(measured, self._pairs, self._round_s, self.left_s - BLOCK_S)
        return tuple(tuple(self._cells[name] for name in block) for block in blocks)

    @property
    def _is_hopeless(self) -> bool:
        return self._has_questions and self._disturbed > HOPELESS * self._rounds

    def _round_s(self, name: str) -> float:
        return self._cells[name].load.planned_s + ROUND_S


def whole_reserve_s(request: RunRequest) -> float:
    """Seconds by which repeats may prolong a run."""
    return request.plan.reserve * _planned_s(request)


def _planned_s(request: RunRequest) -> float:
    return request.budget_s or expected_seconds(request.cells)
