"""What the exit code of a run says: whether it is complete, and every response was right.

Of a target with a declared fault: whether the fault has shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.vocabulary.cell import RoundObjections
from loopmark.harness.vocabulary.fault import Fault, FaultFinding
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import objections


def exit_code(results: RunResults, *, strict: bool = False) -> ExitCode:
    """The exit code of a run.

    A cell with no other fault than that its figures are not good enough to be compared, because
    the driver was limited, say, or its throughput unsteady, is said, and is no error.

    Args:
        results: Of the run.
        strict: Whether any invalid cell is an error.
    """
    if results.run.interrupted:
        return ExitCode.INTERRUPTED
    against = [
        one
        for cell in results.cells
        for one in unexplained(cell, results.shown_fault(cell))
        if one.has_failed or (strict and one.round == OF_CELL)
    ]
    return ExitCode.FAILED if against or _unseen(results) else ExitCode.OK


def failures(results: RunResults) -> tuple[str, ...]:
    """What failed, in a line for each cell, whatever else is said against it.

    That a declared fault shows is what was to be seen, and that it does not is a failure.
    """
    of_cells = (
        f"failed: {cell.name}: {'; '.join(failed)}"
        for cell in results.cells
        if (failed := failed_of(unexplained(cell, results.shown_fault(cell))))
    )
    unseen = (
        f"failed: {one.target}: its declared fault has not shown: {one.main.sentence}"
        for one in _unseen(results)
    )
    return (*of_cells, *unseen)


MOST_FAILURES = 5
"""If more cells failed, it mostly was for one reason."""


def shown_failures(results: RunResults, *, verbose: bool) -> tuple[str, ...]:
    """The lines with which a run ends: what failed, as far as there is room, and how much more."""
    failed = failures(results)
    more = len(failed) - MOST_FAILURES
    if verbose or more <= 0:
        return failed
    rest = f"and {more} more failed, see the report; loopmark report --format text names them"
    return (*failed[:MOST_FAILURES], rest)


def _unseen(results: RunResults) -> list[FaultFinding]:
    """The declared faults that should have shown."""
    return [one for one in results.faults if one.showing == "not-shown"]


def unexplained(cell: CellResult, fault: Fault | None) -> list[RoundObjections]:
    """What is said against a cell, and against its rounds, but for what a fault explains."""
    of_cell = RoundObjections(OF_CELL, cell.validity.objections)
    return [
        RoundObjections(one.round, left)
        for one in (of_cell, *cell.validity.rounds)
        if (left := tuple(why for why in one.objections if not (fault and fault.explains(why))))
    ]


OF_CELL = -1
"""In place of a round's number: the cell as a whole."""


def failed_of(against: Sequence[RoundObjections]) -> list[str]:
    """What failed, of the cell, or else of single rounds."""
    failed = [
        (one.round, objections.sentence(why))
        for one in against
        for why in one.objections
        if why.code.state.is_failure
    ]
    of_cell = [sentence for number, sentence in failed if number == OF_CELL]
    return of_cell or [f"round {number + 1}: {sentence}" for number, sentence in failed]
