"""Runs a request of the command line, and shows the results."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NoReturn

from rich.text import Text

from loopmark.harness.commands.conclusion import Conclusion, conclude
from loopmark.harness.commands.console import err, out
from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.commands.outcome import exit_code, shown_failures
from loopmark.harness.commands.settling import Settling
from loopmark.harness.drivers.catalog import WITH_EVENTS
from loopmark.harness.errors import UserError
from loopmark.harness.launch.preparation import ignored_settings
from loopmark.harness.launch.processors import assign, cores
from loopmark.harness.run.measure import carry_out
from loopmark.harness.run.preflight import require_open_files, require_targets, require_writable
from loopmark.harness.run.progress import ProgressBar
from loopmark.harness.run.request import RunRequest
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.loads.model import REQUEST


def measure(
    request: RunRequest, out_folder: Path, *, strict: bool = False, verbose: bool = False
) -> NoReturn:
    """Measure, report the results, even of an interrupted run, and exit.

    Args:
        request: What to measure.
        out_folder: Folder for run folders.
        strict: Whether an invalid cell is an error.
        verbose: Whether to print all tables and failures.
    """
    require_writable(out_folder)
    require_open_files(max(_connections(cell) for cell in request.cells))
    require_targets(request.targets)
    _warn_of_ignored(request)
    if request.workers is not None:
        _warn_of_crowding(request.workers)
    started = time.monotonic()
    trouble: UserError | None = None
    settling = Settling()
    bar = ProgressBar(err, request.cells, settling.table if request.questions else None)
    try:
        with bar:
            carry_out(request, out_folder, bar, settling.next_block)
    except KeyboardInterrupt:
        if bar.folder is None:
            err.print("interrupted before anything was measured")
            sys.exit(ExitCode.INTERRUPTED)
    except UserError as error:
        if bar.folder is None:
            raise
        trouble = error  # What was measured before is not lost.
    assert bar.folder is not None
    try:
        concluded = conclude(bar.folder, verbose=verbose)
    except KeyboardInterrupt:
        command = f"loopmark report {bar.folder.path}"
        err.print(Text(f"interrupted; to report what was measured: {command}"), soft_wrap=True)
        sys.exit(ExitCode.INTERRUPTED)
    results = concluded.results
    took_s = time.monotonic() - started
    out.print(Text(_closing_line(request, concluded, bar.folder, took_s)), soft_wrap=True)
    trouble = trouble or concluded.trouble
    if trouble is not None:
        raise trouble
    for line in shown_failures(results, verbose=verbose):
        err.print(Text(line), soft_wrap=True)
    sys.exit(exit_code(results, strict=strict))


def _closing_line(
    request: RunRequest, concluded: Conclusion, folder: RunFolder, took_s: float
) -> str:
    most = "at most " if any(cell.load.traits.is_at_most for cell in request.cells) else ""
    planned_s = concluded.results.run.planned_s
    line = f"Took {took_s:.0f} s, {most}{planned_s:.0f} s of measuring planned."
    if concluded.page is None:
        return f"{line} No report; with room for it: loopmark report {folder.path}"
    return f"{line} Report: {concluded.page}"


def _warn_of_ignored(request: RunRequest) -> None:
    if ignored := ignored_settings(request.targets):
        err.print(
            Text(
                f"ignored, set in this shell: {', '.join(ignored)}; a plan sets it for a target: "
                "[targets.NAME] environment"
            ),
            soft_wrap=True,
        )


def _connections(cell: Cell) -> int:
    """Maximum number of connections: a user that receives events has a second one."""
    hears = cell.driver in WITH_EVENTS and cell.load.traits.unit is REQUEST
    return cell.load.concurrency * (2 if hears else 1)


def _warn_of_crowding(workers: Workers) -> None:
    driver = assign(cores(), workers.count).driver
    if not workers.listen and driver and len(driver) < workers.count:
        err.print(
            Text(
                f"{workers.count} workers share {len(driver)} processor(s) beside the target and "
                "the database; cells may be driver-limited"
            ),
            soft_wrap=True,
        )
