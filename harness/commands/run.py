"""`loopmark run`."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.text import Text

from loopmark.harness.commands.console import DEFAULT_OUT, ExitCode, err, out, require_known
from loopmark.harness.commands.locustfile_options import (
    LocustfileCommand,
    LocustfileWish,
    locustfile_options,
    wish,
)
from loopmark.harness.commands.plans import (
    documented_points,
    known_names,
    read_plan,
    scenario_facts,
)
from loopmark.harness.commands.report import conclude
from loopmark.harness.drivers.catalog import DISTRIBUTED, DRIVERS, WITH_EVENTS
from loopmark.harness.errors import UserError
from loopmark.harness.launch.ports import HOST, require_free
from loopmark.harness.launch.processors import assign, available
from loopmark.harness.planning.plan import Plan, cells_of, drivable, driven_by, select
from loopmark.harness.vocabulary.address import parse_address
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.loads.model import REQUEST
from loopmark.harness.vocabulary.result import RunResults

if TYPE_CHECKING:
    from loopmark.harness.run.measure import RunRequest

MAX_WORKERS = 256


@click.command(cls=LocustfileCommand)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option(
    "--profile",
    metavar="NAME",
    help="Shipped plan: smoke, quick (default), full, drivers or events.",
)
@click.option("--only", metavar="PATTERN", help="Only cells whose name contains or matches this.")
@click.option(
    "--driver",
    "drivers",
    metavar="NAME",
    multiple=True,
    help="Instead of the plan's drivers: native, locust or websocket; may be repeated. Cells that "
    "it cannot drive are skipped.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, MAX_WORKERS),
    help="Share the load among N processes (driver locust, or a locustfile).",
)
@click.option(
    "--listen",
    metavar="HOST[:PORT]",
    help="With --workers: do not start them here but wait for `loopmark worker --master "
    "HOST[:PORT]` on other machines, which reach this one by that address.",
)
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_OUT,
    show_default=True,
    help="Where run folders go.",
)
@locustfile_options
@click.pass_context
def run(  # noqa: PLR0913, PLR0917 - one for each option
    ctx: click.Context,
    /,
    plan: Path | None,
    profile: str | None,
    only: str | None,
    drivers: tuple[str, ...],
    workers: int | None,
    listen: str | None,
    out_folder: Path,
    **_: object,
) -> None:
    """Measure a PLAN (a TOML file) or a shipped profile, and write a report.

    The run folder is OUT/<run-id>; OUT/latest points to the newest. Names of cells are
    scenario/target/load/driver: see `loopmark list --cells`.

    With --locustfile a locustfile of your own takes the place of the plan, as it is. What follows
    -- is for options that the file itself adds to Locust's command line:

    loopmark run --locustfile FILE --host http://127.0.0.1:8000 --users 10 -- --my-option x
    """
    of_a_plan: dict[str, object] = {"a plan": plan, "a --profile": profile, "--only": only}
    of_a_plan["--driver"] = drivers
    wished = wish(ctx, of_a_plan)
    if wished is not None:
        _run_locustfile(wished, _workers(workers, listen), out_folder)
    require_known("driver", drivers, DRIVERS)
    parsed, text = read_plan(plan, profile)
    if drivers:
        parsed = driven_by(tuple(dict.fromkeys(drivers)), parsed)
    cells, skipped = drivable(select(cells_of(parsed), only), known_names().drivable_by)
    _require_files(cells)
    _require_targets(parsed, cells)
    shared = _workers(workers, listen)
    if shared is not None:
        _require_distributed(cells)
        _warn_of_crowding(shared)
    if skipped:
        err.print(Text(skipped), soft_wrap=True)
    host = parse_address(shared.listen, "--listen").host if shared and shared.listen else HOST
    from loopmark.harness.run.journal import new_run_id  # noqa: PLC0415 - half a second that --help need not take
    from loopmark.harness.run.measure import RunRequest  # noqa: PLC0415

    request = RunRequest(
        new_run_id(parsed.name),
        parsed,
        text,
        cells,
        scenario_facts(cells),
        documented_points(),
        shared,
        host,
    )
    _measure(request, out_folder)


def _run_locustfile(wished: LocustfileWish, workers: Workers | None, out_folder: Path) -> NoReturn:
    from loopmark.harness.run import locustfile_plan  # noqa: PLC0415 - --help need not wait

    with err.status("looking at the locustfile", spinner="dots"):
        request = locustfile_plan.prepare(wished.choice, wished.rounds, wished.web_port, workers)
    _require_files(request.cells)
    if wished.web_port is not None:
        page = f"http://{locustfile_plan.WEB_HOST}:{wished.web_port}"
        err.print(Text(f"Locust's page, while it runs: {page}"), soft_wrap=True)
    _measure(request, out_folder)


def _require_files(cells: Sequence[Cell]) -> None:
    from loopmark.harness.run.preflight import require_open_files  # noqa: PLC0415 - --help need not wait

    require_open_files(max(_connections(cell) for cell in cells))


def _require_targets(plan: Plan, cells: Sequence[Cell]) -> None:
    from loopmark.harness.run.preflight import require_targets  # noqa: PLC0415 - --help need not wait

    require_targets(plan.targets[name] for name in dict.fromkeys(cell.target for cell in cells))


def _connections(cell: Cell) -> int:
    """How many it takes at most: a user that hears events has another one for them."""
    hears = cell.driver in WITH_EVENTS and cell.load.traits.unit is REQUEST
    return cell.load.concurrency * (2 if hears else 1)


def _measure(request: RunRequest, out_folder: Path) -> NoReturn:
    """Carry out a run, and report what it has measured, however it ended."""
    from loopmark.harness.run.measure import carry_out  # noqa: PLC0415 - --help need not wait
    from loopmark.harness.run.progress import ProgressBar  # noqa: PLC0415

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
        err.print(Text(f"interrupted; the data is there: {command}"), soft_wrap=True)
        sys.exit(ExitCode.INTERRUPTED)
    took, planned = time.monotonic() - started, results.run.planned_s
    shapes = any(cell.load.traits.is_at_most for cell in request.cells)
    most = "at most " if shapes else ""
    out.print(Text(f"Took {took:.0f} s; {most}{planned:.0f} s of measuring were planned."))
    if trouble is not None:
        raise trouble
    _exit_as(results)


def _workers(count: int | None, listen: str | None) -> Workers | None:
    """Who shares the load."""
    if count is None:
        if listen is not None:
            raise UserError("--listen: say with --workers how many are to come")
        return None
    if listen is None:
        return Workers(count)
    address = parse_address(listen, "--listen")
    require_free(address, "--listen")
    return Workers(count, str(address))


def _warn_of_crowding(workers: Workers) -> None:
    driver = assign(available(), workers.count).driver
    if not workers.listen and driver and len(driver) < workers.count:
        err.print(
            Text(
                f"{workers.count} workers share {len(driver)} processor(s), the rest being the "
                "target's and the database's: they will wait for each other, and cells may be "
                "driver-limited"
            ),
            soft_wrap=True,
        )


def _require_distributed(cells: Sequence[Cell]) -> None:
    for cell in cells:
        if cell.driver not in DISTRIBUTED:
            raise UserError(
                f"--workers: the {cell.driver} driver of {cell.name} is one process; add "
                "--driver locust, which skips what it cannot drive"
            )


def _exit_as(results: RunResults) -> NoReturn:
    if results.run.interrupted:
        sys.exit(ExitCode.INTERRUPTED)
    invalid = any(not cell.validity.is_valid for cell in results.cells)
    sys.exit(ExitCode.INVALID if invalid else ExitCode.OK)
