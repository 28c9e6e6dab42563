"""Questions: comparisons of two cells that a run is to settle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loopmark.harness.vocabulary.comparison import Axis, Comparison

PAIRS = 3
"""Pairs of rounds that every question gets first; from their scatter follows how many more."""

WITHIN = 0.15
"""A ratio that is known to within this share either way needs no more rounds."""

Verdict: TypeAlias = Literal["more", "less", "alike", "not-better", "open"]
"""What a question's interval says of the ratio: above or below all thresholds beside it, known to
within `Question.within`, at most that much better than 1, or nothing of these."""


@dataclass(frozen=True, slots=True)
class Question:
    """One comparison that a run is to settle.

    Attributes:
        metric: Key of the metric.
        base: Name of the cell that is the denominator.
        other: Name of the cell that is the numerator.
        axis: The one thing in which they differ.
        thresholds: Ratios that matter: 1, and those that somebody claims.
        pairs: Pairs of rounds that it gets first; a single one is all it gets.
        within: The share either way within which the ratio is to be known; fixed beforehand.
        family: Number of questions that are answered together, as places of one series are: their
            intervals hold simultaneously.
    """

    metric: str
    base: str
    other: str
    axis: Axis
    thresholds: tuple[float, ...] = (1.0,)
    pairs: int = PAIRS
    within: float = WITHIN
    family: int = 1

    @property
    def is_extended(self) -> bool:
        """Whether it may get more pairs than its first."""
        return self.pairs > 1

    @property
    def half_width(self) -> float:
        """The half-width of its interval that is aimed at, as a logarithm of the ratio."""
        return math.log1p(self.within)


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """A question and its answer.

    Attributes:
        question: What was asked.
        comparison: The two cells.
        verdict: What the interval says.
        needs_s: Estimated seconds of measuring after which it would be settled; None where it is,
            or where nothing can be said about it.
    """

    question: Question
    comparison: Comparison
    verdict: Verdict
    needs_s: float | None = None

    @property
    def is_settled(self) -> bool:
        """Whether there is an answer."""
        return self.verdict != "open"
