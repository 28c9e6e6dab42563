"""The command line: its commands, and how errors and signals end it."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from loopmark.harness.commands.exits import ExitCode, fail
from loopmark.harness.errors import UserError, unknown_name

COMMANDS = {
    "run": ("run.run", "Measure a PLAN (a TOML file) or a shipped profile, and write a report."),
    "list": ("listing.list_", "List targets, scenarios, drivers and profiles."),
    "verify": ("verify.verify", "Check the responses of TARGETS (default: all) without measuring."),
    "serve": ("serve.serve", "Start a reference target with its database, for any client."),
    "probe": (
        "probe.probe",
        "Say which lines block the event loop of APP (package.module:app), worst first.",
    ),
    "worker": ("worker.worker", "Drive a share of a run on another machine."),
    "report": (
        "report.report",
        "Analyse RUN again and show it; RUN is a folder or a run id (default: the latest).",
    ),
    "doctor": ("doctor.doctor", "Check that this machine can run Loopmark."),
}
"""By name: a command's module and function, and its line of `--help`."""


class _Commands(click.Group):
    """Imports a command when it is invoked; turns a `UserError` into one line and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, function = COMMANDS[cmd_name][0].split(".")
        command: click.Command = getattr(
            import_module(f"loopmark.harness.commands.{module}"), function
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            fail(unknown_name("command", args[0], COMMANDS))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        try:
            return super().invoke(ctx)
        except UserError as error:
            fail(str(error))
        except click.UsageError as error:
            fail(error.format_message())
        except BrokenPipeError:
            raise  # Click ends quietly when the reader of a pipe has gone.
        except OSError as error:
            fail(f"{error.filename or 'system error'}: {error.strerror or error}")
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(ExitCode.INTERRUPTED)


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value:
        from loopmark.harness import __version__  # noqa: PLC0415 - the look-up is slow

        click.echo(f"loopmark, version {__version__}")
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Measure what async buys a Python web service.

    Set LOOPMARK_DATABASE_URL to use your own PostgreSQL instead of the embedded one.

    Exit codes: 0 success; 1 wrong responses, errors or a dead target (run, verify), with --strict
    also an invalid cell, a missing requirement (doctor), or a blocked event loop (probe); 2 invalid
    arguments, or an unusable file or database; 130 interrupted.
    """
    # SIGTERM must clean up like Ctrl-C.
    signal.signal(signal.SIGTERM, _as_interrupt)


def _as_interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
