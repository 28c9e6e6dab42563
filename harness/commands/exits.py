"""Exit codes, and exits on errors."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NoReturn

import click


class ExitCode(IntEnum):
    """Exit codes of commands."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130


def fail(message: str) -> NoReturn:
    """Print one line per problem in the user's input, and exit."""
    for line in message.splitlines():
        click.echo(f"loopmark: {line}", err=True)
    sys.exit(ExitCode.USAGE)
