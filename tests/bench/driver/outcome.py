"""What a run of the comparison found, as it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tests.bench.driver.plan import Plan
from tests.bench.driver.task import Reading

Found: TypeAlias = Reading | str
"""A reading, or why there is none."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One turn of one round."""

    round: int
    generator: str
    users: int
    found: Found


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of it.

    Attributes:
        started: UTC, ISO 8601.
        took_s: Seconds for the whole run.
        machine: What it ran on and with, without the host's name.
        pinned_apart: Whether target and generator had a processor each.
        plan: What was measured.
        costs: Every turn.
        stall: By row: what was reported of the target that stalls.
        answers: By generator: what was reported of known delays and errors.
        even: Our driver at a constant rate to an idle target.
    """

    started: str
    took_s: float
    machine: Mapping[str, str]
    pinned_apart: bool
    plan: Plan
    costs: Sequence[Cost]
    stall: Mapping[str, Found]
    answers: Mapping[str, Found]
    even: Found

    def readings(self, generator: str, users: int) -> Mapping[int, Reading]:
        """By round: what a generator reported at this concurrency, where it did."""
        return {
            cost.round: cost.found
            for cost in self.costs
            if (cost.generator, cost.users) == (generator, users)
            and isinstance(cost.found, Reading)
        }

    def reason(self, generator: str, users: int) -> str:
        """Why there is no reading; empty where there is nothing to say."""
        for cost in self.costs:
            if (cost.generator, cost.users) == (generator, users) and isinstance(cost.found, str):
                return cost.found
        return ""
