"""The questions of a run under way: what is settled, and what is measured next."""

from __future__ import annotations

import time
from collections import Counter

from rich.console import RenderableType

from loopmark.harness.analysis.analyse import AnswersSoFar, round_seconds
from loopmark.harness.commands.console import err
from loopmark.harness.planning.allocation import Known, further_blocks
from loopmark.harness.run.overhead import Overhead
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.question import QuestionResult
from loopmark.reports import terminal

_LINES_OF_BAR = 3
"""Of the bar above the questions, and free ones below them."""


class Settling:
    """Looks at the questions of one run after each of its blocks."""

    def __init__(self) -> None:
        self._answers_so_far = AnswersSoFar()
        self._answers: tuple[QuestionResult, ...] = ()

    def table(self, folder: RunFolder) -> RenderableType:
        """The questions; with answers once all have their first pairs of rounds."""
        run = folder.read_run()
        rounds = Counter({name: len(states) for name, states in run.round_states.items()})
        if all(min(rounds[one.base], rounds[one.other]) >= one.pairs for one in run.questions):
            self._answers = self._answers_so_far(folder)
        return terminal.settling(run, self._answers, err.size.height - _LINES_OF_BAR)

    def next_block(
        self, folder: RunFolder, deadline: float, overhead: Overhead
    ) -> tuple[Cell, ...]:
        """What follows the first rounds; see `Allocation`."""
        run = folder.read_run()
        known = [
            # A pair that does not count is not repeated.
            Known(
                one.question,
                one.comparison.rounds + one.comparison.left_out,
                one.comparison.scatter_half_width,
                one.comparison.delay_half_width,
            )
            for one in self._answers_so_far.undecided(folder)
            if not one.comparison.reasons
        ]
        round_s = {
            name: seconds + overhead.round_s for name, seconds in round_seconds(folder, run).items()
        }
        left_s = deadline - time.monotonic()
        blocks = further_blocks(known, round_s, left_s, overhead.block_s)
        cells = {cell.name: cell for cell in run.cells}
        return tuple(cells[name] for name in blocks[0]) if blocks else ()
