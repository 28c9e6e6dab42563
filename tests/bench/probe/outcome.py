"""All that the bench measures, as it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.bench.probe.cost import Cost
from tests.bench.probe.trial import Trial


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        blocks_ours: Blocks of each entry, of Loopmark's own probe, on each loop.
        blocks_others: Blocks of each entry, of the other tools, on asyncio.
        cost_starts: Of a target with the tool and one without, for the CPU per request.
        cost_requests: Requests of each round; there are two in each start.
    """

    blocks_ours: int = 20
    blocks_others: int = 5
    cost_starts: int = 12
    cost_requests: int = 2000


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        started: ISO 8601, UTC.
        machine: Its processor, system and Python.
        plan: What was measured.
        amounts: Of the calibrated blockers, by name.
        trials: In the order in which they were made.
        costs: By tool and loop.
        missing: Why something was not measured, by its name.
    """

    started: str
    machine: str
    plan: Plan
    amounts: Mapping[str, int]
    trials: Sequence[Trial]
    costs: Sequence[Cost]
    missing: Mapping[str, str]


def joined(parts: Sequence[Outcome]) -> Outcome:
    """Runs of different tools as one, which has the date, machine and plan of the first."""
    return replace(
        parts[0],
        trials=[trial for part in parts for trial in part.trials],
        costs=[cost for part in parts for cost in part.costs],
        missing={name: why for part in parts for name, why in part.missing.items()},
    )
