"""The consoles that commands print to."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_rows(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Print a table of names and descriptions."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, text in rows:
        table.add_row(Text(name, "bold"), Text(text))
    out.print(table)
    out.print()
