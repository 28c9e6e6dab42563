"""`results.json`: the summaries that everything downstream reads."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from loopmark.harness.vocabulary.blocking import CellBlocking
from loopmark.harness.vocabulary.cell import Validity
from loopmark.harness.vocabulary.comparison import Axis, Comparison, SeriesResult
from loopmark.harness.vocabulary.failure import Failure
from loopmark.harness.vocabulary.fault import Fault, FaultFinding
from loopmark.harness.vocabulary.figures import AuditResult, Figures
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.question import QuestionResult
from loopmark.harness.vocabulary.record import RunRecord


@dataclass(frozen=True, slots=True)
class Invalid:
    """Replaces the figures of an invalid cell."""

    validity: Validity


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell: its figures, and whether it is valid.

    On disk the figures are beside the other fields.

    Attributes:
        name: The cell's name.
        scenario: Its scenario.
        target: Its target.
        driver: Its driver.
        load: Its load.
        rounds: Rounds that were measured to their end.
        error_kinds: By kind, how many requests failed in all, including those outside of the
            windows, which also make the cell invalid.
        error_examples: By kind, the first few messages.
        failures: The same by kind and status, the most frequent first; empty of older results.
        audits: Of the scenario.
        validity: Whether the figures count.
        unjudged: The figures. Read them through `figures` or `figures_despite`; only code that
            makes or stores results uses them without their validity.
        stderr_tail: Last lines of a process that died.
        planned: Rounds that were planned, before any was added or repeated.
        blocking: What makes its target's event loops stand still; None where none was watched.
    """

    name: str
    scenario: str
    target: str
    driver: str
    load: Load
    rounds: int
    error_kinds: dict[str, int]
    error_examples: dict[str, tuple[str, ...]]
    audits: tuple[AuditResult, ...]
    validity: Validity
    unjudged: Figures
    stderr_tail: str = ""
    planned: int = 1
    blocking: CellBlocking | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def figures(self) -> Figures | Invalid:
        """The figures of a valid cell; of an invalid one, a value without numbers."""
        return self.unjudged if self.validity.is_valid else Invalid(self.validity)

    def figures_despite(self, validity: Validity) -> Figures:
        """The figures, for code that shows the cell's validity beside them.

        Raises:
            ValueError: It is another cell's validity.
        """
        if validity != self.validity:
            raise ValueError(f"{self.name} is {self.validity.state}, not {validity.state}")
        return self.unjudged

    @model_serializer(mode="wrap")
    def _flattened(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = handler(self)
        figures = fields.pop("unjudged")
        return {**fields, **figures}

    @model_validator(mode="before")
    @classmethod
    def _nested(cls, value: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        if not isinstance(value, dict) or "unjudged" in value:
            return value
        fields = dict(value)
        figures = {name: fields.pop(name) for name in _FIGURES if name in fields}
        return {**fields, "unjudged": figures}


_FIGURES = tuple(field.name for field in dataclass_fields(Figures))


@dataclass(frozen=True, slots=True)
class RunResults:
    """Everything that a report or a gate needs of a run.

    Attributes:
        schema_version: Of the file.
        run: What was run.
        cells: All of them.
        comparisons: Of cells that differ in one thing.
        series: Their conclusions.
        questions: Their answers.
        faults: What is seen of the faults that targets declare.
    """

    schema_version: int
    run: RunRecord
    cells: tuple[CellResult, ...]
    comparisons: tuple[Comparison, ...]
    series: tuple[SeriesResult, ...] = ()
    questions: tuple[QuestionResult, ...] = ()
    faults: tuple[FaultFinding, ...] = ()

    def shown_fault(self, cell: CellResult) -> Fault | None:
        """The declared fault of a cell's target, if this cell shows it."""
        return next(
            (
                one.fault
                for one in self.faults
                for finding in one.cells
                if finding.cell == cell.name and finding.showing == "shown"
            ),
            None,
        )

    def is_as_declared(self, cell: CellResult) -> bool:
        """Whether nothing has failed in an invalid cell but what its target's fault explains."""
        fault = self.shown_fault(cell)
        failed = [one for one in cell.validity.objections if one.code.state.is_failure]
        return fault is not None and bool(failed) and all(map(fault.explains, failed))

    @property
    def unexpected(self) -> tuple[CellResult, ...]:
        """The cells without those that are invalid as their targets declare."""
        return tuple(cell for cell in self.cells if not self.is_as_declared(cell))

    def along(self, axis: Axis) -> tuple[Comparison, ...]:
        """The comparisons of cells that differ in one thing."""
        return tuple(one for one in self.comparisons if one.axis == axis)
