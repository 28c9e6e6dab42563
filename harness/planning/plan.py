"""Plans, and the cells that they measure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, TypeAlias

from pydantic import ConfigDict, Field, PositiveInt

from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.load import PlanLoad
from loopmark.harness.vocabulary.loads.bounds import MAX_ROUNDS, PositiveSeconds
from loopmark.harness.vocabulary.question import PAIRS, WITHIN
from loopmark.harness.vocabulary.target import Target

REQUEST_TIMEOUT_S = 120.0

ENDS_S = 15.0
BLOCK_S = 5.0
ROUND_S = 0.5
"""Seconds that a run takes beside what it drives, on two processors: at its start and end, for each
block, whose targets are started, and for each round."""
Names = Annotated[tuple[str, ...], Field(min_length=1)]
TimeoutSeconds = Annotated[float, Field(gt=0, le=3600)]


@dataclass(frozen=True, slots=True)
class Measure:
    """One block of a plan: every combination of its names is a cell."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    scenarios: Names
    targets: Names
    loads: Annotated[tuple[PlanLoad, ...], Field(min_length=1)]
    rounds: Annotated[PositiveInt, Field(le=MAX_ROUNDS)]
    drivers: Names = ("native",)

    is_shared: ClassVar[bool] = False
    """Whether another block may have the same cells."""

    @staticmethod
    def load_of(_target: str, load: PlanLoad) -> PlanLoad:
        """A load as this target is expected to take it."""
        return load


@dataclass(frozen=True, slots=True)
class Ask:
    """Questions of one kind: every scenario and load is one, asked of each target.

    Each target is compared with the first; of a series each scenario with the one before it.

    Attributes:
        metrics: Keys of the metrics to settle; empty for the load's main one.
        series: Whether the scenarios differ by one number, and the question is which is best.
        thresholds: Ratios that matter beside 1: what somebody claims.
        pairs: Pairs of rounds that each question gets before it is decided which get more.
        within: A ratio known to within this share either way needs no more rounds.
        planned_s: By target: expected seconds of a burst, where targets differ much.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    scenarios: Names
    targets: Names
    loads: Annotated[tuple[PlanLoad, ...], Field(min_length=1)]
    drivers: Names = ("native",)
    metrics: tuple[str, ...] = ()
    series: bool = False
    thresholds: tuple[Annotated[float, Field(gt=0, le=1e6)], ...] = ()
    pairs: Annotated[PositiveInt, Field(le=MAX_ROUNDS)] = PAIRS
    within: Annotated[float, Field(gt=0, le=1)] = WITHIN
    planned_s: Mapping[str, PositiveSeconds] = field(default_factory=dict)

    is_shared: ClassVar[bool] = True
    """Whether another block may have the same cells."""

    def load_of(self, target: str, load: PlanLoad) -> PlanLoad:
        """A load as this target is expected to take it."""
        planned_s = self.planned_s.get(target)
        return load if planned_s is None else load.expected_to_take(planned_s)

    @property
    def rounds(self) -> int:
        """Rounds of each of its cells at first."""
        return self.pairs


Block: TypeAlias = Measure | Ask
"""What stands in a plan: a table of cells with fixed rounds, or of questions."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Targets x scenarios x loads x drivers x rounds.

    Attributes:
        name: Short, for the run's folder and the report.
        title: What the plan answers.
        measure: Cells with a fixed number of rounds.
        question: Comparisons that get the rounds they need.
        reserve: Share of the planned time that may be spent beside it on measuring disturbed rounds
            again.
        budget_s: Seconds that a run with questions may take; None for as long as the first pairs.
        targets: By name: those that the blocks use, and the plan's own.
        seed: Of the virtual users' choices.
        connect_timeout_s: Seconds that opening a connection may take.
        first_byte_timeout_s: Seconds from sending until an answer must begin; None means
            `request_timeout_s`.
        request_timeout_s: Seconds from sending until an answer must be complete.
        probe: Whether started targets run through the probe, which says what blocks their event
            loops.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,29}$")]
    title: str
    measure: tuple[Measure, ...] = ()
    question: tuple[Ask, ...] = ()
    reserve: Annotated[float, Field(ge=0, le=10)] = 0.5
    budget_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    targets: Mapping[str, Target] = field(default_factory=dict)
    seed: int = 1
    connect_timeout_s: TimeoutSeconds = 10.0
    first_byte_timeout_s: TimeoutSeconds | None = None
    request_timeout_s: TimeoutSeconds = REQUEST_TIMEOUT_S
    probe: bool = False

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All of its blocks; what is asked comes first, also in reports."""
        return (*self.question, *self.measure)

    @property
    def timeouts(self) -> Timeouts:
        """After how many seconds a request counts as failed."""
        first_byte_s = self.first_byte_timeout_s
        return Timeouts(
            connect_s=self.connect_timeout_s,
            first_byte_s=self.request_timeout_s if first_byte_s is None else first_byte_s,
            response_s=self.request_timeout_s,
        )


def driven_by(drivers: tuple[str, ...], plan: Plan) -> Plan:
    """The plan with these drivers instead of its own.

    What questions then ask anyway is not measured beside them.

    Raises:
        UserError: Two of its blocks then have the same cells.
    """
    asks = tuple(replace(block, drivers=drivers) for block in plan.question)
    asked = {cell.name for block in asks for cell in _cells(block)}
    blocks = tuple(
        block
        for block in (replace(block, drivers=drivers) for block in plan.measure)
        if not {cell.name for cell in _cells(block)} <= asked
    )
    if repeated := planned_twice((*blocks, *asks)):
        raise UserError(f"{plan.name} with --driver: {next(iter(repeated.values()))}")
    return replace(plan, measure=blocks, question=asks)


def drivable(
    cells: Sequence[Cell], drivable_by: Mapping[str, Collection[str]]
) -> tuple[tuple[Cell, ...], str]:
    """Keep the cells that their driver can drive.

    Args:
        cells: The chosen cells.
        drivable_by: By scenario that not every driver can drive: the drivers that can.

    Returns:
        These cells, and a line about the others: how many, of which scenarios, and which drivers
        can drive them. The line is empty if there are none.

    Raises:
        UserError: Nothing is left; the message is that line.
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
        raise UserError(f"{named}: no cells to measure: {why}")
    return kept, f"{named}: {len(skipped)} of {len(cells)} cells skipped: {why}"


def _is_drivable(cell: Cell, drivable_by: Mapping[str, Collection[str]]) -> bool:
    return cell.driver in drivable_by.get(cell.scenario, (cell.driver,))


def planned_twice(blocks: Sequence[Block]) -> dict[int, str]:
    """By block that has a cell of it or of an earlier one again: the first such cell, in words.

    Questions may share a cell, if all of them have it under the same load.
    """
    seen: dict[str, tuple[Cell, bool]] = {}
    repeated: dict[int, str] = {}
    for index, block in enumerate(blocks):
        again = []
        for cell in _cells(block):
            before, may_share = seen.get(cell.name, (cell, block.is_shared))
            if cell.name in seen and not (may_share and block.is_shared):
                again.append(f"the cell '{cell.name}' is planned twice; remove one")
            elif before.load.comparable != cell.load.comparable:
                again.append(f"the cell '{cell.name}' has another load in an earlier question")
            seen[cell.name] = cell, block.is_shared
        if again:
            repeated[index] = again[0]
    return repeated


def cells_of(plan: Plan) -> tuple[Cell, ...]:
    """Every cell of the plan, in the plan's own order.

    What several questions share is one cell, with the most rounds that any of them needs.
    """
    found: dict[str, Cell] = {}
    for block in plan.blocks:
        for cell in _cells(block):
            found[cell.name] = _merged(found.get(cell.name, cell), cell)
    return tuple(found.values())


def _merged(one: Cell, other: Cell) -> Cell:
    """The cell of both; loads that are alike may be expected to take more or less time."""
    shortest = min(one, other, key=lambda cell: cell.load.planned_s)
    return replace(shortest, rounds=max(one.rounds, other.rounds))


def _cells(block: Block) -> tuple[Cell, ...]:
    return tuple(
        Cell(scenario, target, block.load_of(target, load), driver, block.rounds)
        for scenario in block.scenarios
        for load in block.loads
        for target in block.targets
        for driver in block.drivers
    )


def select(cells: Sequence[Cell], pattern: str | None) -> tuple[Cell, ...]:
    """Keep the cells whose name matches a glob or, without wildcards, contains the pattern.

    Raises:
        UserError: Nothing is left.
    """
    if pattern is None:
        return tuple(cells)
    if not pattern:
        raise UserError("--only: the pattern is empty")
    glob = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    chosen = tuple(cell for cell in cells if fnmatchcase(cell.name, glob))
    if not chosen:
        parts = {part for cell in cells for part in (cell.name, *cell.name.split("/"))}
        nearest = get_close_matches(pattern, sorted(parts), cutoff=0)
        raise UserError(f"--only: no cell is '{pattern}'; the nearest: {', '.join(nearest)}")
    return chosen


def planned_seconds(cells: Iterable[Cell]) -> float:
    """Planned seconds of driving, over all rounds of the cells."""
    return sum(cell.load.planned_s * cell.rounds for cell in cells)


def expected_seconds(cells: Sequence[Cell]) -> float:
    """Seconds that a run of these cells is expected to take in all."""
    rounds = [cell.rounds for cell in cells]
    return (
        ENDS_S + planned_seconds(cells) + ROUND_S * sum(rounds) + BLOCK_S * max(rounds, default=0)
    )
