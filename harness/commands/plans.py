"""The plans that the command line can name: a file, or one that is shipped."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from loopmark.harness.commands.console import require_known
from loopmark.harness.drivers.catalog import DRIVERS, able
from loopmark.harness.errors import UserError
from loopmark.harness.planning.plan import Plan, cells_of, planned_seconds
from loopmark.harness.planning.plan_file import KnownNames, parse_plan
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.record import DocumentedPoint
from loopmark.harness.vocabulary.scenario import ScenarioFacts
from loopmark.harness.vocabulary.target import Target
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.targets.catalog import VARIANTS

DEFAULT_PROFILE = "quick"


def read_plan(path: Path | None, profile: str | None) -> tuple[Plan, str]:
    """The plan that was named, and its text; the default profile where none was.

    Raises:
        UserError: There is none of that name, or it is none.
    """
    if path is not None and profile is not None:
        raise UserError("name a plan file or a --profile, not both")
    known = known_names()
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            hint = f"; for the shipped plan: --profile {path}" if str(path) in profiles() else ""
            raise UserError(f"cannot read the plan {path}: {reason}{hint}") from None
        if path.suffix == ".py":
            raise UserError(f"{path} is no plan (TOML); for a locustfile: --locustfile {path}")
        return _in_folder(path.parent, parse_plan(text, str(path), known)), text
    name = DEFAULT_PROFILE if profile is None else profile
    require_known("profile", (name,), profiles())
    text = (files("loopmark.scenarios") / "plans" / f"{name}.toml").read_text(encoding="utf-8")
    return parse_plan(text, f"{name}.toml", known), text


def _in_folder(folder: Path, plan: Plan) -> Plan:
    """The plan with the folders of its own targets, which it names from where it lies.

    Our variants stay where the run was started: what they are told of its files counts from there.
    """
    targets = {
        name: target if target.is_ours else replace(target, folder=str(folder / target.folder))
        for name, target in plan.targets.items()
    }
    return replace(plan, targets=targets)


def catalog_targets() -> dict[str, Target]:
    """The reference targets, by name."""
    return {
        row.name: Target(
            name=row.name,
            variant=row.name,
            ready="/ready",
            description=row.description,
            prepared_by=row.preparation,
        )
        for row in VARIANTS.values()
    }


def known_names() -> KnownNames:
    """The names that a plan may use, from the catalogs."""
    return KnownNames(
        SCENARIOS.keys(),
        catalog_targets(),
        DRIVERS.keys(),
        drivable_by={name: able(one) for name, one in SCENARIOS.items()},
        broadcasting=[name for name, one in SCENARIOS.items() if one.broadcast is not None],
    )


def scenario_facts(cells: Iterable[Cell]) -> tuple[ScenarioFacts, ...]:
    """What a run of these cells keeps of their scenarios."""
    return tuple(SCENARIOS[name].facts for name in dict.fromkeys(cell.scenario for cell in cells))


def documented_points() -> tuple[DocumentedPoint, ...]:
    """The timing table of the documentation that our own targets are held against."""
    text = (files("loopmark.scenarios") / "documented.toml").read_text(encoding="utf-8")
    return tuple(DocumentedPoint(**row) for row in tomllib.loads(text)["point"])


def profiles() -> list[str]:
    """Names of the shipped plans, the shortest runs first."""
    plans = (files("loopmark.scenarios") / "plans").iterdir()
    names = {plan.name.removesuffix(".toml") for plan in plans if plan.name.endswith(".toml")}
    order = ["smoke", "quick", "full", "drivers", "events"]
    return sorted(names, key=lambda name: (order.index(name) if name in order else 9, name))


def profile_line(name: str) -> str:
    """What a shipped plan answers, and what it takes."""
    plan, _ = read_plan(None, name)
    cells = cells_of(plan)
    minutes = planned_seconds(cells) / 60
    return f"{plan.title} ({len(cells)} cells, {minutes:.1f} minutes of measuring)"
