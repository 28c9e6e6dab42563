"""`loopmark verify`."""

from __future__ import annotations

import click

from loopmark.harness.errors import require_known
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.targets.catalog import VARIANTS


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Only this one.")
def verify(targets: tuple[str, ...], scenarios: tuple[str, ...]) -> None:
    """Check the responses of TARGETS (default: all) without measuring."""
    require_known("target", targets, VARIANTS)
    require_known("scenario", scenarios, SCENARIOS)
    from loopmark.harness.commands.verification import check  # noqa: PLC0415 - slow, and not for --help

    check(targets or tuple(VARIANTS), scenarios or tuple(SCENARIOS))
