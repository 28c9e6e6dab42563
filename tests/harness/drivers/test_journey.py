"""Stepping a flow: right answers, wrong ones, and bodies that a flow cannot use."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from loopmark.harness.drivers.journey import RIGHT, Journey
from loopmark.harness.vocabulary.flow import Request, Response, VirtualUser, check
from loopmark.harness.vocabulary.sample import ErrorKind

USER = VirtualUser(number=3, token="t-3", random=Random(1))
FIRST = Request("POST", "/things", step="create", expect=201)
SECOND = Request("GET", "/things/7", step="read")


@dataclass(frozen=True)
class Answer:
    """A response with a status and a body of text."""

    status_code: int = 200
    text: str = "{}"

    @property
    def content(self) -> bytes:
        return self.text.encode()

    def json(self) -> Any:  # noqa: ANN401 - as in a real response
        return json.loads(self.text)


Steps = Generator[Request, Response, None]

SAID = {
    "": "",
    '{"detail": "No connection\n was free."}': ': {"detail": "No connection was free."}',
    "x" * 1000: f": {'x' * 160}",
}


def two_steps(_user: VirtualUser) -> Steps:
    created = yield FIRST
    body = created.json()
    check(body["id"] == 7, "the id is not 7")
    yield SECOND


def nothing(_user: VirtualUser) -> Steps:
    yield from ()


def reading(look: Callable[[Any], object]) -> Callable[[VirtualUser], Steps]:
    """A flow of one step that looks for something in the body."""

    def flow(_user: VirtualUser) -> Steps:
        response = yield SECOND
        look(response.json())

    return flow


def test_right_answers_lead_through_all_steps() -> None:
    journey = Journey(two_steps, USER)
    assert journey.request is FIRST
    assert journey.receive(Answer(201, '{"id": 7}')) == RIGHT
    assert journey.request is SECOND
    assert journey.receive(Answer()) == RIGHT
    assert journey.request is None


def test_flow_knows_its_user() -> None:
    def flow(user: VirtualUser) -> Steps:
        yield Request("GET", f"/accounts/{user.account_id}", step="read")

    request = Journey(flow, USER).request
    assert request is not None
    assert request.path == "/accounts/4"


def test_flow_without_requests_is_over_at_once() -> None:
    assert Journey(nothing, USER).request is None


@pytest.mark.parametrize("status", [100, 200, 204, 301, 400, 401, 404, 409, 422, 499, 600])
def test_other_status_is_wrong_and_ends_the_flow(status: int) -> None:
    journey = Journey(two_steps, USER)
    judgement = journey.receive(Answer(status, '{"id": 7}'))
    assert judgement.error == ErrorKind.WRONG_STATUS
    assert judgement.message == f"POST /things answered {status}, expected 201: " + '{"id": 7}'
    assert journey.request is None


@pytest.mark.parametrize("status", [500, 502, 503, 599])
def test_server_error_is_named_so(status: int) -> None:
    journey = Journey(two_steps, USER)
    judgement = journey.receive(Answer(status))
    assert judgement.error == ErrorKind.SERVER_ERROR
    assert str(status) in judgement.message
    assert journey.request is None


def test_expected_failure_is_a_right_answer() -> None:
    def flow(_user: VirtualUser) -> Steps:
        yield Request("GET", "/broken", step="read", expect=503)

    assert Journey(flow, USER).receive(Answer(503)) == RIGHT


def test_answer_that_the_flow_refuses_is_wrong_and_ends_it() -> None:
    journey = Journey(two_steps, USER)
    judgement = journey.receive(Answer(201, '{"id": 8}'))
    assert judgement.error == ErrorKind.WRONG_ANSWER
    assert judgement.message == "POST /things: the id is not 7"
    assert journey.request is None


@pytest.mark.parametrize(
    ("look", "text", "what"),
    [
        (lambda body: body["id"], "{}", "KeyError"),
        (lambda body: body[0], "[]", "IndexError"),
        (lambda body: body["id"], "null", "TypeError"),
        (lambda body: body["id"], "[1]", "TypeError"),
        (lambda body: body + 1, '"1"', "TypeError"),
        (lambda body: int(body) + 1, '"one"', "ValueError"),
        (lambda body: body.get("id"), "[]", "AttributeError"),
        (lambda body: body, "<html>", "JSONDecodeError"),
        (lambda body: body, "", "JSONDecodeError"),
        (lambda body: body, "[" * 200_000, "RecursionError"),
    ],
)
def test_body_that_the_flow_cannot_use_is_a_wrong_answer(
    look: Callable[[Any], object], text: str, what: str
) -> None:
    journey = Journey(reading(look), USER)
    judgement = journey.receive(Answer(200, text))
    assert judgement.error == ErrorKind.WRONG_ANSWER
    assert judgement.message.startswith(f"GET /things/7: unusable body: {what}")
    assert journey.request is None


def test_mistake_of_the_flow_itself_is_not_blamed_on_the_target() -> None:
    def mistaken(_body: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Journey(reading(mistaken), USER).receive(Answer())


def test_wrong_answer_in_a_later_step_is_that_steps() -> None:
    journey = Journey(two_steps, USER)
    journey.receive(Answer(201, '{"id": 7}'))
    judgement = journey.receive(Answer(404))
    assert judgement.message.startswith("GET /things/7 answered 404")
    assert journey.request is None


def closing(closed: list[str]) -> Callable[[VirtualUser], Steps]:
    def flow(_user: VirtualUser) -> Steps:
        try:
            yield FIRST
            yield SECOND
        finally:
            closed.append("closed")

    return flow


@pytest.mark.parametrize("answers", [0, 1])
def test_abandoned_journey_ends_where_it_stands(answers: int) -> None:
    closed: list[str] = []
    journey = Journey(closing(closed), USER)
    for _ in range(answers):
        journey.receive(Answer(201))
    journey.abandon()
    assert journey.request is None
    assert closed == ["closed"]


def test_wrong_status_closes_the_flow() -> None:
    closed: list[str] = []
    journey = Journey(closing(closed), USER)
    journey.receive(Answer(404))
    assert closed == ["closed"]
    assert journey.request is None


def test_abandoning_twice_or_after_the_end_is_harmless() -> None:
    journey = Journey(nothing, USER)
    journey.abandon()
    journey.abandon()
    assert journey.request is None


@pytest.mark.parametrize("body", SAID)
def test_what_a_refusal_says_is_shown_as_far_as_there_is_room(body: str) -> None:
    judgement = Journey(two_steps, USER).receive(Answer(503, body))
    assert judgement.message == f"POST /things answered 503, expected 201{SAID[body]}"
