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
class Held:
    """What one of our drivers reported of the known delays, and what they were.

    Attributes:
        round: 0-based number.
        generator: The driver's name.
        users: Its concurrency.
        found: What it reported.
        true_ms: By name of the percentile: what the target did by its own clock, in ms.
    """

    round: int
    generator: str
    users: int
    found: Found
    true_ms: Mapping[str, float]


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
        held: Every turn of our drivers against the known delays.
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
    held: Sequence[Held]
    even: Found

    def readings(self, generator: str, users: int) -> Mapping[int, Reading]:
        """By round: what a generator reported at this concurrency, where it did."""
        return {
            cost.round: cost.found
            for cost in self.costs
            if (cost.generator, cost.users) == (generator, users)
            and isinstance(cost.found, Reading)
        }

    def held_against(self, generator: str, users: int) -> Mapping[int, Held]:
        """By round: a driver's turns against the known delays, where it reported something."""
        return {
            one.round: one
            for one in self.held
            if (one.generator, one.users) == (generator, users) and isinstance(one.found, Reading)
        }

    def reason(self, generator: str, users: int) -> str:
        """Why there is no reading; empty where there is nothing to say."""
        for cost in self.costs:
            if (cost.generator, cost.users) == (generator, users) and isinstance(cost.found, str):
                return cost.found
        return ""
