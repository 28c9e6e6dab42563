"""Journeys with a client against the contract in memory: right answers pass, spoilt ones do not."""

from __future__ import annotations

import json
from random import Random

import httpx
import pytest

from loopmark.harness.vocabulary.flow import Request, VirtualUser, WrongAnswer
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.scenarios.journeys import crud_client
from tests.scenarios.fake_target import Answer, FakeTarget, passed_by_client, requests_of

STEPS = ["create", "read", "update", "read-updated", "delete"]


def virtual_user() -> VirtualUser:
    return VirtualUser(3, "token", Random(1))


def test_journey_asks_what_the_flow_asks() -> None:
    by_client = requests_of(SCENARIOS["crud-client"], virtual_user(), FakeTarget())
    by_flow = requests_of(SCENARIOS["crud"], virtual_user(), FakeTarget())
    assert [request.step for request in by_client] == STEPS
    assert [request._replace(expect=200) for request in by_flow] == by_client


@pytest.mark.parametrize("step", STEPS[:-1])
def test_changed_field_is_a_wrong_answer(step: str) -> None:
    def spoil(request: Request, answer: Answer) -> Answer:
        if request.step != step:
            return answer
        return Answer(answer.status_code, json.dumps(answer.json() | {"email": "x@example.com"}))

    with pytest.raises(WrongAnswer):
        passed_by_client(crud_client, virtual_user(), FakeTarget(), spoil)


@pytest.mark.parametrize("step", STEPS)
def test_status_of_failure_is_an_error(step: str) -> None:
    def spoil(request: Request, answer: Answer) -> Answer:
        return answer if request.step != step else Answer(404, answer.text)

    with pytest.raises(httpx.HTTPStatusError):
        passed_by_client(crud_client, virtual_user(), FakeTarget(), spoil)
