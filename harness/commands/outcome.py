"""What the exit code of a run says: whether it is complete, and every response was right."""

from __future__ import annotations

from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.vocabulary.cell import Validity
from loopmark.harness.vocabulary.result import RunResults
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
    validities = [cell.validity for cell in results.cells]
    if any(one.has_failed or (strict and not one.is_valid) for one in validities):
        return ExitCode.FAILED
    return ExitCode.OK


def failures(results: RunResults) -> tuple[str, ...]:
    """What failed, in a line for each cell, whatever else is said against it."""
    return tuple(
        f"failed: {cell.name}: {'; '.join(failed)}"
        for cell in results.cells
        if (failed := _failed(cell.validity))
    )


MOST_FAILURES = 5
"""If more cells failed, it mostly was for one reason."""


def shown_failures(results: RunResults, *, verbose: bool) -> tuple[str, ...]:
    """The lines with which a run ends: what failed, as far as there is room, and how much more."""
    failed = failures(results)
    more = len(failed) - MOST_FAILURES
    if verbose or more <= 0:
        return failed
    rest = f"and {more} more failed, see the report; --verbose names them"
    return (*failed[:MOST_FAILURES], rest)


def _failed(validity: Validity) -> list[str]:
    """What failed, of the cell, or else of single rounds."""
    of_cell = [one for one in validity.objections if one.code.state.is_failure]
    if of_cell:
        return [objections.sentence(one) for one in of_cell]
    return [
        f"round {one.round + 1}: {objections.sentence(why)}"
        for one in validity.rounds
        for why in one.objections
        if why.code.state.is_failure
    ]
