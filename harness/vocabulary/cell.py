"""A cell of a plan, and whether its figures are valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self, TypeAlias

from loopmark.harness.vocabulary.load import Load


@dataclass(frozen=True, slots=True)
class Cell:
    """One (scenario, target, load, driver) of a plan; it is measured in `rounds` rounds.

    Attributes:
        folder_driver: The driver's name within the folder's name; empty where it is `driver`.
    """

    scenario: str
    target: str
    load: Load
    driver: str
    rounds: int
    folder_driver: str = ""

    @property
    def name(self) -> str:
        """The name that users see and `--only` matches."""
        return f"{self.scenario}/{self.target}/{self.load.label}/{self.driver}"

    @property
    def folder(self) -> str:
        """The name of its folder in a run: the cell's name without slashes."""
        driver = self.folder_driver or self.driver
        return f"{self.scenario}__{self.target}__{self.load.label}__{driver}".replace("/", "__")


class ValidityState(StrEnum):
    """Whether a cell is valid, or the most serious reason why not.

    A limited driver comes before errors: it may itself have caused timeouts and refusals.
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

    @property
    def gravity(self) -> int:
        """Its rank, the most serious first."""
        return list(type(self)).index(self)

    @property
    def is_failure(self) -> bool:
        """Whether something failed; otherwise the figures are not good enough to be compared."""
        return self in _FAILURES


_FAILURES = frozenset(
    {
        ValidityState.INTERRUPTED,
        ValidityState.TARGET_DIED,
        ValidityState.WRONG_ANSWERS,
        ValidityState.ERRORS,
    }
)
"""What a busy machine does not explain: a round that did not end, a response that was not right."""


Value: TypeAlias = int | float | str | None


class ObjectionCode(StrEnum):
    """A reason why a cell is invalid: its code, and the state that it leads to.

    Each has values of its own; the sentences over them are in `reports.objections`.
    """

    state: ValidityState

    def __new__(cls, code: str, state: ValidityState) -> Self:
        """A code that belongs to this state."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.state = state
        return member

    ROUNDS_UNFINISHED = "rounds-unfinished", ValidityState.INTERRUPTED
    DRIVER_FAILED = "driver-failed", ValidityState.INTERRUPTED
    WORKER_LOST = "worker-lost", ValidityState.INTERRUPTED
    LOCUSTFILE_ENDED_EARLY = "locustfile-ended-early", ValidityState.INTERRUPTED
    TARGET_DIED = "target-died", ValidityState.TARGET_DIED
    TARGET_NOT_READY = "target-not-ready", ValidityState.TARGET_DIED
    ANSWERS_WRONG = "answers-wrong", ValidityState.WRONG_ANSWERS
    ROWS_DIFFER = "rows-differ", ValidityState.WRONG_ANSWERS
    HALF_APPLIED = "half-applied", ValidityState.WRONG_ANSWERS
    LEFT_IN_TRANSACTION = "left-in-transaction", ValidityState.WRONG_ANSWERS
    CONNECTIONS_LEAKED = "connections-leaked", ValidityState.WRONG_ANSWERS
    DRIVER_BUSY = "driver-busy", ValidityState.DRIVER_LIMITED
    DRIVER_NOT_SCHEDULED = "driver-not-scheduled", ValidityState.DRIVER_LIMITED
    LOOP_LAGGED = "loop-lagged", ValidityState.DRIVER_LIMITED
    BURST_SPREAD = "burst-spread", ValidityState.DRIVER_LIMITED
    KNEE_OF_THE_DRIVER = "knee-of-the-driver", ValidityState.DRIVER_LIMITED
    SCHEDULE_MISSED = "schedule-missed", ValidityState.DRIVER_LIMITED
    SCHEDULE_UNKNOWN = "schedule-unknown", ValidityState.DRIVER_LIMITED
    RATE_NOT_REACHED = "rate-not-reached", ValidityState.DRIVER_LIMITED
    SENT_LATE = "sent-late", ValidityState.DRIVER_LIMITED
    REQUESTS_FAILED = "requests-failed", ValidityState.ERRORS
    BESIDE_DELIVERIES_FAILED = "beside-deliveries-failed", ValidityState.ERRORS
    REFUSED = "refused", ValidityState.ERRORS
    TASKS_RAISED = "tasks-raised", ValidityState.ERRORS
    LOCUSTFILE_PROBLEM = "locustfile-problem", ValidityState.ERRORS
    DELIVERIES_MISSING = "deliveries-missing", ValidityState.ERRORS
    DELIVERIES_DOUBLED = "deliveries-doubled", ValidityState.ERRORS
    DELIVERIES_DISPLACED = "deliveries-displaced", ValidityState.ERRORS
    CLIENTS_RECONNECTED = "clients-reconnected", ValidityState.ERRORS
    ROUNDS_SILENT = "rounds-silent", ValidityState.UNSTEADY
    HALVES_DIFFER = "halves-differ", ValidityState.UNSTEADY
    FIRST_HALF_EMPTY = "first-half-empty", ValidityState.UNSTEADY
    LEVEL_CHANGED = "level-changed", ValidityState.UNSTEADY
    LEVEL_DRIFTED = "level-drifted", ValidityState.UNSTEADY
    CONCURRENCY_UNKNOWN = "concurrency-unknown", ValidityState.LITTLES_LAW
    USERS_UNACCOUNTED = "users-unaccounted", ValidityState.LITTLES_LAW
    REQUESTS_UNACCOUNTED = "requests-unaccounted", ValidityState.LITTLES_LAW
    SAMPLES_MISSING = "samples-missing", ValidityState.TOO_FEW_SAMPLES
    USERS_UNANSWERED = "users-unanswered", ValidityState.TOO_FEW_SAMPLES
    ANSWERS_FEW = "answers-few", ValidityState.TOO_FEW_SAMPLES


@dataclass(frozen=True, slots=True)
class Objection:
    """A reason why a cell is invalid, as a code and its values, without wording."""

    code: ObjectionCode
    values: dict[str, Value] = field(default_factory=dict)

    @classmethod
    def of(cls, code: ObjectionCode, **values: Value) -> Self:
        """One with these values."""
        return cls(code, values)


@dataclass(frozen=True, slots=True)
class RoundObjections:
    """A round whose figures take no part in those of its cell, and why.

    Attributes:
        round: Its number.
        objections: The reasons, most serious first.
    """

    round: int
    objections: tuple[Objection, ...]

    @property
    def has_failed(self) -> bool:
        """Whether any of the reasons is a failure."""
        return any(one.code.state.is_failure for one in self.objections)


@dataclass(frozen=True, slots=True)
class Validity:
    """The state of a cell, and all reasons for it, most serious first.

    Attributes:
        state: That of the most serious reason.
        objections: The reasons why the cell as a whole is invalid.
        rounds: The rounds that do not count, whether the cell is valid or not.
    """

    state: ValidityState
    objections: tuple[Objection, ...] = ()
    rounds: tuple[RoundObjections, ...] = ()

    @property
    def is_valid(self) -> bool:
        """Whether the cell may be compared."""
        return self.state is ValidityState.VALID

    @property
    def states(self) -> tuple[ValidityState, ...]:
        """The states of all reasons, most serious first: none hides another."""
        return tuple(dict.fromkeys([self.state, *(one.code.state for one in self.objections)]))

    @property
    def all_states(self) -> tuple[ValidityState, ...]:
        """The same, and those of the rounds that do not count."""
        of_rounds = (why.code.state for one in self.rounds for why in one.objections)
        return tuple(dict.fromkeys([*self.states, *of_rounds]))

    @property
    def has_failed(self) -> bool:
        """Whether any of the reasons is a failure, in a round that does not count too."""
        return any(state.is_failure for state in self.all_states)
