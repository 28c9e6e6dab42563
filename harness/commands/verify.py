"""`loopmark verify`."""

from __future__ import annotations

import sys

import click
from rich.text import Text

from loopmark.harness.commands.console import (
    ExitCode,
    out,
    require_known,
)
from loopmark.harness.commands.plans import catalog_targets
from loopmark.scenarios.catalog import SCENARIOS


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this one.")
def verify(targets: tuple[str, ...], scenarios: tuple[str, ...]) -> None:
    """Check the answers of TARGETS (default: all) without timing anything."""
    from loopmark.harness.run.verification import verify as verdicts  # noqa: PLC0415 - as above

    known = catalog_targets()
    require_known("target", targets, known)
    require_known("scenario", scenarios, SCENARIOS)
    wrong = 0
    for verdict in verdicts(
        tuple(known[name] for name in targets or known), scenarios or tuple(SCENARIOS)
    ):
        mark = "[green]right[/]" if not verdict.problem else "[red]WRONG[/]"
        out.print(f"{mark}  {verdict.target:<16} {verdict.scenario}")
        if verdict.problem:
            wrong += 1
            out.print(Text(verdict.problem, "red"), soft_wrap=True)
    sys.exit(ExitCode.INVALID if wrong else ExitCode.OK)
