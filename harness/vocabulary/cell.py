"""A cell of a plan, and whether what was measured in it may be believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loopmark.harness.vocabulary.load import Load


@dataclass(frozen=True, slots=True)
class Cell:
    """One (scenario, target, load, driver) of a plan; it is measured in `rounds` rounds."""

    scenario: str
    target: str
    load: Load
    driver: str
    rounds: int

    @property
    def name(self) -> str:
        """The name that users see and `--only` matches."""
        return f"{self.scenario}/{self.target}/{self.load.label}/{self.driver}"

    @property
    def folder(self) -> str:
        """The name of its folder in a run: the name without slashes."""
        return self.name.replace("/", "__")


class ValidityState(StrEnum):
    """Whether a cell may be believed, or the first reason why not, gravest first.

    A driver that was limited comes before errors: timeouts and refusals may be its own doing.
    """

    INTERRUPTED = "interrupted"
    TARGET_DIED = "target-died"
    WRONG_ANSWERS = "wrong-answers"
    DRIVER_LIMITED = "driver-limited"
    ERRORS = "errors"
    UNSTEADY = "unsteady"
    LITTLES_LAW = "littles-law"
    TOO_FEW_SAMPLES = "too-few-samples"
    VALID = "valid"


@dataclass(frozen=True, slots=True)
class Validity:
    """The state of a cell and every reason for it, as sentences for the report."""

    state: ValidityState
    reasons: tuple[str, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether the cell may be compared."""
        return self.state is ValidityState.VALID
