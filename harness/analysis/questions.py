"""The answers to a run's questions."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from loopmark.harness.analysis.comparison import Candidate
from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.metrics import METRICS
from loopmark.harness.vocabulary.question import Question, QuestionResult, Verdict
from loopmark.harness.vocabulary.result import CellResult


def asked(
    questions: Sequence[Question], cells: Sequence[CellResult], waiting: Collection[str] = ()
) -> tuple[Candidate, ...]:
    """The comparisons that answer these questions, in their order.

    Args:
        questions: Of the run.
        cells: Those that they are about, at least.
        waiting: Scenarios whose requests mostly wait for a fixed time.
    """
    named = {cell.name: cell for cell in cells}
    return tuple(
        Candidate(
            one.axis,
            one.metric,
            named[one.base],
            named[one.other],
            one.family,
            named[one.other].scenario in waiting,
        )
        for one in questions
    )


def answered(
    questions: Sequence[Question],
    comparisons: Sequence[Comparison],
    seconds: Mapping[str, float],
) -> tuple[QuestionResult, ...]:
    """What the comparisons say.

    Args:
        questions: Of the run.
        comparisons: Theirs, in the same order.
        seconds: By cell: what one more round takes.
    """
    return tuple(
        QuestionResult(
            question=one,
            comparison=found,
            verdict=(verdict := verdict_of(one, found)),
            needs_s=_needs_s(one, found, seconds) if verdict == "open" else None,
        )
        for one, found in zip(questions, comparisons, strict=True)
    )


def verdict_of(question: Question, found: Comparison) -> Verdict:
    """What the interval of a ratio says of its question."""
    if found.ratio is None or found.ratio_ci is None:
        return "open"
    low, high = found.ratio_ci
    direction: Verdict = "more" if low > 1 else "less" if high < 1 else "alike"
    clear = direction != "alike"
    if clear and not any(low <= threshold <= high for threshold in question.thresholds):
        return direction
    if (width := found.half_width) is not None and width <= question.half_width:
        return direction
    better = METRICS[question.metric].better
    gain = {"more": high, "less": 1 / low}.get(better, math.inf)
    if gain >= 1 + question.within:
        return "open"
    return direction if clear else "not-better"


def pairs_needed(question: Question, found: Comparison) -> int | None:
    """Pairs of rounds after which the ratio is known as well as aimed at.

    None if that is unknown, if it gets a single pair, or if the driver's delay alone keeps it from
    being so: more pairs do not make it less.

    It follows from their scatter alone, never from where the ratio lies.
    """
    width, aim = found.scatter_half_width, question.half_width - found.delay_half_width
    if width is None or aim <= 0 or not question.is_extended:
        return None
    return max(found.rounds, math.ceil(found.rounds * (width / aim) ** 2))


def _needs_s(question: Question, found: Comparison, seconds: Mapping[str, float]) -> float | None:
    needed = pairs_needed(question, found)
    if needed is None:
        return None
    each_s = seconds.get(question.base, 0.0) + seconds.get(question.other, 0.0)
    return (needed - found.rounds) * each_s
