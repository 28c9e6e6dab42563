"""Analyses a run and shows it: `loopmark report`, and the end of every run."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from loopmark.harness.analysis.analyse import analyse
from loopmark.harness.commands.console import err, out
from loopmark.harness.commands.outcome import shown_failures
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import terminal
from loopmark.reports.catalog import TEXT, render


def show(folder: RunFolder, format_: str) -> None:
    """Analyse a run again, and print its report or, for HTML, where the page is."""
    results = analyse(folder)
    if format_ == "html":
        out.print(Text(str(write_html(folder, results))), soft_wrap=True)
    elif format_ == TEXT:
        out.print(terminal.render(results, verbose=True))
        for line in shown_failures(results, verbose=True):
            out.print(Text(line), soft_wrap=True)
    else:
        click.echo(render(format_, results), nl=False)


def conclude(folder: RunFolder, *, verbose: bool = False) -> tuple[RunResults, Path]:
    """Analyse, report and show a run that has ended.

    Args:
        folder: Of the run.
        verbose: Whether to print all tables.

    Returns:
        The results, and where the page is.
    """
    with err.status("analysing", spinner="dots"):
        results = analyse(folder)
        page = write_html(folder, results)
    failed = shown_failures(results, verbose=verbose)
    below = sum(1 + len(line) // terminal.WIDTH for line in failed)
    out.print(terminal.render(results, verbose=verbose, below=below))
    return results, page


def write_html(folder: RunFolder, results: RunResults) -> Path:
    """Write the page of a run into its folder, and print its path."""
    folder.report.mkdir(exist_ok=True)
    page = folder.report / "index.html"
    page.write_text(render("html", results), encoding="utf-8")
    return page
