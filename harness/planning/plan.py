"""Plans: from the text of a TOML file to cells, in the order in which they are measured."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from random import Random
from typing import Annotated

from pydantic import ConfigDict, Field, PositiveInt, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from loopmark.harness.errors import UserError, unknown_name
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.load import PlanLoad
from loopmark.harness.vocabulary.loads.model import DELIVERY
from loopmark.harness.vocabulary.target import Target

MAX_ROUNDS = 1000
Names = Annotated[tuple[str, ...], Field(min_length=1)]
TimeoutSeconds = Annotated[float, Field(gt=0, le=3600)]


@dataclass(frozen=True, slots=True)
class Measure:
    """One block of a plan: every combination of what it names is a cell."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    scenarios: Names
    targets: Names
    loads: Annotated[tuple[PlanLoad, ...], Field(min_length=1)]
    rounds: Annotated[PositiveInt, Field(le=MAX_ROUNDS)]
    drivers: Names = ("httpx",)


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets x scenarios x loads x drivers x rounds.

    Attributes:
        name: Short, for the run's folder and the report.
        title: What the plan answers.
        measure: The blocks.
        targets: Those that the blocks name, and the plan's own, by name.
        seed: Of the order of the rounds and of the virtual users' choices.
        connect_timeout_s: Seconds that opening a connection may take.
        first_byte_timeout_s: Seconds from sending until an answer must begin; None is as many as it
            may take as a whole.
        request_timeout_s: Seconds from sending until an answer must be complete.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,29}$")]
    title: str
    measure: Annotated[tuple[Measure, ...], Field(min_length=1)]
    targets: Mapping[str, Target] = field(default_factory=dict)
    seed: int = 1
    connect_timeout_s: TimeoutSeconds = 10.0
    first_byte_timeout_s: TimeoutSeconds | None = None
    request_timeout_s: TimeoutSeconds = 120.0

    @property
    def timeouts(self) -> Timeouts:
        """After how many seconds a request counts as failed."""
        first_byte_s = self.first_byte_timeout_s
        return Timeouts(
            connect_s=self.connect_timeout_s,
            first_byte_s=self.request_timeout_s if first_byte_s is None else first_byte_s,
            response_s=self.request_timeout_s,
        )


@dataclass(frozen=True, slots=True)
class KnownNames:
    """The names that a plan may use.

    Attributes:
        scenarios: All there are.
        targets: The catalog's, by name.
        drivers: All there are.
        drivable_by: By scenario that not every driver can drive: the drivers that can.
        broadcasting: The scenarios that publish something, so that it can be fanned out.
    """

    scenarios: Collection[str]
    targets: Mapping[str, Target]
    drivers: Collection[str]
    drivable_by: Mapping[str, Collection[str]] = field(default_factory=dict)
    broadcasting: Collection[str] = ()


_PLAN = TypeAdapter(Plan)


def parse_plan(text: str, source: str, known: KnownNames) -> Plan:
    """Read a plan.

    Args:
        text: TOML.
        source: The file's name, for messages.
        known: The names that exist.

    Raises:
        UserError: With the file, the line or key, and what was expected there.
    """
    plan = _read(text, source)
    own = {name: _own_target(target, known) for name, target in plan.targets.items()}
    all_targets = {**known.targets, **own}
    if plan.timeouts.first_byte_s > plan.request_timeout_s:
        raise UserError(
            f"{source}: first_byte_timeout_s: at most request_timeout_s, which is "
            f"{plan.request_timeout_s:g}, got {plan.timeouts.first_byte_s:g}"
        )
    for index, block in enumerate(plan.measure):
        for kind, names, valid in (
            ("scenario", block.scenarios, known.scenarios),
            ("target", block.targets, all_targets),
            ("driver", block.drivers, known.drivers),
        ):
            for name in names:
                if name not in valid:
                    where = f"{source}: measure[{index}].{kind}s"
                    raise UserError(f"{where}: {unknown_name(kind, name, valid)}")
        if problem := _unfit_driver(block, known.drivable_by):
            raise UserError(f"{source}: measure[{index}].drivers: {problem}")
        if problem := _unfit_load(block, known.broadcasting):
            raise UserError(f"{source}: measure[{index}].{problem}")
    _refuse_duplicates(cells_of(plan), source)
    named = {name: all_targets[name] for block in plan.measure for name in block.targets}
    return replace(plan, targets=own | named)


def _own_target(target: Target, known: KnownNames) -> Target:
    """A target of the plan; one of our variants with what the catalog knows of it."""
    if not target.variant:
        return target
    row = known.targets[target.variant]
    return replace(
        target,
        ready=row.ready,
        description=target.description or row.description,
        prepared_by=row.prepared_by,
    )


def driven_by(drivers: tuple[str, ...], plan: Plan) -> Plan:
    """The plan with these drivers instead of those that it names.

    Raises:
        UserError: When two of its blocks have the same cells then.
    """
    blocks = tuple(replace(block, drivers=drivers) for block in plan.measure)
    found = replace(plan, measure=blocks)
    _refuse_duplicates(cells_of(found), f"{plan.name} with --driver")
    return found


def drivable(
    cells: Sequence[Cell], drivable_by: Mapping[str, Collection[str]]
) -> tuple[tuple[Cell, ...], str]:
    """Keep the cells that their driver can drive.

    Args:
        cells: Those that were chosen.
        drivable_by: By scenario that not every driver can drive: the drivers that can.

    Returns:
        These cells, and a line on the others: how many, of which scenarios, and what drives those.
        The line is empty where there are none.

    Raises:
        UserError: With that line, when nothing is left.
    """
    kept = tuple(cell for cell in cells if _is_drivable(cell, drivable_by))
    skipped = [cell for cell in cells if not _is_drivable(cell, drivable_by)]
    if not skipped:
        return kept, ""
    fit: dict[tuple[str, ...], list[str]] = {}
    for name in dict.fromkeys(cell.scenario for cell in skipped):
        fit.setdefault(tuple(sorted(drivable_by[name])), []).append(name)
    why = "; ".join(
        f"only {' or '.join(able)} can drive {', '.join(names)}" for able, names in fit.items()
    )
    named = " ".join(f"--driver {name}" for name in sorted({cell.driver for cell in skipped}))
    if not kept:
        raise UserError(f"{named}: no cell is left to measure: {why}")
    return kept, f"{named}: {len(skipped)} of {len(cells)} cells skipped: {why}"


def _is_drivable(cell: Cell, drivable_by: Mapping[str, Collection[str]]) -> bool:
    return cell.driver in drivable_by.get(cell.scenario, (cell.driver,))


def cells_of(plan: Plan) -> tuple[Cell, ...]:
    """Every cell of the plan, in the plan's own order."""
    return tuple(
        Cell(scenario=scenario, target=target, load=load, driver=driver, rounds=block.rounds)
        for block in plan.measure
        for scenario in block.scenarios
        for load in block.loads
        for target in block.targets
        for driver in block.drivers
    )


def select(cells: Sequence[Cell], pattern: str | None) -> tuple[Cell, ...]:
    """Keep the cells whose name matches a glob or, without wildcards, contains the pattern.

    Raises:
        UserError: When nothing is left.
    """
    if pattern is None:
        return tuple(cells)
    if not pattern:
        raise UserError("--only: the pattern is empty")
    glob = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    chosen = tuple(cell for cell in cells if fnmatchcase(cell.name, glob))
    if not chosen:
        parts = {part for cell in cells for part in (cell.name, *cell.name.split("/"))}
        raise UserError(f"--only: {unknown_name('cell', pattern, parts)}")
    return chosen


def interleave(cells: Sequence[Cell], seed: int) -> tuple[tuple[tuple[Cell, int], ...], ...]:
    """Order the rounds: blocks that hold each cell at most once, shuffled with the seed.

    A cell with fewer rounds than the most is measured in a random choice of the blocks, so that
    drift of the machine falls on all cells alike. Cells that will be held side by side (same
    scenario and load, whatever the target and the driver) share that choice as far as their rounds
    go: their rounds are pairs.

    Returns:
        Blocks of (cell, 0-based round of that cell).
    """
    random = Random(seed)  # noqa: S311 - an order, not a secret
    count = max((cell.rounds for cell in cells), default=0)
    blocks: list[list[tuple[Cell, int]]] = [[] for _ in range(count)]
    orders: dict[tuple[str, str], list[int]] = {}
    for cell in cells:
        alike = (cell.scenario, cell.load.label)
        order = orders.setdefault(alike, random.sample(range(count), count))
        for round_number, block in enumerate(sorted(order[: cell.rounds])):
            blocks[block].append((cell, round_number))
    for block_cells in blocks:
        random.shuffle(block_cells)
    return tuple(tuple(block) for block in blocks if block)


def planned_seconds(cells: Iterable[Cell]) -> float:
    """Seconds of driving that the cells provide for, over all rounds."""
    return sum(cell.load.planned_s * cell.rounds for cell in cells)


def _unfit_driver(block: Measure, drivable_by: Mapping[str, Collection[str]]) -> str:
    """What a block asks of a driver that cannot do it; empty if nothing."""
    for scenario in block.scenarios:
        able = drivable_by.get(scenario, block.drivers)
        for driver in block.drivers:
            if driver not in able:
                return (
                    f"'{driver}' cannot drive the scenario '{scenario}', only "
                    f"{' and '.join(sorted(able))} can; give '{scenario}' a [[measure]] of its own "
                    f"with drivers = {json.dumps(sorted(able))}"
                )
    return ""


def _unfit_load(block: Measure, broadcasting: Collection[str]) -> str:
    """The key of a load that asks of a scenario what it has not, and what to do; empty if none."""
    for index, load in enumerate(block.loads):
        for scenario in block.scenarios:
            if load.traits.unit is DELIVERY and scenario not in broadcasting:
                able = " and ".join(sorted(broadcasting)) or "no scenario"
                return (
                    f"loads[{index}]: '{load.model}' needs something to publish, and the scenario "
                    f"'{scenario}' publishes nothing, only {able}; give '{scenario}' a [[measure]] "
                    "of its own with other loads"
                )
    return ""


def _read(text: str, source: str) -> Plan:
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # Also a number or a nesting beyond all measure.
        raise UserError(f"{source}: not valid TOML: {error}") from None
    tables = document.get("targets")
    if isinstance(tables, dict):
        for name, table in tables.items():
            if isinstance(table, dict):
                table["name"] = name
    try:
        # Strict, so that the text "3" is no number. Through JSON, because only there does strict
        # validation make dataclasses of tables and tuples of arrays.
        return _PLAN.validate_json(json.dumps(document, default=str), strict=True)
    except RecursionError:
        raise UserError(f"{source}: tables nested too deeply") from None
    except ValidationError as error:
        raise UserError(f"{source}: {_problem(error.errors(include_url=False)[0])}") from None


def _problem(error: ErrorDetails) -> str:
    """The key, what is wrong there, and what was given."""
    key = _key(error["loc"])
    match error["type"]:
        case "missing":
            return f"{key}: {error['msg']}"
        case "unexpected_keyword_argument":
            return f"{key}: there is no such key"
        case "union_tag_not_found":
            return f"{key}.model: Field required"
        case "union_tag_invalid":
            models = error["ctx"]["expected_tags"].replace("'", "").split(", ")
            return f"{key}.model: {unknown_name('load model', error['ctx']['tag'], models)}"
        case _:
            return f"{key}: {error['msg']}, got {_shortened(error['input'])}"


def _key(location: tuple[int | str, ...]) -> str:
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    return key.lstrip(".") or "the file"


def _shortened(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _refuse_duplicates(cells: Sequence[Cell], source: str) -> None:
    seen: set[str] = set()
    for cell in cells:
        if cell.name in seen:
            raise UserError(f"{source}: the cell '{cell.name}' is planned twice; name it once")
        seen.add(cell.name)
