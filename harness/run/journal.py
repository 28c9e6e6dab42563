"""Records the progress of a run, of plans and locustfiles alike."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from loopmark.harness.errors import UnwritableError, UserError
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.record import RoundRecord, RunRecord


class Observer(Protocol):
    """Receives the progress of a run, for a progress bar for example."""

    def run_begins(self, folder: RunFolder) -> None:
        """Everything is ready, the folder exists, and the first round follows."""

    def workers_awaited(self, workers: Workers) -> None:
        """The run waits for this number of workers from other machines."""

    def rounds_added(self, cells: Sequence[Cell]) -> None:
        """These cells will be measured once more; a cell may be among them several times."""

    def rounds_repeated(self, cells: Sequence[Cell]) -> None:
        """These cells will be measured once more, because rounds were disturbed."""

    def round_begins(self, cell: Cell, round_number: int) -> None:
        """A round is about to start."""

    def round_ends(self, cell: Cell, record: RoundRecord) -> None:
        """A round has ended and its record is stored."""

    def block_ends(self) -> None:
        """All rounds of a block have ended, and nothing is driven until this returns."""


def now() -> str:
    """The current time in the records' format."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class RunJournal:
    """Keeps `run.json` and the records of the rounds up to date; a context manager.

    A KeyboardInterrupt within it ends the run in order.

    Args:
        folder: Of the run.
        record: The record at the start.
        observer: Receives the progress.
        started: When the run was begun (`time.monotonic`).

    Attributes:
        folder: Of the run.
        observer: Receives the progress.
        interrupted: Whether the run ended before its plan was done.
    """

    def __init__(
        self, folder: RunFolder, record: RunRecord, observer: Observer, started: float
    ) -> None:
        self.folder = folder
        self.interrupted = False
        self._record = record
        self.observer = observer
        self._started = started
        self._states = {cell.name: record.round_states.get(cell.name, ()) for cell in record.cells}

    @property
    def record(self) -> RunRecord:
        """The current content of `run.json`."""
        return replace(self._record, interrupted=self.interrupted, round_states=dict(self._states))

    def __enter__(self) -> Self:
        self.folder.write_run(self._record)
        self.observer.run_begins(self.folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if isinstance(error, KeyboardInterrupt | UserError):
            self.interrupted = True
        wall_s = time.monotonic() - self._started
        try:
            self.folder.write_run(replace(self.record, wall_s=wall_s, finished=now()))
        except UnwritableError:
            # What could not be written first is what is told.
            if not isinstance(error, UnwritableError):
                raise
        return isinstance(error, KeyboardInterrupt)

    def keep(self, cell: Cell, record: RoundRecord) -> None:
        """Store the record of a round."""
        self.folder.write_round(cell, record)
        self._states[cell.name] += (record.state,)
        self.interrupted = self.interrupted or record.state == "interrupted"
        self.folder.write_run(self.record)
        self.observer.round_ends(cell, record)
