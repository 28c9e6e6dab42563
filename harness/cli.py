"""The command line: the only place that prints and sets the exit code."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from loopmark.harness import __version__
from loopmark.harness.commands.locustfile_options import (
    LocustfileCommand,
    LocustfileWish,
    locustfile_options,
    wish,
)
from loopmark.harness.drivers.catalog import DISTRIBUTED, DRIVERS, WITH_EVENTS, able
from loopmark.harness.errors import UserError, unknown_name
from loopmark.harness.launch.processors import assign, available
from loopmark.harness.launch.target_process import HOST, require_listenable
from loopmark.harness.planning.plan import (
    KnownNames,
    Plan,
    cells_of,
    drivable,
    driven_by,
    parse_plan,
    planned_seconds,
    select,
)
from loopmark.harness.store import LATEST, RunFolder
from loopmark.harness.vocabulary.address import MASTER_PORT, parse_address
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.loads.model import REQUEST
from loopmark.harness.vocabulary.result import RunResults
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.targets.catalog import VARIANTS

if TYPE_CHECKING:
    from loopmark.harness.run.progress import ProgressBar

EXIT_OK = 0
EXIT_INVALID = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

DEFAULT_OUT = Path("results")
DEFAULT_PROFILE = "quick"
MAX_WORKERS = 256

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class _Commands(click.Group):
    """Turns errors that are for users into one line and exit code 2."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            _fail(unknown_name("command", args[0], self.commands))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        try:
            return super().invoke(ctx)
        except UserError as error:
            _fail(str(error))
        except BrokenPipeError:
            raise  # Click ends quietly when nobody reads on.
        except OSError as error:
            _fail(f"{error.filename or 'the system refuses'}: {error.strerror or error}")
        except KeyboardInterrupt:
            err.print("interrupted")
            sys.exit(EXIT_INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="loopmark")
def main() -> None:
    """Measure what async buys a Python web service.

    LOOPMARK_DATABASE_URL names a PostgreSQL to use instead of the embedded one.

    Exit codes: 0 when all is well; 1 when a cell may not be believed (run), an answer is wrong
    (verify), or something is missing (doctor); 2 when the command, a file or the database cannot be
    used; 130 when interrupted.
    """
    # What SIGTERM ends must clean up as after Ctrl-C.
    signal.signal(signal.SIGTERM, _as_interrupt)


@main.command(cls=LocustfileCommand)
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
    help="Instead of the plan's drivers: httpx, locust or websocket; may be repeated. Cells that "
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
    _require_known("driver", drivers, DRIVERS)
    parsed, text = _plan(plan, profile)
    if drivers:
        parsed = driven_by(tuple(dict.fromkeys(drivers)), parsed)
    cells, skipped = drivable(select(cells_of(parsed), only), _known_names().drivable_by)
    _require_files(cells)
    shared = _workers(workers, listen)
    if shared is not None:
        _require_distributed(cells)
        _warn_of_crowding(shared)
    if skipped:
        err.print(Text(skipped), soft_wrap=True)
    host = parse_address(shared.listen, "--listen").host if shared and shared.listen else HOST
    from loopmark.harness.run import measure as running  # noqa: PLC0415 - half a second that --help need not take
    from loopmark.harness.run.journal import new_run_id  # noqa: PLC0415

    request = running.RunRequest(new_run_id(parsed.name), parsed, text, cells, shared, host)
    _measure(cells, lambda bar: running.carry_out(request, out_folder, bar))


def _run_locustfile(wished: LocustfileWish, workers: Workers | None, out_folder: Path) -> NoReturn:
    from loopmark.harness.run import locustfile_run as running  # noqa: PLC0415 - as above

    with err.status("looking at the locustfile", spinner="dots"):
        request = running.prepare(wished.choice, wished.rounds, wished.web_port, workers)
    _require_files((request.cell,))
    if request.web_port is not None:
        page = f"http://{running.WEB_HOST}:{request.web_port}"
        err.print(Text(f"Locust's page, while it runs: {page}"), soft_wrap=True)
    _measure((request.cell,), lambda bar: running.carry_out(request, out_folder, bar))


def _require_files(cells: Sequence[Cell]) -> None:
    from loopmark.harness.run.preflight import require_open_files  # noqa: PLC0415 - as above

    require_open_files(max(_connections(cell) for cell in cells))


def _connections(cell: Cell) -> int:
    """How many it takes at most: a user that hears events has another one for them."""
    hears = cell.driver in WITH_EVENTS and cell.load.traits.unit is REQUEST
    return cell.load.concurrency * (2 if hears else 1)


def _measure(cells: tuple[Cell, ...], carry_out: Callable[[ProgressBar], None]) -> NoReturn:
    """Carry out a run, and report what it has measured, however it ended."""
    from loopmark.harness.run.progress import ProgressBar  # noqa: PLC0415 - as above

    started = time.monotonic()
    trouble: UserError | None = None
    bar = ProgressBar(err, cells)
    try:
        with bar:
            carry_out(bar)
    except KeyboardInterrupt:
        if bar.folder is None:
            err.print("interrupted before anything was measured")
            sys.exit(EXIT_INTERRUPTED)
    except UserError as error:
        if bar.folder is None:
            raise
        trouble = error  # What was measured before is not lost.
    assert bar.folder is not None
    try:
        results = _conclude(bar.folder)
    except KeyboardInterrupt:
        command = f"loopmark report {bar.folder.path}"
        err.print(Text(f"interrupted; the data is there: {command}"), soft_wrap=True)
        sys.exit(EXIT_INTERRUPTED)
    took, planned = time.monotonic() - started, results.run.planned_s
    shapes = any(cell.load.traits.is_at_most for cell in cells)
    most = "at most " if shapes else ""
    out.print(Text(f"Took {took:.0f} s; {most}{planned:.0f} s of measuring were planned."))
    if trouble is not None:
        raise trouble
    _exit_as(results)


@main.command(name="list")
@click.option("--cells", is_flag=True, help="Also the cells of a profile.")
@click.option("--profile", metavar="NAME", help="Of which profile (default: quick).")
def list_(*, cells: bool, profile: str | None) -> None:
    """List targets, scenarios, drivers and profiles."""
    _print_rows("Targets", ((v.name, v.description) for v in VARIANTS.values()))
    _print_rows("Scenarios", ((s.name, s.title) for s in SCENARIOS.values()))
    _print_rows("Drivers", ((name, module) for name, module in DRIVERS.items()))
    _print_rows("Profiles", ((name, _profile_line(name)) for name in _profiles()))
    if cells or profile is not None:
        plan, _ = _plan(None, profile)
        _print_rows(
            f"Cells of {plan.name}",
            ((c.name, f"{c.rounds} x {c.load.planned_s:g} s") for c in cells_of(plan)),
        )


@main.command()
@click.argument("targets", nargs=-1)
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this one.")
def verify(targets: tuple[str, ...], scenarios: tuple[str, ...]) -> None:
    """Check the answers of TARGETS (default: all) without timing anything."""
    from loopmark.harness.run.verification import verify as verdicts  # noqa: PLC0415 - as above

    _require_known("target", targets, VARIANTS)
    _require_known("scenario", scenarios, SCENARIOS)
    wrong = 0
    for verdict in verdicts(targets or tuple(VARIANTS), scenarios or tuple(SCENARIOS)):
        mark = "[green]right[/]" if not verdict.problem else "[red]WRONG[/]"
        out.print(f"{mark}  {verdict.target:<16} {verdict.scenario}")
        if verdict.problem:
            wrong += 1
            out.print(Text(verdict.problem, "red"), soft_wrap=True)
    sys.exit(EXIT_INVALID if wrong else EXIT_OK)


@main.command()
@click.argument("variant")
@click.option("--port", type=click.IntRange(1, 65535), help="To listen on; default: a free one.")
def serve(variant: str, port: int | None) -> None:
    """Run one reference target with its database, to try by hand or with any client."""
    from loopmark.harness.launch.target_process import TargetFailedError  # noqa: PLC0415
    from loopmark.harness.run.serving import served  # noqa: PLC0415 - as above

    _require_known("target", (variant,), VARIANTS)
    try:
        with served(variant, port) as (target, token, facts):
            database = "embedded" if facts.embedded else facts.url
            out.print(f"{variant} at [bold]{target.base_url}[/]")
            out.print(f"Database: {escape(database)}, PostgreSQL {facts.version}", soft_wrap=True)
            out.print(f"Documentation of the endpoints: {target.base_url}/docs")
            out.print("Try, in another terminal:")
            path = "/api/v2/users/1"
            out.print(
                f"  curl -H 'Authorization: Bearer {token}' {target.base_url}{path}", soft_wrap=True
            )
            out.print("Ctrl-C ends it.")
            while target.is_alive:
                time.sleep(0.2)
            err.print(Text(f"{variant} ended by itself:\n{target.stderr_tail}", "red"))
            sys.exit(EXIT_INVALID)
    except TargetFailedError as error:
        err.print(Text(f"{error}\n{error.stderr_tail}", "red"))
        sys.exit(EXIT_INVALID)
    except KeyboardInterrupt:
        err.print("ended")


@main.command()
@click.option(
    "--master",
    metavar="HOST[:PORT]",
    required=True,
    help=f"What the run was given as --listen; the port is {MASTER_PORT} if left out.",
)
def worker(master: str) -> None:
    """Drive a share of a run on another machine.

    It gives up after 8 seconds without a master, and ends with the run. The master decides what it
    asks of whom: work only for masters that you trust.

    Exit codes: 0 when the run is done; 1 when the master was lost; 2 when there is none, or it
    refuses this worker; 130 when interrupted.
    """
    address = parse_address(master, "--master")
    module = f"{DRIVERS['locust']}.workers.worker"
    command = [sys.executable, "-P", "-m", module]
    command += ["--master", address.host, "--port", str(address.port)]
    # In its own process from the start: what it imports changes the standard library.
    os.execv(sys.executable, command)  # noqa: S606 - our own module


@main.command()
@click.argument("run_folder", metavar="[RUN]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    default="html",
    show_default=True,
    help="html (written to RUN/report/), or md, csv, json (printed).",
)
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUT,
    show_default=True,
    help="Where RUN is looked up by its id.",
)
def report(run_folder: Path | None, format_: str, out_folder: Path) -> None:
    """Analyse RUN again and show it; RUN is a folder or a run id (default: the latest)."""
    from loopmark.reports.catalog import FORMATS  # noqa: PLC0415 - matplotlib takes its time

    _require_known("format", (format_,), FORMATS)
    folder = _find_run(run_folder, out_folder)
    from loopmark.harness.analysis.analyse import analyse  # noqa: PLC0415 - as above

    results = analyse(folder)
    if format_ == "html":
        out.print(Text(str(_write_html(folder, results))), soft_wrap=True)
    else:
        click.echo(FORMATS[format_](results), nl=False)


@main.command()
def doctor() -> None:
    """Look at what a run needs on this machine, and say what to do about it."""
    from loopmark.harness.run.preflight import diagnose  # noqa: PLC0415 - as above

    marks = {
        "ok": "[green]ok      [/]",
        "warning": "[yellow]warning [/]",
        "problem": "[red]problem [/]",
    }
    problems = 0
    for finding in diagnose():
        problems += finding.level == "problem"
        out.print(f"{marks[finding.level]}{escape(finding.what)}", soft_wrap=True)
        if finding.advice:
            out.print(f"        -> {escape(finding.advice)}", soft_wrap=True)
    sys.exit(EXIT_INVALID if problems else EXIT_OK)


def _conclude(folder: RunFolder) -> RunResults:
    """Analyse, report and show a run that has ended."""
    from loopmark.harness.analysis.analyse import analyse  # noqa: PLC0415 - as above
    from loopmark.reports import terminal  # noqa: PLC0415

    with err.status("summarising", spinner="dots"):
        results = analyse(folder)
        page = _write_html(folder, results)
    out.print(terminal.render(results))
    out.print(Text(f"Report: {page}"), soft_wrap=True)
    return results


def _write_html(folder: RunFolder, results: RunResults) -> Path:
    from loopmark.reports import html  # noqa: PLC0415 - as above

    folder.report.mkdir(exist_ok=True)
    page = folder.report / "index.html"
    page.write_text(html.render(results), encoding="utf-8")
    return page


def _workers(count: int | None, listen: str | None) -> Workers | None:
    """Who shares the load."""
    if count is None:
        if listen is not None:
            raise UserError("--listen: say with --workers how many are to come")
        return None
    if listen is None:
        return Workers(count)
    address = parse_address(listen, "--listen")
    require_listenable(address)
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


def _plan(path: Path | None, profile: str | None) -> tuple[Plan, str]:
    if path is not None and profile is not None:
        raise UserError("name a plan file or a --profile, not both")
    known = _known_names()
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            hint = f"; for the shipped plan: --profile {path}" if str(path) in _profiles() else ""
            raise UserError(f"cannot read the plan {path}: {reason}{hint}") from None
        if path.suffix == ".py":
            raise UserError(f"{path} is no plan (TOML); for a locustfile: --locustfile {path}")
        return parse_plan(text, str(path), known), text
    name = DEFAULT_PROFILE if profile is None else profile
    _require_known("profile", (name,), _profiles())
    text = (files("loopmark.scenarios") / "plans" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_plan(text, f"{name}.toml", known), text


def _known_names() -> KnownNames:
    return KnownNames(
        SCENARIOS.keys(),
        VARIANTS.keys(),
        DRIVERS.keys(),
        drivable_by={name: able(one) for name, one in SCENARIOS.items()},
        broadcasting=[name for name, one in SCENARIOS.items() if one.broadcast is not None],
    )


def _profiles() -> list[str]:
    plans = (files("loopmark.scenarios") / "plans").iterdir()
    names = {plan.name.removesuffix(".toml") for plan in plans if plan.name.endswith(".toml")}
    order = ["smoke", "quick", "full", "drivers", "events"]
    return sorted(names, key=lambda name: (order.index(name) if name in order else 9, name))


def _profile_line(name: str) -> str:
    plan, _ = _plan(None, name)
    cells = cells_of(plan)
    minutes = planned_seconds(cells) / 60
    return f"{plan.title} ({len(cells)} cells, {minutes:.1f} minutes of measuring)"


def _find_run(named: Path | None, out_folder: Path) -> RunFolder:
    path = out_folder / LATEST if named is None else named
    if not path.exists() and (out_folder / path).exists():
        path = out_folder / path
    if not path.exists():
        runs = [p.name for p in out_folder.glob("*/") if (p / "run.json").exists()]
        if named is None or not runs:
            raise UserError(f"there is no run at {path}; make one with `loopmark run`")
        raise UserError(unknown_name("run", str(named), runs))
    return RunFolder.existing(path)


def _require_known(kind: str, names: Sequence[str], known: Any) -> None:  # noqa: ANN401
    for name in names:
        if name not in known:
            raise UserError(unknown_name(kind, name, known))


def _print_rows(title: str, rows: Any) -> None:  # noqa: ANN401 - any iterable of pairs
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, text in rows:
        table.add_row(Text(name, "bold"), Text(text))
    out.print(table)
    out.print()


def _exit_as(results: RunResults) -> NoReturn:
    if results.run.interrupted:
        sys.exit(EXIT_INTERRUPTED)
    invalid = any(not cell.validity.is_valid for cell in results.cells)
    sys.exit(EXIT_INVALID if invalid else EXIT_OK)


def _fail(message: str) -> NoReturn:
    click.echo(f"loopmark: {message}", err=True)
    sys.exit(EXIT_USAGE)


def _as_interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
