"""The options of `loopmark run` that go with a locustfile."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from loopmark.harness.commands.run_time import seconds
from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.loads.bounds import MAX_CONCURRENCY, MAX_RATE, MAX_ROUNDS
from loopmark.harness.vocabulary.locustfile import LocustfileChoice

DEFAULT_WEB_PORT = 8089
MAX_PORT = 65_535

_FLAG = "--locustfile"
_ARGUMENTS = "loopmark.harness.commands.locustfile_options.arguments"

F = TypeVar("F", bound=Callable[..., Any])


class LocustfileCommand(click.Command):
    """A command whose arguments after `--` are options of the locustfile, if there is one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set the locustfile's own options aside."""
        before, after = args, list[str]()
        if "--" in args:
            cut = args.index("--")
            if any(one == _FLAG or one.startswith(f"{_FLAG}=") for one in args[:cut]):
                before, after = args[:cut], args[cut + 1 :]
        ctx.meta[_ARGUMENTS] = after
        return super().parse_args(ctx, before)


@dataclass(frozen=True, slots=True)
class LocustfileRun:
    """The options of a run of a locustfile.

    Attributes:
        choice: The file and its options.
        rounds: Number of rounds.
        web_port: Port of Locust's live page; None for none.
    """

    choice: LocustfileChoice
    rounds: int
    web_port: int | None


def _seconds(_ctx: click.Context, _param: click.Parameter, text: str | None) -> float | None:
    return None if text is None else seconds(text)


def _number(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # Which is in every range.
        raise click.BadParameter("nan is not a number.")
    return value


_OPTIONS = (
    click.option(
        _FLAG,
        "locustfile",
        metavar="FILE",
        help="Measure this locustfile instead of a plan; the options below require it.",
    ),
    click.option(
        "--host",
        metavar="URL",
        help="Target of the locustfile; default: the host of its user classes.",
    ),
    click.option(
        "--users",
        type=click.IntRange(1, MAX_CONCURRENCY),
        metavar="N",
        help="Concurrent users; default: 1. Not with a LoadTestShape.",
    ),
    click.option(
        "--spawn-rate",
        type=click.FloatRange(0, MAX_RATE, min_open=True),
        callback=_number,
        metavar="R",
        help="Users started per second; default: 1.",
    ),
    click.option(
        "--run-time",
        "run_time_s",
        callback=_seconds,
        metavar="TIME",
        help="Run time from the first user's start, such as 90, 30s or 1m30s; default: 30 s after "
        "all users have started, or at most 10 minutes of a LoadTestShape.",
    ),
    click.option(
        "--rounds",
        type=click.IntRange(1, MAX_ROUNDS),
        metavar="N",
        help="Number of rounds; default: 1. Intervals need 3.",
    ),
    click.option(
        "--class",
        "user_classes",
        multiple=True,
        metavar="NAME",
        help="Only this user class; may be repeated.",
    ),
    click.option(
        "--tags",
        multiple=True,
        metavar="TAG",
        help="Only tasks with this tag; may be repeated.",
    ),
    click.option(
        "--exclude-tags",
        multiple=True,
        metavar="TAG",
        help="No tasks with this tag; may be repeated.",
    ),
    click.option("--web", is_flag=True, help="Serve Locust's live page during the run."),
    click.option(
        "--web-port",
        type=click.IntRange(1, MAX_PORT),
        metavar="PORT",
        help=f"Port of that page on 127.0.0.1; default: {DEFAULT_WEB_PORT}.",
    ),
)


def locustfile_options(command: F) -> F:
    """Add all of these options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def locustfile_run(ctx: click.Context, plan: Mapping[str, object]) -> LocustfileRun | None:
    """Read the options for a locustfile; None if none is named.

    Args:
        ctx: Of a `LocustfileCommand` with `locustfile_options`.
        plan: The options for plans, by name.

    Raises:
        UserError: The options cannot be combined.
    """
    said = {name: ctx.params[name] for name in _NAMES}
    given = {name: value for name, value in said.items() if value not in _NOTHING}
    if "locustfile" not in given:
        for name in given:
            raise UserError(f"{_NAMES[name]} requires {_FLAG} FILE")
        return None
    for name, value in plan.items():
        if value not in _NOTHING:
            raise UserError(f"name a locustfile or {name}, not both")
    if "web_port" in given and not ctx.params["web"]:
        raise UserError("--web-port requires --web")
    _require_text(given, ctx.meta[_ARGUMENTS])
    choice = LocustfileChoice(
        path=given["locustfile"],
        host=ctx.params["host"],
        user_classes=tuple(given.get("user_classes", ())),
        tags=tuple(given.get("tags", ())),
        exclude_tags=tuple(given.get("exclude_tags", ())),
        users=given.get("users"),
        spawn_rate=given.get("spawn_rate"),
        run_time_s=given.get("run_time_s"),
        arguments=tuple(ctx.meta[_ARGUMENTS]),
    )
    port = given.get("web_port", DEFAULT_WEB_PORT) if ctx.params["web"] else None
    return LocustfileRun(choice, given.get("rounds", 1), port)


def _require_text(given: Mapping[str, object], arguments: Sequence[str]) -> None:
    """Text that is not valid UTF-8 cannot be passed to another process."""
    try:
        str((given, arguments)).encode()
    except UnicodeEncodeError as error:
        found = error.object[error.start : error.end]
        raise UserError(f"the command line is not UTF-8 text: {found!r}") from None


_NOTHING: tuple[object, ...] = (None, (), False)
_NAMES = {
    "locustfile": _FLAG,
    "host": "--host",
    "users": "--users",
    "spawn_rate": "--spawn-rate",
    "run_time_s": "--run-time",
    "rounds": "--rounds",
    "user_classes": "--class",
    "tags": "--tags",
    "exclude_tags": "--exclude-tags",
    "web": "--web",
    "web_port": "--web-port",
}
