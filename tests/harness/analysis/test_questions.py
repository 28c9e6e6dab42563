"""Questions: when they are settled, and what they need otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.analysis.comparison import concluded
from loopmark.harness.analysis.paired_rounds import PairedRounds
from loopmark.harness.analysis.questions import answered, asked, pairs_needed, verdict_of
from loopmark.harness.vocabulary.cell import Validity, ValidityState
from loopmark.harness.vocabulary.comparison import Comparison, Side
from loopmark.harness.vocabulary.figures import Interval
from loopmark.harness.vocabulary.question import Question, Verdict
from loopmark.harness.vocabulary.result import CellResult
from tests.harness.builders import burst, cell, cell_result, closed, round_result

THROUGHPUT = Question("throughput_rps", "base", "other", "target")
CLAIMED = Question("throughput_rps", "base", "other", "target", thresholds=(0.5, 1.0))
MAKESPAN = Question("makespan_s", "base", "other", "target", thresholds=(0.01, 0.1, 1.0))


def compared(interval: Interval | None, metric: str = "throughput_rps") -> Comparison:
    ratio = None if interval is None else (interval[0] * interval[1]) ** 0.5
    return Comparison(
        axis="target",
        metric=metric,
        base=Side("sync", 1.0),
        other=Side("async", 1.0),
        scenario="crud",
        target="async",
        load=closed(),
        driver="native",
        ratio=ratio,
        ratio_ci=interval,
        rounds=3,
    )


@pytest.mark.parametrize(
    ("question", "interval", "verdict"),
    [
        (THROUGHPUT, (1.2, 2.0), "more"),
        (THROUGHPUT, (0.2, 0.9), "less"),
        (THROUGHPUT, (0.95, 1.14), "alike"),
        (THROUGHPUT, (1.01, 1.2), "more"),
        (THROUGHPUT, (0.6, 1.14), "not-better"),
        (CLAIMED, (0.3, 0.6), "less"),
        (THROUGHPUT, (0.6, 1.16), "open"),
        (THROUGHPUT, (0.9, 2.0), "open"),
        (THROUGHPUT, None, "open"),
        # Less time is better, and both bounds of the claim matter.
        (MAKESPAN, (0.02, 0.09), "less"),
        (MAKESPAN, (0.11, 0.2), "less"),
        (MAKESPAN, (0.05, 0.2), "open"),
        (MAKESPAN, (0.09, 0.105), "less"),
        (MAKESPAN, (0.88, 2.0), "not-better"),
        (MAKESPAN, (0.86, 2.0), "open"),
        (MAKESPAN, (1.3, 2.0), "more"),
    ],
)
def test_a_question_is_settled_by_its_interval(
    question: Question, interval: Interval | None, verdict: Verdict
) -> None:
    assert verdict_of(question, compared(interval, question.metric)) == verdict


def test_a_ratio_known_four_times_too_badly_needs_sixteen_times_the_pairs() -> None:
    width = THROUGHPUT.within + 1
    found = compared((width**-4, width**4))
    assert pairs_needed(THROUGHPUT, found) == 48


def cells(*async_rps: float) -> list[CellResult]:
    rounds = [round_result(n, throughput_rps=rps) for n, rps in enumerate(async_rps)]
    same = [round_result(n, throughput_rps=100.0) for n in range(len(async_rps))]
    return [cell_result(cell("sync"), same), cell_result(cell("async"), rounds)]


def question_about(cells: list[CellResult], metric: str = "throughput_rps") -> Question:
    return Question(metric, cells[0].name, cells[1].name, "target")


def test_answers_come_in_the_order_of_the_questions_with_what_is_needed() -> None:
    found = cells(80.0, 130.0, 110.0)
    ask = question_about(found)
    (result,) = answered([ask], concluded(asked([ask], found)), {one.name: 2.0 for one in found})
    assert result.verdict == "open"
    assert not result.is_settled
    assert result.question == ask
    needed = pairs_needed(ask, result.comparison)
    assert needed is not None
    assert result.needs_s == (needed - 3) * 4.0
    settled = cells(199.0, 200.0, 201.0)
    (result,) = answered([ask], concluded(asked([ask], settled)), {})
    assert (result.verdict, result.needs_s) == ("more", None)


def test_of_an_invalid_cell_nothing_is_said() -> None:
    found = cells(200.0, 200.0, 200.0)
    found[0] = replace(found[0], validity=Validity(ValidityState.ERRORS))
    ask = question_about(found)
    (result,) = answered([ask], concluded(asked([ask], found)), {})
    assert (result.verdict, result.needs_s) == ("open", None)
    assert result.comparison.reasons == ("sync: errors",)


def test_a_single_pair_is_judged_by_the_scatter_of_its_like() -> None:
    """One round of 50 s, beside comparisons of the same kind that have three pairs each."""
    like = []
    for n, (base, other) in enumerate([(5.0, 0.5), (1.5, 0.5), (0.51, 0.5)]):
        for target, seconds in (("sync", base), ("async", other)):
            rounds = [
                round_result(number, makespan_s=seconds * scatter)
                for number, scatter in enumerate((0.99, 1.0, 1.01 + n / 1000))
            ]
            like.append(cell_result(cell(target, burst(n + 98)), rounds))
    single = [
        cell_result(cell(target, burst(101)), [round_result(0, makespan_s=seconds)])
        for target, seconds in (("sync", 50.0), ("async", 0.6))
    ]
    everything = [*like, *single]
    questions = [
        Question("makespan_s", base.name, other.name, "target")
        for base, other in zip(everything[::2], everything[1::2], strict=True)
    ]
    *_, alone = concluded(asked(questions, everything))
    assert alone.rounds == 1
    assert alone.ratio_ci is not None
    low, high = alone.ratio_ci
    assert 0.009 < low < 0.6 / 50 < high < 0.015


def test_further_pairs_are_a_third_of_a_degree_of_freedom_each() -> None:
    """Three were planned; the scatter is that of all."""
    logs = [0.1, 0.0, -0.1, 0.02, -0.02, 0.0]
    planned = PairedRounds(tuple(logs), planned=3).scatter
    fixed = PairedRounds(tuple(logs)).scatter
    assert planned is not None and fixed is not None  # noqa: PT018 - for the types
    assert planned.variance == fixed.variance
    assert (planned.dof, fixed.dof) == pytest.approx((2 + 3 / 3, 5))
    assert PairedRounds((0.1,), planned=3).scatter is None


def test_delay_is_no_reason_for_more_pairs() -> None:
    found = replace(compared((0.5, 2.0)), delay=2.0)
    assert found.half_width is not None
    assert found.scatter_half_width == pytest.approx(found.half_width - found.delay_half_width)
    assert pairs_needed(THROUGHPUT, found) is None
    assert pairs_needed(THROUGHPUT, compared((0.5, 2.0))) == 74
    assert pairs_needed(replace(THROUGHPUT, pairs=1), compared((0.5, 2.0))) is None


def test_waits_scatter_like_waits_and_work_like_work() -> None:
    still = [1.0, 1.001, 0.999]
    loud = [1.0, 1.3, 0.8]
    everything, questions = [], []
    for scenario, scatter in (("wait-timer", still), ("wait-database", still), ("upload", loud)):
        for target in ("sync", "async"):
            rounds = [
                round_result(n, makespan_s=one if target == "async" else 1.0)
                for n, one in enumerate(scatter)
            ]
            everything.append(cell_result(cell(target, burst(10), scenario=scenario), rounds))
        questions.append(Question("makespan_s", everything[-2].name, everything[-1].name, "target"))
    waiting = {"wait-timer", "wait-database"}
    apart = concluded(asked(questions, everything, waiting))
    assert [one.half_width for one in apart[:2]] == pytest.approx([0.0016] * 2, rel=0.1)
    assert apart[2].half_width == pytest.approx(0.62, rel=0.1), "from its own three pairs"
