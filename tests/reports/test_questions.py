"""Questions and their answers in words, from the sentence at the top to a line for each."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console, RenderableType

from loopmark.harness.analysis.questions import verdict_of
from loopmark.harness.vocabulary.comparison import Comparison, Side
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.question import Question, QuestionResult
from loopmark.harness.vocabulary.record import RoundState, RunRecord
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import answer, markdown, question_groups, questions, terminal, wording
from loopmark.reports.catalog import render
from tests.reports.conftest import MEASURED, cell_result, page_of, run_results

Bounds = tuple[float, float]
MOST_LINES = 25
LOADS: dict[str, Load] = {
    "throughput_rps": Closed(users=10, duration_s=1.0),
    "makespan_s": Burst(1000, 1.0),
}


def lines_of(one: RenderableType, width: int = 80) -> list[str]:
    console = Console(width=width, file=StringIO())
    console.print(one)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]


def asked_once(  # noqa: PLR0913 - the fields of a comparison
    bounds: Bounds | None,
    metric: str = "throughput_rps",
    *,
    claims: tuple[float, ...] = (),
    pairs: int = 3,
    needs_s: float | None = None,
    ratio: float | None = None,
    reasons: tuple[str, ...] = (),
    figures: Bounds | None = None,
    scenario: str = "create-fresh",
) -> RunResults:
    """A run with one question, and an answer with this interval."""
    load = LOADS.get(metric, LOADS["throughput_rps"])
    cells = [cell_result(scenario, target, load, figure=1.0) for target in ("sync", "async")]
    base, other = (cell.name for cell in cells)
    question = Question(metric, base, other, "target", thresholds=(*claims, 1.0), pairs=pairs)
    sides = figures or (None, None)
    comparison = Comparison(
        axis="target",
        metric=metric,
        base=Side("sync", sides[0]),
        other=Side("async", sides[1]),
        scenario=scenario,
        target="async",
        load=load,
        driver="native",
        ratio=ratio if bounds is None else (bounds[0] * bounds[1]) ** 0.5,
        ratio_ci=bounds,
        rounds=pairs,
        reasons=reasons,
    )
    found = run_results(cells)
    result = QuestionResult(question, comparison, verdict_of(question, comparison), needs_s)
    return replace(found, run=replace(found.run, questions=(question,)), questions=(result,))


def verdict(results: RunResults) -> str:
    (row,) = questions.rows(results.run, results.questions)
    return questions.verdict(row)


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (
            asked_once((1.05, 1.19)),
            "async has 1.12 times the throughput of sync (1.05 to 1.19)",
        ),
        (asked_once((0.8, 0.9)), "async has 0.85 times the throughput of sync (0.80 to 0.90)"),
        (asked_once((0.9, 1.1)), "async is no faster than sync (0.90 to 1.10)"),
        (asked_once((0.95, 1.2)), "no clear difference between async and sync (0.95 to 1.20)"),
        (
            asked_once((0.8, 1.9), needs_s=170.0),
            "async against sync not settled: 0.80 to 1.90, about 3 minutes more",
        ),
        (
            asked_once((0.8, 1.9), needs_s=20.4),
            "async against sync not settled: 0.80 to 1.90, about 20 seconds more",
        ),
        (asked_once((0.8, 1.9)), "async against sync not settled: 0.80 to 1.90"),
        (asked_once(None, ratio=1.3, pairs=1), "async against sync not settled: 1.30 in one pair"),
        (
            asked_once(None, reasons=("async: errors",)),
            "async against sync not settled: async: errors",
        ),
        (
            asked_once((1.5, 1.7), pairs=1),
            "async has 1.60 times the throughput of sync (1.50 to 1.70; one pair)",
        ),
        # Times are told as speed: the ratio of times the other way round.
        (
            asked_once((1 / 9.3, 1 / 8.1), "makespan_s"),
            "async is 8.7 times as fast as sync (8.1 to 9.3)",
        ),
        (
            asked_once((1.1, 1.3), "makespan_s"),
            "async is 0.84 times as fast as sync (0.77 to 0.91)",
        ),
        (
            asked_once((0.95, 1.02), "makespan_s", claims=(0.1,)),
            "async is no faster than sync (0.98 to 1.05)",
        ),
        (
            asked_once((0.8, 0.9), "cpu_ms_per_request"),
            "async has 0.85 times the CPU of sync (0.80 to 0.90)",
        ),
        (
            asked_once((0.7, 1.3), "cpu_ms_per_request"),
            "CPU per request of async against sync not settled: 0.70 to 1.30",
        ),
    ],
)
def test_an_answer_in_words(results: RunResults, said: str) -> None:
    assert verdict(results) == said


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((8.1, 9.3), ", below 10 times"),
        ((10.5, 12.0), ", at least 10 times, below 100 times"),
        ((110.0, 130.0), ", at least 100 times"),
        ((9.5, 10.5), ", below 100 times, 10 times not settled"),
    ],
)
def test_claims_are_judged(gain: Bounds, said: str) -> None:
    results = asked_once((1 / gain[1], 1 / gain[0]), "makespan_s", claims=(0.01, 0.1))
    assert verdict(results).partition(")")[2] == said


def test_the_answer_is_a_sentence_that_can_be_repeated() -> None:
    results = asked_once(
        (1 / 9.3, 1 / 8.1),
        "makespan_s",
        claims=(0.1,),
        figures=(13.6, 1.6),
        scenario="wait-timer",
    )
    (sentence,) = answer.sentences(results)
    assert sentence == (
        "1,000 half-second waits: async 1.60 s, the default 40 threads 13.6 s, 8.7 times as fast "
        "(8.1 to 9.3), below 10 times."
    )


def test_topics_are_summed_up(asked: RunResults) -> None:
    timing, work, waits = answer.sentences(asked)
    assert timing.startswith("1,000 half-second waits: async 1.80 s, the default 40 threads 13.8 s")
    assert work == ("Work in the database: faster in 1, no faster in 1 and not settled in 2 of 4.")
    assert waits == "Waits in the database: no faster (0.91 to 1.11)."


def test_a_topic_of_other_sides_names_them() -> None:
    results = asked_once((0.9, 1.1), scenario="crud")
    assert answer.sentences(results) == (
        "Work in the database: async is no faster than sync (0.90 to 1.10).",
    )


def test_how_far_the_answers_go(asked: RunResults) -> None:
    rows = questions.rows(asked.run, asked.questions)
    assert questions.settled(rows) == (
        "20 of 23 questions are settled; about 2 minutes more would settle others"
    )
    (open_,) = [row for row in rows if not row.is_settled][:1]
    needing = replace(open_, result=replace(open_.result, needs_s=61.0)) if open_.result else open_
    assert questions.settled([needing]) == (
        "the question is not settled; about 1 minute more would settle it"
    )
    assert questions.settled([needing] * 2) == (
        "0 of 2 questions are settled; about 1 minute more would settle some of them"
    )
    (closed, *_) = [row for row in rows if row.is_settled]
    assert questions.settled([closed]) == "the question is settled"
    # The three of the series hold together, and two have no interval.
    assert questions.by_chance(rows) == "expected false differences: 0.9 of 18"
    assert not questions.by_chance(questions.rows(asked.run))


@pytest.mark.parametrize("width", [80, 120])
def test_the_answers_fill_at_most_a_terminal(asked: RunResults, width: int) -> None:
    lines = lines_of(terminal.render(asked), width)
    assert len(lines) < MOST_LINES, "one more names the report"
    above_failures = lines_of(terminal.render(asked, below=6), width)
    assert len(above_failures) + 6 < MOST_LINES
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "wait-timer 1,000: 8.7 times as fast (8.1 to 9.3), below 10 times" in text
    assert "One pair: the interval comes from the scatter of like comparisons." in text
    assert "2 of 30 cells are invalid: 2 driver-limited." in text
    assert "more questions" not in text


def test_few_questions_have_a_line_each_and_no_tables() -> None:
    lines = lines_of(terminal.render(asked_once((1.05, 1.19))))
    assert "create-fresh 10: async has 1.12 times the throughput of sync (1.05 to 1.19)" in lines
    assert not [line for line in lines if line.startswith("target")]


def test_verbose_shows_the_tables_as_well(asked: RunResults) -> None:
    text = "\n".join(lines_of(terminal.render(asked, verbose=True)))
    assert "target" in text
    assert "Create a resource" in text


def test_cells_that_nobody_asked_about_have_their_table() -> None:
    results = asked_once((1.05, 1.19))
    beside = cell_result("wait-timer", "async", Burst(10, 1.0), figure=0.5)
    text = "\n".join(lines_of(terminal.render(replace(results, cells=(*results.cells, beside)))))
    assert "The documented timing table" in text
    assert "Create a resource" not in text


def test_tables_beside_the_answers_have_what_room_these_leave(asked: RunResults) -> None:
    beside = cell_result("create-existing", "async", Burst(10, 1.0), figure=0.5)
    lines = lines_of(terminal.render(replace(asked, cells=(*asked.cells, beside))))
    assert len(lines) < MOST_LINES
    assert lines[-1] == "1 more table in the report; loopmark report --format text prints all"


@pytest.mark.parametrize("room", [4, 9, 15, 24])
def test_less_room_takes_lines_and_never_more_than_there_is(asked: RunResults, room: int) -> None:
    lines = lines_of(terminal.settling(_measured(asked), asked.questions, room))
    assert len(lines) <= room


def test_every_question_is_in_some_line_at_every_level(asked: RunResults) -> None:
    rows = questions.rows(asked.run, asked.questions)
    heights = []
    for groups in question_groups.details(rows):
        assert sorted(map(id, (row for group in groups for row in group))) == sorted(map(id, rows))
        heights.append(len(groups))
    assert heights == sorted(heights, reverse=True)
    assert heights[0] == len(rows) > heights[-1]


def test_a_question_shows_its_pairs_until_it_has_the_first_ones(asked: RunResults) -> None:
    text = "\n".join(lines_of(terminal.settling(asked.run, ())))
    assert "0 of 3 pairs" not in text, "the rounds are those of the fixture"
    begun = replace(asked.run, round_states={})
    text = "\n".join(lines_of(terminal.settling(begun, ())))
    assert "wait-timer 10: 0 of 3 pairs" in text
    assert "0 of 1 pair" in text
    assert "faster" not in text
    text = "\n".join(lines_of(terminal.settling(_measured(asked), asked.questions)))
    assert "wait-timer 10: no faster" in text


def test_the_page_answers_first_and_then_shows_every_question(asked: RunResults) -> None:
    page = page_of(asked)
    text = re.sub(r"<[^>]+>", " ", page[page.index("<body>") :])
    text = " ".join(text.split())
    answered = text.index("1,000 half-second waits: async 1.80 s")
    folded = text.index("2 of 30 cells are invalid: 2 driver-limited")
    settled = text.index("20 of 23 questions are settled")
    assert answered < folded < settled < text.index("The documentation promises")
    rows = questions.rows(asked.run, asked.questions)
    for row in rows:
        assert questions.verdict(row) in text
    assert "Expected false differences: 0.9 of 18" in text
    assert page.count('class="dot"') == sum(row.gain is not None for row in rows)
    # Those of the documented table: five loads claim ten times.
    assert page.count('class="promised"') == 5


def test_markdown_answers_first_and_folds_the_invalid_cells(asked: RunResults) -> None:
    lines = markdown.render(asked).splitlines()
    bold = next(number for number, line in enumerate(lines) if line.startswith("**"))
    assert "8.7 times as fast (8.1 to 9.3), below 10 times. Work in the database" in lines[bold]
    assert lines[bold + 2].startswith("<details><summary>2 of 30 cells are invalid")
    assert "| Scenario | Load | Answer |" in lines
    for row in questions.rows(asked.run, asked.questions):
        assert f"| {row.title} | {row.load} | {questions.verdict(row)} |" in lines


def test_json_has_the_questions_and_csv_stays_a_table_of_cells(asked: RunResults) -> None:
    assert len(json.loads(render("json", asked))["questions"]) == len(asked.questions)
    assert len(render("csv", asked).splitlines()) == 1 + len(asked.cells)


def test_two_drivers_of_a_scenario_and_the_target_of_a_series_are_named(asked: RunResults) -> None:
    one, *_ = cells = asked.run.cells
    twice = replace(asked.run, cells=(*cells, replace(one, driver="locust")))
    sizes = {row.topic: row.size for row in questions.rows(twice)}
    assert sizes["wait-timer"] == "100 native"
    assert sizes["crud"] == "100"
    assert sizes["files-io"] == "1 async"
    text = "\n".join(lines_of(terminal.render(asked)))
    assert "files-io async: 5 is 1.86 times as fast as 1, 16 is no faster" in text


def test_targets_at_places_of_a_series_are_told_apart(asked: RunResults) -> None:
    cells = [cell for cell in asked.run.cells if cell.scenario.startswith("files-io")]
    twice = (*cells, *(replace(cell, target="sync") for cell in cells))
    between = [
        replace(asked.questions[0].question, base=base.name, other=other.name)
        for base, other in zip(twice[len(cells) :], cells, strict=True)
    ]
    rows = questions.rows(replace(asked.run, cells=twice, questions=tuple(between)))
    assert [row.load for row in rows] == [
        f"{wording.at_once(row.cell.load)}, max_concurrent {at}"
        for row, at in zip(rows, (1, 5, 16, 64), strict=True)
    ]
    assert len({question_groups.label((row,)) for row in rows}) == len(rows)


def test_a_run_without_questions_has_no_table_of_them(results: RunResults) -> None:
    assert "questions" not in page_of(results).partition("</style>")[2]
    assert "| Answer |" not in markdown.render(results)


def _measured(results: RunResults) -> RunRecord:
    states: dict[str, tuple[RoundState, ...]] = {}
    for cell in results.run.cells:
        states[cell.name] = (MEASURED,) * 3
    return replace(results.run, round_states=states)
