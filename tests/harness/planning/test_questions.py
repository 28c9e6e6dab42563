"""Questions of a plan: which cells they make, what is asked of them, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from loopmark.harness.errors import UserError
from loopmark.harness.planning.plan import cells_of, planned_seconds, select
from loopmark.harness.planning.questions import questions_of
from loopmark.harness.vocabulary.question import Question
from tests.harness.planning.plan_texts import parsed, plan_text, question_text

PLACES = {"files-1": 1.0, "files-5": 5.0, "files-16": 16.0}
SYNC, ASYNC = "crud/sync/closed-2/native", "crud/async/closed-2/native"


def asked(text: str, only: str | None = None) -> tuple[Question, ...]:
    plan = parsed(text)
    return questions_of(plan, select(cells_of(plan), only), PLACES)


def refused(text: str) -> Sequence[str]:
    with pytest.raises(UserError) as caught:
        parsed(text)
    return [line.removeprefix("my.toml:") for line in str(caught.value).splitlines()]


def test_each_target_is_compared_with_the_first() -> None:
    assert asked(question_text()) == (
        Question("throughput_rps", SYNC, ASYNC, "target", (1.0,), 3, 0.15, 1),
    )
    assert {cell.rounds for cell in cells_of(parsed(question_text()))} == {3}


def test_every_metric_is_a_question_with_all_thresholds() -> None:
    metrics = '["throughput_rps", "cpu_ms_per_request"]'
    found = asked(question_text(metrics=metrics, thresholds="[10, 0.5]", pairs="4", within="0.05"))
    assert [one.metric for one in found] == ["throughput_rps", "cpu_ms_per_request"]
    assert {(one.thresholds, one.pairs, one.within) for one in found} == {
        ((0.5, 1.0, 10.0), 4, 0.05)
    }


def test_a_series_asks_of_each_place_whether_it_is_better_than_the_one_before() -> None:
    text = question_text(
        scenarios='["files-16", "files-1", "files-5"]',
        targets='["async"]',
        loads='[{ model = "burst", n = 1 }]',
        series="true",
    )
    found = asked(text)
    assert [(one.base.split("/")[0], one.other.split("/")[0]) for one in found] == [
        ("files-1", "files-5"),
        ("files-5", "files-16"),
    ]
    assert {(one.axis, one.metric, one.family) for one in found} == {("place", "makespan_s", 2)}


def test_questions_share_the_cells_they_have_in_common() -> None:
    text = "\n".join(
        [
            question_text(pairs="5"),
            "[[question]]",
            'scenarios = ["crud"]',
            'targets = ["async", "sync"]',
            'loads = [{ model = "closed", users = 2, duration_s = 1.5, drain_s = 3 }]',
        ]
    )
    cells = cells_of(parsed(text))
    assert {cell.name: cell.rounds for cell in cells} == {SYNC: 5, ASYNC: 5}
    assert planned_seconds(cells) == 2 * 5 * 2.0, "the shorter expectation holds"
    assert len(asked(text)) == 2


def test_what_is_asked_twice_is_one_question() -> None:
    text = question_text()
    again = text[text.index("[[question]]") :]
    assert len(asked(f"{text}\n{again}")) == 1


def test_a_question_about_a_cell_that_is_not_measured_is_left_out() -> None:
    assert asked(question_text(), only="/async/") == ()


def test_a_target_may_be_expected_to_take_longer() -> None:
    text = question_text(loads='[{ model = "burst", n = 5 }]', planned_s="{ sync = 50.5 }")
    assert {cell.target: cell.load.planned_s for cell in cells_of(parsed(text))} == {
        "sync": 50.5,
        "async": 1.0,
    }


def test_fixed_rounds_and_questions_stand_side_by_side() -> None:
    text = plan_text(scenarios='["wait-timer"]', tail=question_text().partition("\n\n")[2])
    assert len(cells_of(parsed(text))) == 4
    assert len(asked(text)) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "test"\ntitle = "t"', "1: a [[measure]] or a [[question]] is needed"),
        (question_text(targets='["sync"]'), "6: question[0].targets: two or more are needed"),
        (question_text(targets='["sink", "async"]'), "6: question[0].targets: unknown target"),
        (question_text(pairs="0"), "8: question[0].pairs: more than 0 is needed, got 0"),
        (question_text(within="2"), "8: question[0].within: 1 is the most, got 2"),
        (question_text(thresholds="[0]"), "8: question[0].thresholds[0]: more than 0 is needed"),
        (
            question_text(metrics='["throughput"]'),
            "8: question[0].metrics: unknown metric 'throughput'; did you mean 'throughput_rps'?",
        ),
        (
            question_text(rounds="3"),
            "8: question[0]: unknown key rounds, it belongs in a [[measure]]",
        ),
        (
            question_text(threshold="[0.1]"),
            "8: question[0]: unknown key threshold, did you mean thresholds?",
        ),
        (
            question_text(series="true", scenarios='["files-1"]', targets='["async"]'),
            "5: question[0].scenarios: two or more scenarios of one series are needed",
        ),
        (
            question_text(series="true", scenarios='["files-1", "crud"]'),
            "5: question[0].scenarios: two or more scenarios of one series are needed",
        ),
        (
            question_text(loads='[{ model = "steps", rates = [1, 2], step_s = 1 }]'),
            "question[0].loads[0]: 'steps' has no main metric; no metric is compared under it",
        ),
        (question_text(targets='["sync", "sync"]'), "targets: 'sync' stands there twice"),
        (question_text(planned_s="{ snyc = 3 }"), "planned_s.snyc: this block has no such target"),
        (question_text(planned_s="{ sync = 3 }"), "planned_s: only for bursts"),
        (plan_text(head="budget_s = 9"), "3: budget_s: has no effect without a [[question]]"),
        (question_text(head="budget_s = 0"), "3: budget_s: more than 0 is needed, got 0"),
        (
            plan_text(tail=question_text().partition("\n\n")[2]),
            "question[0]: the cell 'crud/sync/closed-2/native' is planned twice; remove one",
        ),
        (
            question_text()
            + "\n[[question]]\nscenarios = ['crud']\ntargets = ['sync', 'async']\n"
            + "loads = [{ model = 'closed', users = 2, duration_s = 9 }]",
            f"question[1]: the cell '{SYNC}' has another load in an earlier question",
        ),
    ],
)
def test_what_cannot_be_asked_is_told(text: str, said: str) -> None:
    assert any(said in line for line in refused(text)), refused(text)
