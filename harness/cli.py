"""The command line: its commands, and how errors and signals end them."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

import click

from loopmark.harness import __version__
from loopmark.harness.commands.console import ExitCode, err, fail
from loopmark.harness.commands.doctor import doctor
from loopmark.harness.commands.listing import list_
from loopmark.harness.commands.report import report
from loopmark.harness.commands.run import run
from loopmark.harness.commands.serve import serve
from loopmark.harness.commands.verify import verify
from loopmark.harness.commands.worker import worker
from loopmark.harness.errors import UserError, unknown_name


class _Commands(click.Group):
    """Turns errors that are for users into one line and exit code 2."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            fail(unknown_name("command", args[0], self.commands))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it
        try:
            return super().invoke(ctx)
        except UserError as error:
            fail(str(error))
        except click.UsageError as error:
            fail(error.format_message())
        except BrokenPipeError:
            raise  # Click ends quietly when nobody reads on.
        except OSError as error:
            fail(f"{error.filename or 'the system refuses'}: {error.strerror or error}")
        except KeyboardInterrupt:
            err.print("interrupted")
            sys.exit(ExitCode.INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="loopmark")
def main() -> None:
    """Measure what async buys a Python web service.

    LOOPMARK_DATABASE_URL names a PostgreSQL to use instead of the embedded one.

    Exit codes: 0 when all is well; 1 when a cell is invalid (run), an answer is wrong
    (verify), or something is missing (doctor); 2 when the command, a file or the database cannot be
    used; 130 when interrupted.
    """
    # What SIGTERM ends must clean up as after Ctrl-C.
    signal.signal(signal.SIGTERM, _as_interrupt)


for command in (run, list_, verify, serve, worker, report, doctor):
    main.add_command(command)


def _as_interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
