"""How commands end."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NoReturn

import click


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    INVALID = 1
    USAGE = 2
    INTERRUPTED = 130


def fail(message: str) -> NoReturn:
    """Print one line per problem in what the user gave, and exit."""
    for line in message.splitlines():
        click.echo(f"loopmark: {line}", err=True)
    sys.exit(ExitCode.USAGE)
