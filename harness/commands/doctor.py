"""`loopmark doctor`."""

from __future__ import annotations

import sys

import click
from rich.markup import escape

from loopmark.harness.commands.console import ExitCode, out
from loopmark.harness.commands.plans import catalog_targets


@click.command()
def doctor() -> None:
    """Look at what a run needs on this machine, and say what to do about it."""
    from loopmark.harness.run.preflight import diagnose  # noqa: PLC0415 - --help need not wait

    marks = {
        "ok": "[green]ok      [/]",
        "warning": "[yellow]warning [/]",
        "problem": "[red]problem [/]",
    }
    problems = 0
    prepared_by = next(target.prepared_by for target in catalog_targets().values())
    for finding in diagnose(prepared_by):
        problems += finding.level == "problem"
        out.print(f"{marks[finding.level]}{escape(finding.what)}", soft_wrap=True)
        if finding.advice:
            out.print(f"        -> {escape(finding.advice)}", soft_wrap=True)
    sys.exit(ExitCode.INVALID if problems else ExitCode.OK)
