"""`loopmark list`."""

from __future__ import annotations

import click

from loopmark.harness.commands.console import print_rows
from loopmark.harness.commands.plans import catalog_targets, profile_line, profiles, read_plan
from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.planning.plan import cells_of
from loopmark.scenarios.catalog import SCENARIOS


@click.command(name="list")
@click.option("--cells", is_flag=True, help="Also the cells of a profile.")
@click.option("--profile", metavar="NAME", help="Of which profile (default: quick).")
def list_(*, cells: bool, profile: str | None) -> None:
    """List targets, scenarios, drivers and profiles."""
    print_rows("Targets", ((one.name, one.description) for one in catalog_targets().values()))
    print_rows("Scenarios", ((s.name, s.title) for s in SCENARIOS.values()))
    print_rows("Drivers", ((name, module) for name, module in DRIVERS.items()))
    print_rows("Profiles", ((name, profile_line(name)) for name in profiles()))
    if cells or profile is not None:
        plan, _ = read_plan(None, profile)
        print_rows(
            f"Cells of {plan.name}",
            ((c.name, f"{c.rounds} x {c.load.planned_s:g} s") for c in cells_of(plan)),
        )
