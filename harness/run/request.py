"""The input of a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex

from loopmark.harness.launch.ports import HOST
from loopmark.harness.planning.plan import Plan
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import LocustfilePart, Workers
from loopmark.harness.vocabulary.question import Question
from loopmark.harness.vocabulary.record import DocumentedPoint
from loopmark.harness.vocabulary.scenario import ScenarioFacts
from loopmark.harness.vocabulary.target import Target


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run.

    Attributes:
        run_id: Name of the run and its folder.
        plan: The plan.
        plan_toml: Its text, kept with the run.
        cells: The cells of the plan to measure.
        scenarios: The records of their scenarios.
        documented: The timing table that our own targets are compared with.
        workers: The workers of a distributed driver; None when each driver is one process.
        host: Address on which the targets listen.
        locustfile: Replaces the scenario's flow; None where there is one.
        questions: What the run is to settle; empty for fixed rounds.
        budget_s: Seconds within which; None for no longer than the first rounds.
    """

    run_id: str
    plan: Plan
    plan_toml: str
    cells: tuple[Cell, ...]
    scenarios: tuple[ScenarioFacts, ...]
    documented: tuple[DocumentedPoint, ...] = ()
    workers: Workers | None = None
    host: str = HOST
    locustfile: LocustfilePart | None = None
    questions: tuple[Question, ...] = ()
    budget_s: float | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets of the cells."""
        names = dict.fromkeys(cell.target for cell in self.cells)
        return tuple(self.plan.targets[name] for name in names)


def new_run_id(name: str) -> str:
    """A name that sorts by time and is unique even for two runs of the same second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}-{token_hex(2)}"
