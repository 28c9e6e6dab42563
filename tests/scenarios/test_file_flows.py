"""Flows about files: they name files that the corpus has, and notice a wrong answer."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from loopmark.harness.drivers.journey import RIGHT
from loopmark.harness.vocabulary.flow import Request, VirtualUser
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.scenarios import file_flows
from loopmark.scenarios.file_flows import ProcessFiles
from loopmark.scenarios.file_scenarios import FILE_SCENARIOS
from loopmark.targets import corpus
from tests.scenarios.fake_target import Answer, FakeTarget, passed

USER = VirtualUser(0, "token", Random(0))
every_choice = pytest.mark.parametrize(
    "files",
    [
        file_flows.MANY,
        file_flows.MIXED,
        file_flows.LARGE,
        file_flows.LARGEST,
        file_flows.COMPUTED,
    ],
)


@every_choice
def test_files_asked_for_are_in_the_corpus(files: tuple[str, ...]) -> None:
    assert len(set(files)) == len(files)
    assert set(files) <= set(corpus.NAMES)


@pytest.mark.parametrize("scenario", FILE_SCENARIOS, ids=lambda one: one.name)
def test_scenario_takes_the_right_answer(scenario: Any) -> None:  # noqa: ANN401 - of any flow
    ((_, judgement),) = passed(scenario.flow, USER, FakeTarget())
    assert judgement == RIGHT


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "failed"},
        {"files": []},
        {"max_concurrent_seen": 3},
    ],
)
def test_wrong_answer_is_noticed(wrong: dict[str, Any]) -> None:
    def spoil(_request: Request, answer: Answer) -> Answer:
        return answer.with_fields(**wrong)

    ((_, judgement),) = passed(ProcessFiles(file_flows.MIXED, 2), USER, FakeTarget(), spoil)
    assert judgement.error == ErrorKind.WRONG_ANSWER


@pytest.mark.parametrize(("files", "words"), [(("1k-000.txt",), 0)])
def test_file_without_words_is_noticed(files: tuple[str, ...], words: int) -> None:
    def spoil(_request: Request, answer: Answer) -> Answer:
        found = [one | {"words": words} for one in answer.json()["files"]]
        return answer.with_fields(files=found)

    ((_, judgement),) = passed(ProcessFiles(files, 1), USER, FakeTarget(), spoil)
    assert judgement.error == ErrorKind.WRONG_ANSWER
