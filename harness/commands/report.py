"""`loopmark report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopmark.harness.errors import UserError, require_known, unknown_name
from loopmark.harness.vocabulary.folders import LATEST, RESULTS
from loopmark.reports.catalog import FORMATS, TEXT

if TYPE_CHECKING:
    from loopmark.harness.store import RunFolder


@click.command()
@click.argument("run_folder", metavar="[RUN]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "format_",
    metavar="FORMAT",
    default="html",
    show_default=True,
    help="html (written to RUN/report/), or text, md, csv, json (printed).",
)
@click.option(
    "--out",
    "out_folder",
    type=click.Path(path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Folder to look up RUN by its id.",
)
def report(run_folder: Path | None, format_: str, out_folder: Path) -> None:
    """Analyse RUN again and show it; RUN is a folder or a run id (default: the latest)."""
    require_known("format", (format_,), (TEXT, *FORMATS))
    folder = find_run(run_folder, out_folder)
    from loopmark.harness.commands.conclusion import show  # noqa: PLC0415 - slow, and not for --help

    show(folder, format_)


def find_run(named: Path | None, out_folder: Path) -> RunFolder:
    """The run of this path or id; the latest if none is named.

    Raises:
        UserError: There is no such run.
    """
    path = out_folder / LATEST if named is None else named
    if not path.exists() and (out_folder / path).exists():
        path = out_folder / path
    if not path.exists():
        runs = [p.name for p in out_folder.glob("*/") if (p / "run.json").exists()]
        if named is None or not runs:
            raise UserError(f"no run at {path}; make one with `loopmark run`")
        raise UserError(unknown_name("run", str(named), runs))
    from loopmark.harness.store import RunFolder  # noqa: PLC0415 - slow, and not for --help

    return RunFolder.existing(path)
