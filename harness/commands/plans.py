"""Parses plans with the names of the catalogs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from loopmark.harness.commands.plan_texts import PlanText, profile_text
from loopmark.harness.commands.run_time import minutes
from loopmark.harness.drivers.catalog import DISTRIBUTED, DRIVERS, drivers_for
from loopmark.harness.errors import UserError, require_known
from loopmark.harness.launch.ports import HOST
from loopmark.harness.planning.plan import (
    Plan,
    cells_of,
    drivable,
    driven_by,
    expected_seconds,
    planned_seconds,
    select,
)
from loopmark.harness.planning.plan_file import KnownNames, parse_plan
from loopmark.harness.planning.questions import questions_of
from loopmark.harness.run.request import RunRequest, new_run_id
from loopmark.harness.vocabulary.address import parse_address
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.fault import Fault, Symptom
from loopmark.harness.vocabulary.job import Workers
from loopmark.harness.vocabulary.record import DocumentedPoint
from loopmark.harness.vocabulary.scenario import ScenarioFacts
from loopmark.harness.vocabulary.target import Target
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.targets.catalog import VARIANTS, Variant


def parsed(plan: PlanText) -> Plan:
    """Parse a plan.

    Raises:
        UserError: It is not a valid plan.
    """
    return _in_folder(plan.folder, parse_plan(plan.text, plan.source, known_names()))


def request_for(
    text: PlanText,
    drivers: Sequence[str],
    only: str | None,
    workers: Workers | None,
    budget_s: float | None = None,
) -> tuple[RunRequest, str]:
    """Build the request for a run of a plan.

    Args:
        text: The plan.
        drivers: Drivers instead of the plan's; empty keeps the plan's.
        only: Pattern for names of cells; None selects all.
        workers: Processes that share the load; None for one process per driver.
        budget_s: Seconds for a plan with questions; None for what the plan says.

    Returns:
        The request, and a line on cells that their driver cannot drive (empty without any).

    Raises:
        UserError: A name is unknown, the plan is not valid, no cell is left, or the driver of a
            cell cannot share its load among workers.
    """
    require_known("driver", drivers, DRIVERS)
    plan = parsed(text)
    if drivers:
        plan = driven_by(tuple(dict.fromkeys(drivers)), plan)
    cells, skipped = drivable(select(cells_of(plan), only), known_names().drivable_by)
    for cell in cells if workers else ():
        if cell.driver not in DISTRIBUTED:
            raise UserError(
                f"--workers: the {cell.driver} driver of {cell.name} is one process; add "
                "--driver locust, which skips what it cannot drive"
            )
    questions = questions_of(plan, cells, _places())
    if budget_s is not None and not plan.question:
        raise UserError("--time: only for questions, and this plan has fixed rounds")
    if plan.question and not questions:
        raise UserError("--only: it leaves one side of every question; choose both")
    budget_s = _budget(plan, cells, budget_s) if questions else None
    listen = workers.listen if workers else ""
    request = RunRequest(
        new_run_id(plan.name),
        plan,
        text.text,
        cells,
        scenario_facts(cells),
        documented_points(),
        workers,
        parse_address(listen, "--listen").host if listen else HOST,
        questions=questions,
        budget_s=budget_s,
    )
    return request, skipped


def _places() -> dict[str, float]:
    return {name: one.sweep.at for name, one in SCENARIOS.items() if one.sweep is not None}


def _budget(plan: Plan, cells: Sequence[Cell], asked_s: float | None) -> float:
    """Seconds for a run with questions.

    Raises:
        UserError: Their first rounds take longer.
    """
    needed_s = math.ceil(expected_seconds(cells))
    given_s = asked_s or plan.budget_s or needed_s
    if given_s < needed_s:
        where = "--time" if asked_s else f"{plan.name}: budget_s"
        raise UserError(
            f"{where}: the first rounds of every question take about {minutes(needed_s)}; give as "
            "much, or choose fewer cells with --only"
        )
    return given_s


def _in_folder(folder: Path, plan: Plan) -> Plan:
    """The plan with the folders of its own targets resolved against the plan's folder.

    Our variants run in the present folder: paths in their environment are relative to it.
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
            connection_test=row.connection_test,
            prepared_by=row.preparation,
            kept_connections=row.kept_connections,
            fault=_fault(row),
        )
        for row in VARIANTS.values()
    }


def _fault(row: Variant) -> Fault | None:
    """The mistake that a variant declares."""
    if row.fault is None:
        return None
    symptom = Symptom(row.fault.symptom.value)
    return Fault(symptom, row.fault.mistake, row.fault.cure, row.twin)


def known_names() -> KnownNames:
    """The names that a plan may use, from the catalogs."""
    return KnownNames(
        SCENARIOS.keys(),
        catalog_targets(),
        DRIVERS.keys(),
        drivable_by={name: drivers_for(one) for name, one in SCENARIOS.items()},
        broadcasting=[name for name, one in SCENARIOS.items() if one.broadcast is not None],
        series={name: one.sweep.series for name, one in SCENARIOS.items() if one.sweep},
    )


def scenario_facts(cells: Iterable[Cell]) -> tuple[ScenarioFacts, ...]:
    """The records of these cells' scenarios."""
    return tuple(SCENARIOS[name].facts for name in dict.fromkeys(cell.scenario for cell in cells))


def documented_points() -> tuple[DocumentedPoint, ...]:
    """The documentation's timing table, which our own targets are compared with."""
    text = (files("loopmark.scenarios") / "documented.toml").read_text(encoding="utf-8")
    return tuple(DocumentedPoint(**row) for row in tomllib.loads(text)["point"])


def profile_line(name: str) -> str:
    """A shipped plan's question, and its duration."""
    plan = parsed(profile_text(name))
    cells = cells_of(plan)
    if questions := questions_of(plan, cells, _places()):
        whole = _budget(plan, cells, None) / 60
        return f"{plan.title} ({len(questions)} questions, {whole:.0f} minutes)"
    measuring = planned_seconds(cells) / 60
    return f"{plan.title} ({len(cells)} cells, {measuring:.1f} minutes of measuring)"
