"""What a run shows while it measures: the time left, and its questions as they are settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from loopmark.harness.planning.plan import planned_seconds
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.record import RoundRecord

FIRST_GUESS_OF_OVERHEAD_S = 1.0
"""Estimated seconds per round for connecting and warming up, until a round has been measured."""

SHORT_S = 60.0
"""Shorter times are shown in seconds."""


class ProgressBar:
    """Shows the current round and the time left; a context manager.

    Without a terminal, a line per finished round replaces it.

    Args:
        console: Where to.
        cells: What is planned.
        settling: Makes the table below the bar, from what is in the run's folder; called when a
            block has ended. None for no table.

    Attributes:
        folder: Of the run, once it has been made.
    """

    def __init__(
        self,
        console: Console,
        cells: Sequence[Cell],
        settling: Callable[[RunFolder], RenderableType] | None = None,
    ) -> None:
        self._console = console
        self._settling = settling if console.is_terminal else None
        self._table: RenderableType = ""
        self.folder: RunFolder | None = None
        self._cells = len(cells)
        # Which ends when it likes.
        self._is_shape = any(cell.load.traits.is_at_most for cell in cells)
        self._rounds_left = sum(cell.rounds for cell in cells)
        self._planned_s = self._planned_left_s = planned_seconds(cells)
        self._overheads_s: list[float] = []
        self._began = 0.0
        self._has_more = False
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=self._planned_left_s, left="")
        self._live = Live(
            get_renderable=lambda: Group(self._bar.get_renderable(), self._table),
            console=console,
            # Drawing takes time from what is measured.
            refresh_per_second=2,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def run_begins(self, folder: RunFolder) -> None:
        """Print what will be measured, and the run's folder."""
        self.folder = folder
        seconds = self._planned_left_s
        brief = seconds < SHORT_S
        planned = f"{seconds:.0f} seconds" if brief else f"{seconds / 60:.1f} minutes"
        most = "at most " if self._is_shape else ""
        cells, rounds = _many(self._cells, "cell"), _many(self._rounds_left, "round")
        line = f"{cells}, {rounds}, {most}{planned} of measuring, into {folder.path}"
        self._console.print(Text(line), soft_wrap=True)
        self.block_ends()

    def workers_awaited(self, workers: Workers) -> None:
        """Print the command to start on the other machines."""
        command = f"loopmark worker --master {workers.listen}"
        line = f"waiting for {workers.count} workers; run on each machine: {command}"
        self._console.print(Text(line), soft_wrap=True)

    def rounds_added(self, cells: Sequence[Cell]) -> None:
        """Extend the bar; print, the first time, that more rounds follow."""
        if not self._has_more:
            self._console.print("now more rounds where ratios are known least, while time is left")
        self._has_more = True
        self._extend(cells)

    def rounds_repeated(self, cells: Sequence[Cell]) -> None:
        """Print how many rounds are repeated, and extend the bar."""
        more_s = self._extend(cells)
        line = (
            f"{_many(len(cells), 'round')} again, as others took the processors, {more_s:.0f} "
            "seconds of measuring"
        )
        self._console.print(Text(line), soft_wrap=True)

    def _extend(self, cells: Sequence[Cell]) -> float:
        """Returns how many seconds of measuring these are."""
        more_s = sum(cell.load.planned_s for cell in cells)
        self._rounds_left += len(cells)
        self._planned_left_s += more_s
        self._planned_s += more_s
        self._bar.update(self._task, total=self._planned_s)
        return more_s

    def round_begins(self, cell: Cell, round_number: int) -> None:
        """Show the round and the time left."""
        self._began = time.monotonic()
        known = self._overheads_s
        overhead = sum(known) / len(known) if known else FIRST_GUESS_OF_OVERHEAD_S
        left = self._planned_left_s + overhead * self._rounds_left
        short = f"{cell.scenario} {cell.target} {cell.load.label}"
        short = f"{short} {_which(round_number, cell)}"
        self._bar.update(self._task, description=short, left=f"{_minutes(left)} left")

    def round_ends(self, cell: Cell, record: RoundRecord) -> None:
        """Advance, and print if a round was not measured."""
        took = time.monotonic() - self._began
        self._overheads_s.append(max(0.0, took - cell.load.planned_s))
        self._rounds_left -= 1
        self._planned_left_s -= cell.load.planned_s
        self._bar.advance(self._task, cell.load.planned_s)
        line = f"{cell.name} round {_which(record.round, cell)}: {record.state}, {took:.1f} s"
        if record.state != "measured" or not self._console.is_terminal:
            self._console.print(Text(line, "" if record.state == "measured" else "red"))
        if record.state == "interrupted":
            self._console.print(
                "stopping processes, then writing the report; press Ctrl-C again to skip it"
            )

    def block_ends(self) -> None:
        """Show what is settled by now."""
        if self._settling is not None and self.folder is not None:
            self._table = self._settling(self.folder)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _which(round_number: int, cell: Cell) -> str:
    """The number of a round among those planned, or beyond them: `2/3`, `4`."""
    number = round_number + 1
    return f"{number}/{cell.rounds}" if number <= cell.rounds else str(number)


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
