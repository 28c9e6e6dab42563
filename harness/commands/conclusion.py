"""Analyses a run and shows it: `loopmark report`, and the end of every run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.text import Text

from loopmark.harness.analysis.analyse import analyse, analysed
from loopmark.harness.commands.console import err, out
from loopmark.harness.commands.outcome import shown_failures
from loopmark.harness.errors import UnwritableError
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import terminal
from loopmark.reports.catalog import TEXT, render


def show(folder: RunFolder, format_: str) -> None:
    """Analyse a run again, and print its report or, for HTML, where the page is."""
    results = analyse(folder)
    if format_ == "html":
        out.print(Text(str(folder.write_page(render(format_, results)))), soft_wrap=True)
    elif format_ == TEXT:
        out.print(terminal.render(results, verbose=True))
        for line in shown_failures(results, verbose=True):
            out.print(Text(line), soft_wrap=True)
    else:
        click.echo(render(format_, results), nl=False)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a run has come to.

    Attributes:
        results: Of the run.
        page: The report; None if it could not be written.
        trouble: Why it could not.
    """

    results: RunResults
    page: Path | None = None
    trouble: UnwritableError | None = None


def conclude(folder: RunFolder, *, verbose: bool = False) -> Conclusion:
    """Analyse, report and show a run that has ended; show it also where no file can be written.

    Args:
        folder: Of the run.
        verbose: Whether to print all tables.

    Raises:
        UserError: A file of the run is broken.
    """
    with err.status("analysing", spinner="dots"):
        found = Conclusion(analysed(folder))
        try:
            folder.write_results(found.results)
            found = replace(found, page=folder.write_page(render("html", found.results)))
        except UnwritableError as error:
            found = replace(found, trouble=error)
    failed = shown_failures(found.results, verbose=verbose)
    below = sum(1 + len(line) // terminal.WIDTH for line in failed)
    out.print(terminal.render(found.results, verbose=verbose, below=below))
    return found
