"""`loopmark run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopmark.harness.commands.locustfile_options import (
    LocustfileCommand,
    LocustfileRun,
    locustfile_options,
    locustfile_run,
)
from loopmark.harness.commands.plan_texts import PlanText, plan_text
from loopmark.harness.commands.run_time import seconds
from loopmark.harness.errors import UserError
from loopmark.harness.launch.ports import require_free
from loopmark.harness.vocabulary.address import parse_address
from loopmark.harness.vocabulary.folders import RESULTS

if TYPE_CHECKING:
    from loopmark.harness.run.request import RunRequest
    from loopmark.harness.vocabulary.job import Workers

MAX_WORKERS = 256


@click.command(cls=LocustfileCommand)
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option(
    "--profile",
    metavar="NAME",
    help="Shipped plan: smoke, quick (default), full, drivers, events or pitfalls.",
)
@click.option(
    "--only",
    metavar="PATTERN",
    help="Only cells whose name contains PATTERN or matches it as a glob.",
)
@click.option(
    "--driver",
    "drivers",
    metavar="NAME",
    multiple=True,
    help="Instead of the plan's drivers: native, httpx, locust or websocket; may be repeated. "
    "Cells that it cannot drive are skipped.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, MAX_WORKERS),
    help="Distribute the load over N processes (driver locust, or a locustfile).",
)
@click.option(
    "--listen",
    metavar="HOST[:PORT]",
    help="With --workers: wait for `loopmark worker --master HOST[:PORT]` on other machines, which "
    "connect to this address, instead of starting workers here.",
)
@click.option(
    "--time",
    "budget",
    metavar="TIME",
    help="How long a plan with questions may take, such as 6m or 10m30s; questions whose ratios "
    "are known least get the rounds that fit. Disturbed rounds may add up to half of it.",
)
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=RESULTS,
    show_default=True,
    help="Folder for run folders.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the cells and about how long they take, and measure nothing.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with 1 if any cell is invalid, not only if requests, responses or targets failed.",
)
@click.option(
    "--verbose",
    is_flag=True,
    help="Print all tables and failures, not only as many as fit into a terminal.",
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
    budget: str | None,
    out_folder: Path,
    *,
    dry_run: bool,
    strict: bool,
    verbose: bool,
    **_: object,
) -> None:
    """Measure a PLAN (a TOML file) or a shipped profile, and write a report.

    The run folder is OUT/<run-id>; OUT/latest points to the newest. Names of cells are
    scenario/target/load/driver: see `loopmark list --cells`.

    Exit code 0: the run is complete and every response was right, even if single cells are invalid;
    1: wrong responses, errors, failed audits, a dead target, or a declared fault that does not
    show.

    With --locustfile a locustfile of your own takes the place of the plan, as it is. What follows
    -- is for options that the file itself adds to Locust's command line:

    loopmark run --locustfile FILE --host http://127.0.0.1:8000 --users 10 -- --my-option x
    """
    of_a_plan: dict[str, object] = {"a plan": plan, "a --profile": profile, "--only": only}
    of_a_plan["--driver"] = drivers
    of_a_plan["--time"] = budget
    locustfile = locustfile_run(ctx, of_a_plan)
    shared = _workers(workers, listen)
    if locustfile is not None:
        request = _locustfile_request(locustfile, shared)
    else:
        budget_s = None if budget is None else seconds(budget, "--time")
        request = _plan_request(plan_text(plan, profile), drivers, only, shared, budget_s)
    if dry_run:
        from loopmark.harness.commands.dry_run import show  # noqa: PLC0415 - not for --help

        show(request)
        return
    # What can be wrong with the arguments has been found without the slow imports.
    from loopmark.harness.commands.measuring import measure  # noqa: PLC0415

    measure(request, out_folder, strict=strict, verbose=verbose)


def _plan_request(
    text: PlanText,
    drivers: Sequence[str],
    only: str | None,
    workers: Workers | None,
    budget_s: float | None,
) -> RunRequest:
    from loopmark.harness.commands.plans import request_for  # noqa: PLC0415 - not for --help

    request, skipped = request_for(text, drivers, only, workers, budget_s)
    if skipped:
        click.echo(skipped, err=True)
    return request


def _locustfile_request(locustfile: LocustfileRun, workers: Workers | None) -> RunRequest:
    from loopmark.harness.commands.console import err  # noqa: PLC0415 - not for --help
    from loopmark.harness.run.locustfile_plan import WEB_HOST, prepare  # noqa: PLC0415

    with err.status("inspecting the locustfile", spinner="dots"):
        request = prepare(locustfile.choice, locustfile.rounds, locustfile.web_port, workers)
    if locustfile.web_port is not None:
        page = f"http://{WEB_HOST}:{locustfile.web_port}"
        click.echo(f"Locust's page, while it runs: {page}", err=True)
    return request


def _workers(count: int | None, listen: str | None) -> Workers | None:
    """The workers that share the load."""
    if count is None:
        if listen is not None:
            raise UserError("--listen requires --workers N")
        return None
    from loopmark.harness.vocabulary.job import Workers  # noqa: PLC0415 - slow, and not for --help

    if listen is None:
        return Workers(count)
    address = parse_address(listen, "--listen")
    require_free(address, "--listen")
    return Workers(count, str(address))
