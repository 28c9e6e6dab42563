"""Loads a user's locustfile as Locust's own command line does."""

from __future__ import annotations

import sys
import traceback
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

import locust
from locust import FastHttpUser, HttpUser, LoadTestShape, User
from locust.argument_parser import get_empty_argument_parser, get_parser, setup_parser_arguments
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile

from loopmark.harness.errors import UserError, unknown_name
from loopmark.harness.vocabulary.locustfile import LocustfileChoice

LOCUSTS_OWN = frozenset({"stop_timeout", "equal_weights", "config_users", "loglevel"})
"""Locust's own options that are allowed beside a locustfile's: those on its users' behaviour. The
others control how Locust runs, which this driver decides."""


@dataclass(frozen=True, slots=True)
class LoadedLocustfile:
    """A locustfile that has been imported.

    Attributes:
        path: Its path.
        user_classes: The classes of users that are to be run.
        shape: Decides their number, if the file has one.
        available: All its classes of users, by name.
        options: The options as Locust's command line would parse them.
    """

    path: Path
    user_classes: tuple[type[User], ...]
    shape: LoadTestShape | None
    available: dict[str, type[User]]
    options: Namespace

    def environment(self) -> Environment:
        """Locust's environment for the file; it has no runner yet.

        Its events are those to which the file has added listeners.

        Raises:
            UserError: Locust refuses the classes.
        """
        classes: Any = self.available  # Its types ask for users in place of their classes.
        try:
            environment: Any = Environment(
                user_classes=list(self.user_classes),
                shape_class=self.shape,
                locustfile=self.path.name,
                events=locust.events,
                host=self.options.host,
                reset_stats=self.options.reset_stats,
                parsed_options=self.options,
                parsed_locustfiles=[str(self.path)],
                available_user_classes=classes,
                available_user_tasks={name: one.tasks for name, one in self.available.items()},
                profile=self.options.profile,
            )
            for settings in chain.from_iterable(self.options.config_users or ()):
                environment.update_user_class(settings)
        except (KeyError, ValueError) as problem:
            raise UserError(f"{self.path.name}: {' '.join(str(problem).split())}") from None
        if self.options.equal_weights:
            environment.events.init.add_listener(_assign_equal_weights)
        made: Environment = environment
        return made


def load(choice: LocustfileChoice) -> LoadedLocustfile:
    """Import a locustfile and choose from it.

    Raises:
        UserError: It cannot be imported, or lacks a chosen class.
    """
    path = Path(choice.path).absolute()
    # For a file that looks at its own command line, and for Locust's page, which parses it again.
    sys.argv[1:] = choice.arguments
    found, shapes = _imported(path)
    chosen = _chosen(path, choice.user_classes, found)
    options = _options(choice)
    options.user_classes = [one.__name__ for one in chosen]
    return LoadedLocustfile(path, chosen, shapes[0] if shapes else None, found, options)


def hosts(user_classes: Sequence[type[User]], host: str | None) -> tuple[str, ...]:
    """Where users send their requests, each once.

    Args:
        user_classes: The classes of users.
        host: Replaces their own.

    Raises:
        UserError: A class with an HTTP client has no host.
    """
    if host is not None:
        return (host,)
    for one in user_classes:
        if not issubclass(one, HttpUser | FastHttpUser):
            continue
        if one.host is None:
            raise UserError(f"{one.__name__} has no host; give --host URL")
        if not str(one.host).startswith(("http://", "https://")):
            raise UserError(f"the host {one.host!r} of {one.__name__} is not an http(s) URL")
    return tuple(dict.fromkeys(str(one.host) for one in user_classes if one.host is not None))


def _imported(path: Path) -> tuple[dict[str, type[User]], list[LoadTestShape]]:
    try:
        return load_locustfile(str(path))
    except OSError as problem:
        if _line_in(path, problem) is None:
            raise UserError(f"cannot read {path.name}: {problem.strerror}") from None
        raise UserError(_what_happened(path, problem)) from None
    except SystemExit as problem:
        where = _where(path, problem)
        code = "" if problem.code is None else repr(problem.code)
        raise UserError(f"{where}: the import called sys.exit({code})") from None
    except Exception as problem:  # noqa: BLE001 - whatever a file of the user's raises
        raise UserError(_what_happened(path, problem)) from None


def _what_happened(path: Path, problem: BaseException) -> str:
    last = traceback.format_exception_only(problem)[-1]
    return f"{_where(path, problem)}: it does not import: {' '.join(last.split())}"


def _where(path: Path, problem: BaseException) -> str:
    line = _line_in(path, problem)
    return path.name if line is None else f"{path.name}, line {line}"


def _line_in(path: Path, problem: BaseException) -> int | None:
    """The line of the user's file at which it happened; None if unknown."""
    if isinstance(problem, SyntaxError) and problem.filename == str(path):
        return problem.lineno
    frames = traceback.extract_tb(problem.__traceback__)
    return next((one.lineno for one in reversed(frames) if one.filename == str(path)), None)


def _chosen(
    path: Path, names: Sequence[str], found: dict[str, type[User]]
) -> tuple[type[User], ...]:
    if not found:
        raise UserError(
            f"{path.name} has no user class: none extends HttpUser, FastHttpUser or User"
        )
    for name in names:
        if name not in found:
            raise UserError(f"{path.name}: {unknown_name('class of users', name, found)}")
    return tuple(found[name] for name in dict.fromkeys(names or found))


def _options(choice: LocustfileChoice) -> Namespace:
    """As Locust would parse them, its configuration files and variables included.

    Raises:
        UserError: They do not parse, or are not allowed here.
    """
    parser: Any = get_parser()
    parser.exit = _refuse
    options: Namespace = parser.parse_args(list(choice.arguments))
    _require_own(choice.arguments)
    # Not from a configuration file that nobody has named: load goes where it is told.
    options.host = choice.host
    options.num_users, options.spawn_rate = choice.users, choice.spawn_rate
    run_time_s = choice.run_time_s
    whole = run_time_s is not None and run_time_s == int(run_time_s)
    options.run_time = int(run_time_s) if run_time_s is not None and whole else run_time_s
    options.tags = list(choice.tags) or options.tags
    options.exclude_tags = list(choice.exclude_tags) or options.exclude_tags
    options.locustfile = choice.path
    options.headless, options.autostart = True, False
    options.master = options.worker = False
    options.processes = None
    options.stats_history_enabled = False
    options.csv_prefix = options.html_file = options.json_file = None
    return options


def _require_own(arguments: Sequence[str]) -> None:
    """Refuse options that are Locust's, not the locustfile's."""
    parser: Any = get_empty_argument_parser(default_config_files=[])
    parser.allow_abbrev = False
    add_locusts_own: Any = setup_parser_arguments  # Without types, as all of these.
    add_locusts_own(parser)
    parser.exit = _refuse
    plain = vars(parser.parse_known_args([])[0])
    for name, value in vars(parser.parse_known_args(list(arguments))[0]).items():
        if name == "user_classes" or name in LOCUSTS_OWN or value == plain[name]:
            continue
        action = next(one for one in parser._actions if one.dest == name)  # noqa: SLF001 - there is no other way to its name
        raise UserError(
            f"{action.option_strings[-1]} is an option of Locust: only options that the locustfile "
            "adds go after --; see loopmark run --help for the others"
        )


def _refuse(_status: int = 0, message: str | None = None) -> NoReturn:
    """Replaces argparse's exit of the process."""
    told = " ".join((message or "").split()).partition("error: ")[2]
    raise UserError(f"options of the locustfile: {told or 'there is no help for them here'}")


def _assign_equal_weights(environment: Environment, **_: object) -> None:
    environment.assign_equal_weights()
