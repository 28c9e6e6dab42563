"""A mistake that a target declares, how it shows, and whether it has shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode


class Symptom(StrEnum):
    """How a mistake shows."""

    BLOCKS_LOOP = "blocks-loop"
    WRONG_ANSWERS = "wrong-answers"
    LOSES_WRITES = "loses-writes"
    HALF_APPLIES = "half-applies"


_CONNECTIONS = frozenset({ObjectionCode.LEFT_IN_TRANSACTION, ObjectionCode.CONNECTIONS_LEAKED})
_FAILED = frozenset({ObjectionCode.ANSWERS_WRONG, ObjectionCode.REQUESTS_FAILED})

_EXPECTED: Mapping[Symptom, frozenset[ObjectionCode]] = {
    # Behind a loop that stands still requests time out.
    Symptom.BLOCKS_LOOP: frozenset({ObjectionCode.REQUESTS_FAILED}),
    Symptom.WRONG_ANSWERS: _FAILED,
    # Of what is not there, later requests of the flow are answered 404.
    Symptom.LOSES_WRITES: _FAILED | _CONNECTIONS | {ObjectionCode.ROWS_DIFFER},
    # A pool that runs dry fails requests.
    Symptom.HALF_APPLIES: (
        _FAILED | _CONNECTIONS | {ObjectionCode.ROWS_DIFFER, ObjectionCode.HALF_APPLIED}
    ),
}
"""By symptom, the failures that it explains."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake that a target makes on purpose.

    Attributes:
        symptom: How it shows.
        mistake: What is wrong in the code, as a sentence without its full stop.
        cure: What to write instead, as a sentence without its full stop.
        twin: Name of the variant without it.
    """

    symptom: Symptom
    mistake: str
    cure: str
    twin: str

    def explains(self, objection: Objection) -> bool:
        """Whether a failure is what it declares."""
        return objection.code in _EXPECTED[self.symptom]


Showing: TypeAlias = Literal["shown", "not-shown", "unclear"]
"""Whether a declared fault has shown; unclear where the cell does not decide it."""


@dataclass(frozen=True, slots=True)
class CellFinding:
    """What one cell shows of its target's fault.

    Attributes:
        cell: Its name.
        showing: Whether the fault shows.
        sentence: The effect, or why the cell does not decide it; without its full stop.
        short: The effect in a few words; empty where there is none.
        beside: Name of the twin's cell that it was compared with; empty without one.
    """

    cell: str
    showing: Showing
    sentence: str
    short: str = ""
    beside: str = ""


@dataclass(frozen=True, slots=True)
class FaultFinding:
    """A target's declared fault, and what the cells of a run show of it.

    Attributes:
        target: Its name.
        fault: As declared.
        cells: Each of its cells, in the order of the plan.
    """

    target: str
    fault: Fault
    cells: tuple[CellFinding, ...]

    @property
    def showing(self) -> Showing:
        """Whether it has shown in any cell; if not, whether any could have told."""
        found = {one.showing for one in self.cells}
        if "shown" in found:
            return "shown"
        return "not-shown" if "not-shown" in found else "unclear"

    @property
    def main(self) -> CellFinding:
        """The cell to be shown first: the last that says what the whole says."""
        return [one for one in self.cells if one.showing == self.showing][-1]
