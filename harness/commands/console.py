"""Where commands print, and how they end."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loopmark.harness.errors import UserError, unknown_name

DEFAULT_OUT = Path("results")

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    INVALID = 1
    USAGE = 2
    INTERRUPTED = 130


def fail(message: str) -> NoReturn:
    """End with a line on each thing that was wrong with what the user gave."""
    for line in message.splitlines():
        click.echo(f"loopmark: {line}", err=True)
    sys.exit(ExitCode.USAGE)


def require_known(kind: str, names: Sequence[str], known: Collection[str]) -> None:
    """Check names that the user gave.

    Raises:
        UserError: One is none of those that there are.
    """
    for name in names:
        if name not in known:
            raise UserError(unknown_name(kind, name, known))


def print_rows(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print names, and what each is."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, text in rows:
        table.add_row(Text(name, "bold"), Text(text))
    out.print(table)
    out.print()
