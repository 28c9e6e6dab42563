"""`loopmark probe`."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopmark.harness.commands.exits import ExitCode
from loopmark.harness.errors import UserError, require_known
from loopmark.reports.catalog import PROBE_FORMATS

if TYPE_CHECKING:
    from loopmark.harness.vocabulary.target import Target

AUTHORIZATION = "LOOPMARK_AUTHORIZATION"
DOCUMENT = "/openapi.json"
USERS, MOST_USERS = 10, 500
MOST_SECONDS = 60.0

_APPLICATION = re.compile(r"[\w.]+:[\w.]+")


@click.command()
@click.argument("app", metavar="APP")
@click.argument("serving", metavar="[-- UVICORN OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--targets",
    "plan",
    metavar="PLAN",
    type=click.Path(path_type=Path),
    help="A TOML file; APP is then the name of one of its [targets]: asgi or command.",
)
@click.option("--factory", is_flag=True, help="APP is a function that makes the application.")
@click.option(
    "--python",
    type=click.Path(path_type=Path),
    help="Interpreter with the application and uvicorn (default: that of the active virtual "
    "environment, else the one that runs loopmark).",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where it is started (default: the present folder; of a target, what the plan says).",
)
@click.option(
    "--path",
    "paths",
    multiple=True,
    metavar="PATH",
    help="Ask this path; repeatable. Without --openapi, only these.",
)
@click.option(
    "--openapi",
    metavar="PATH",
    help=f"Where the OpenAPI document is; without --path: {DOCUMENT}.",
)
@click.option("--write", is_flag=True, help="Ask methods that may change data too.")
@click.option(
    "--users",
    type=click.IntRange(1, MOST_USERS),
    default=USERS,
    show_default=True,
    help="How many ask at once.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, MOST_SECONDS),
    help="For how long each route is asked (default: 1.5, less where there are many).",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the values in requests.")
@click.option(
    "--authorization-from",
    metavar="NAME",
    default=AUTHORIZATION,
    show_default=True,
    help="Environment variable with the Authorization header; it is never stored or printed.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="WHAT",
    help="Accept a line (file.py:12), a file, a function, or a kind such as gc; repeatable.",
)
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    default="text",
    show_default=True,
    help=f"{', '.join(PROBE_FORMATS)}.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it to this file, and print the text.",
)
def probe(  # noqa: PLR0913, PLR0917 - one for each option
    app: str,
    serving: tuple[str, ...],
    plan: Path | None,
    factory: bool,  # noqa: FBT001 - click's
    python: Path | None,
    folder: Path | None,
    paths: tuple[str, ...],
    openapi: str | None,
    write: bool,  # noqa: FBT001
    users: int,
    seconds: float | None,
    seed: int,
    authorization_from: str,
    allow: tuple[str, ...],
    format_: str,
    out: Path | None,
) -> None:
    """Say which lines block the event loop of APP (package.module:app), worst first.

    APP is started unchanged, in its own Python environment, and its routes are asked at a modest
    load: GET and HEAD of its OpenAPI document. What follows -- is for uvicorn:

    loopmark probe shop.main:app -- --loop asyncio

    Exit code 0: nothing blocks again and again; 1: something does, or coroutines are not awaited;
    2: the application cannot be started, asked or watched.
    """
    require_known("format", (format_,), PROBE_FORMATS)
    if out is not None and not out.absolute().parent.is_dir():
        raise UserError(f"--out: there is no folder {out.parent}")
    if plan is None and not _APPLICATION.fullmatch(app):
        raise UserError(
            f"APP: package.module:app is needed, got '{app}'; for the name of a target add "
            "--targets PLAN"
        )
    target = _asgi(app, folder) if plan is None else _named(app, plan, folder)
    if target.command and (python or factory or serving):
        option = "--python" if python else "--factory" if factory else "options of uvicorn"
        raise UserError(f"{option}: no effect on '{app}', which a command starts; change that")
    from loopmark.harness.commands.probing import ProbeOptions, show  # noqa: PLC0415 - slow, and not for --help

    if openapi is None:
        openapi = "" if paths else DOCUMENT
    options = ProbeOptions(
        target=target,
        python=python,
        serving=(*serving, *(["--factory"] if factory else [])),
        paths=paths,
        openapi=openapi,
        write=write,
        users=users,
        seconds=seconds,
        seed=seed,
        authorization_from=authorization_from,
        allow=allow,
    )
    sys.exit(ExitCode.FAILED if show(options, format_, out) else ExitCode.OK)


def _asgi(app: str, folder: Path | None) -> Target:
    from loopmark.harness.vocabulary.target import Target  # noqa: PLC0415 - slow, and not for --help

    return Target(name=app, asgi=app, folder=str((folder or Path()).resolve()))


def _named(name: str, plan: Path, folder: Path | None) -> Target:
    """The target of that name in a plan.

    Raises:
        UserError: There is none that can be probed.
    """
    from dataclasses import replace  # noqa: PLC0415 - these are slow, and not for --help

    from loopmark.harness.commands.plan_texts import plan_text  # noqa: PLC0415
    from loopmark.harness.commands.plans import known_names  # noqa: PLC0415
    from loopmark.harness.planning.plan_file import parse_targets  # noqa: PLC0415

    text = plan_text(plan, None)
    targets = parse_targets(text.text, text.source, known_names())
    if not targets:
        raise UserError(f"{plan}: it has no [targets]")
    require_known("target", (name,), targets)
    target = targets[name]
    if target.url:
        raise UserError(
            f"{plan}: '{name}' runs already at {target.url} and cannot be probed: the probe is put "
            "in at the start; give its asgi or command"
        )
    if target.is_ours:
        raise UserError(f"{plan}: '{name}' is a variant; only asgi and command can be probed")
    started_in = folder if folder is not None else text.folder / target.folder
    return replace(target, folder=str(started_in.resolve()))
