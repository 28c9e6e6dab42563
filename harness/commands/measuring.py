"""Runs a request of the command line, and shows the results."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NoReturn

from rich.text import Text

from loopmark.harness.commands.conclusion import conclude
from loopmark.harness.commands.console import err, out
from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.drivers.catalog import WITH_EVENTS
from loopmark.harness.errors import UserError
from loopmark.harness.launch.processors import assign, available
from loopmark.harness.run.measure import carry_out
from loopmark.harness.run.preflight import require_open_files, require_targets, require_writable
from loopmark.harness.run.progress import ProgressBar
from loopmark.harness.run.request import RunRequest
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.loads.model import REQUEST
from loopmark.harness.vocabulary.result import RunResults


def measure(request: RunRequest, out_folder: Path) -> NoReturn:
    """Measure, report the results, even of an interrupted run, and exit."""
    require_writable(out_folder)
    require_open_files(max(_connections(cell) for cell in request.cells))
    require_targets(request.targets)
    if request.workers is not None:
        _warn_of_crowding(request.workers)
    started = time.monotonic()
    trouble: UserError | None = None
    bar = ProgressBar(err, request.cells)
    try:
        with bar:
            carry_out(request, out_folder, bar)
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
        results = conclude(bar.folder)
    except KeyboardInterrupt:
        command = f"loopmark report {bar.folder.path}"
        err.print(Text(f"interrupted; to report what was measured: {command}"), soft_wrap=True)
        sys.exit(ExitCode.INTERRUPTED)
    took, planned = time.monotonic() - started, results.run.planned_s
    shapes = any(cell.load.traits.is_at_most for cell in request.cells)
    most = "at most " if shapes else ""
    out.print(Text(f"Took {took:.0f} s, of which {most}{planned:.0f} s of measuring were planned."))
    if trouble is not None:
        raise trouble
    _exit_as(results)


def _connections(cell: Cell) -> int:
    """Maximum number of connections: a user that receives events has a second one."""
    hears = cell.driver in WITH_EVENTS and cell.load.traits.unit is REQUEST
    return cell.load.concurrency * (2 if hears else 1)


def _warn_of_crowding(workers: Workers) -> None:
    driver = assign(available(), workers.count).driver
    if not workers.listen and driver and len(driver) < workers.count:
        err.print(
            Text(
                f"{workers.count} workers share {len(driver)} processor(s) beside the target and "
                "the database; cells may be driver-limited"
            ),
            soft_wrap=True,
        )


def _exit_as(results: RunResults) -> NoReturn:
    if results.run.interrupted:
        sys.exit(ExitCode.INTERRUPTED)
    invalid = any(not cell.validity.is_valid for cell in results.cells)
    sys.exit(ExitCode.INVALID if invalid else ExitCode.OK)
