"""`loopmark report`, and what every run ends with."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from loopmark.harness.commands.console import DEFAULT_OUT, err, out, require_known
from loopmark.harness.errors import UserError, unknown_name
from loopmark.harness.store import LATEST, RunFolder
from loopmark.harness.vocabulary.result import RunResults


@click.command()
@click.argument("run_folder", metavar="[RUN]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    default="html",
    show_default=True,
    help="html (written to RUN/report/), or md, csv, json (printed).",
)
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path),
    default=DEFAULT_OUT,
    show_default=True,
    help="Where RUN is looked up by its id.",
)
def report(run_folder: Path | None, format_: str, out_folder: Path) -> None:
    """Analyse RUN again and show it; RUN is a folder or a run id (default: the latest)."""
    from loopmark.reports.catalog import FORMATS  # noqa: PLC0415 - matplotlib takes its time

    require_known("format", (format_,), FORMATS)
    folder = find_run(run_folder, out_folder)
    from loopmark.harness.analysis.analyse import analyse  # noqa: PLC0415 - --help need not wait

    results = analyse(folder)
    if format_ == "html":
        out.print(Text(str(write_html(folder, results))), soft_wrap=True)
    else:
        click.echo(FORMATS[format_](results), nl=False)


def conclude(folder: RunFolder) -> RunResults:
    """Analyse, report and show a run that has ended."""
    from loopmark.harness.analysis.analyse import analyse  # noqa: PLC0415 - --help need not wait
    from loopmark.reports import terminal  # noqa: PLC0415

    with err.status("summarising", spinner="dots"):
        results = analyse(folder)
        page = write_html(folder, results)
    out.print(terminal.render(results))
    out.print(Text(f"Report: {page}"), soft_wrap=True)
    return results


def write_html(folder: RunFolder, results: RunResults) -> Path:
    """Write the page of a run into its folder, and say where."""
    from loopmark.reports import html  # noqa: PLC0415 - --help need not wait

    folder.report.mkdir(exist_ok=True)
    page = folder.report / "index.html"
    page.write_text(html.render(results), encoding="utf-8")
    return page


def find_run(named: Path | None, out_folder: Path) -> RunFolder:
    """The run of that path or id; the latest where none is named.

    Raises:
        UserError: There is none.
    """
    path = out_folder / LATEST if named is None else named
    if not path.exists() and (out_folder / path).exists():
        path = out_folder / path
    if not path.exists():
        runs = [p.name for p in out_folder.glob("*/") if (p / "run.json").exists()]
        if named is None or not runs:
            raise UserError(f"there is no run at {path}; make one with `loopmark run`")
        raise UserError(unknown_name("run", str(named), runs))
    return RunFolder.existing(path)
