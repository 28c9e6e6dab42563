"""`loopmark list`."""

from __future__ import annotations

import click

from loopmark.harness.commands.plan_texts import plan_text, profiles


@click.command(name="list")
@click.option("--cells", is_flag=True, help="Also list the cells of a profile.")
@click.option("--profile", metavar="NAME", help="The profile for --cells (default: quick).")
def list_(*, cells: bool, profile: str | None) -> None:
    """List targets, scenarios, drivers and profiles."""
    text = plan_text(None, profile)
    from loopmark.harness.commands.console import print_rows  # noqa: PLC0415 - not for --help
    from loopmark.harness.commands.plans import catalog_targets, parsed, profile_line  # noqa: PLC0415
    from loopmark.harness.drivers.catalog import DRIVERS  # noqa: PLC0415
    from loopmark.harness.planning.plan import cells_of  # noqa: PLC0415
    from loopmark.scenarios.catalog import SCENARIOS  # noqa: PLC0415

    print_rows("Targets", ((t.name, t.description) for t in catalog_targets().values()))
    print_rows("Scenarios", ((s.name, s.title) for s in SCENARIOS.values()))
    print_rows("Drivers", DRIVERS.items())
    print_rows("Profiles", ((name, profile_line(name)) for name in profiles()))
    if cells or profile is not None:
        plan = parsed(text)
        print_rows(
            f"Cells of {plan.name}",
            ((c.name, f"{c.rounds} x {c.load.planned_s:g} s") for c in cells_of(plan)),
        )
