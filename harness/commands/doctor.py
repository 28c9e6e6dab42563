"""`loopmark doctor`."""

from __future__ import annotations

import sys

import click

from loopmark.harness.commands.exits import ExitCode
from loopmark.targets.catalog import VARIANTS


@click.command()
def doctor() -> None:
    """Check that this machine can run Loopmark."""
    from rich.markup import escape  # noqa: PLC0415 - these are slow, and not for --help

    from loopmark.harness.commands.console import out  # noqa: PLC0415
    from loopmark.harness.run.preflight import diagnose  # noqa: PLC0415

    marks = {
        "ok": "[green]ok      [/]",
        "warning": "[yellow]warning [/]",
        "problem": "[red]problem [/]",
    }
    problems = 0
    prepared_by = next(variant.preparation for variant in VARIANTS.values())
    for finding in diagnose(prepared_by):
        problems += finding.level == "problem"
        out.print(f"{marks[finding.level]}{escape(finding.what)}", soft_wrap=True)
        if finding.advice:
            out.print(f"        -> {escape(finding.advice)}", soft_wrap=True)
    sys.exit(ExitCode.FAILED if problems else ExitCode.OK)
