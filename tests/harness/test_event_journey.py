"""Stepping a flow that hears events: order, what is kept, and what is judged wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.drivers import journey as journeys
from loopmark.harness.drivers.journey import RIGHT, EventJourney, ReceivedEvent
from loopmark.harness.vocabulary.flow import Connect, Event, Listen, Request, VirtualUser, check
from loopmark.harness.vocabulary.sample import ErrorKind

USER = VirtualUser(number=3, token="t-3", random=Random(1))
ASK = Request("POST", "/things", step="create")
HEAR = Listen("created", step="hear", where={"id": 7})

Steps = Generator[Request | Connect | Listen, Any, None]


@dataclass(frozen=True)
class Answer:
    status_code: int = 200
    text: str = "{}"

    @property
    def content(self) -> bytes:
        return self.text.encode()

    def json(self) -> Any:  # noqa: ANN401 - as in a real response
        return json.loads(self.text)


def heard(name: str = "created", at_ns: int = 1, **data: object) -> ReceivedEvent:
    return ReceivedEvent(Event(name, data), at_ns, 10)


def asking_and_hearing(_user: VirtualUser) -> Steps:
    response = yield ASK
    check(response.json() == {}, "the answer is not empty")
    event = yield HEAR
    check(event.data["fine"], "it is not fine")


def hearing(*steps: Listen) -> Callable[[VirtualUser], Steps]:
    def flow(_user: VirtualUser) -> Steps:
        for step in steps:  # noqa: UP028 - events are sent into it
            yield step

    return flow


def test_request_and_event_lead_through_the_flow() -> None:
    journey = EventJourney(asking_and_hearing, USER)
    assert journey.step == ASK
    assert journey.receive(Answer()) == RIGHT
    assert journey.recall() is None
    event = heard(id=7, fine=True)
    assert journey.awaits(event.event)
    assert journey.hear(event.event) == RIGHT
    assert journey.step is None


def test_an_event_that_came_before_the_answer_will_do() -> None:
    journey = EventJourney(asking_and_hearing, USER)
    early = heard(id=7, fine=True)
    assert not journey.awaits(early.event)
    journey.keep(early)
    journey.receive(Answer())
    assert journey.recall() is early


@pytest.mark.parametrize(
    "other",
    [
        heard("deleted", id=7),
        heard(id=8),
        heard(),
        heard(id="7"),
        heard(id=None),
    ],
)
def test_another_event_is_not_the_one(other: ReceivedEvent) -> None:
    journey = EventJourney(hearing(HEAR), USER)
    assert not journey.awaits(other.event)
    journey.keep(other)
    assert journey.recall() is None


def test_a_field_that_must_be_null_must_be_there() -> None:
    journey = EventJourney(hearing(Listen("created", "hear", {"id": None})), USER)
    journey.keep(heard())
    assert journey.recall() is None
    journey.keep(heard(id=None))
    assert journey.recall() is not None


def test_each_event_is_used_once() -> None:
    journey = EventJourney(hearing(HEAR, HEAR), USER)
    journey.keep(heard(id=7))
    first = journey.recall()
    assert first is not None
    journey.hear(first.event)
    assert journey.recall() is None


def test_what_was_skipped_is_kept_for_later() -> None:
    journey = EventJourney(hearing(HEAR, Listen("log", "log")), USER)
    journey.keep(heard("log"))
    journey.keep(heard(id=7))
    found = journey.recall()
    assert found == heard(id=7)
    journey.hear(found.event)
    assert journey.recall() == heard("log")


@given(st.lists(st.sampled_from(["created", "log", "done"]), max_size=30), st.randoms())
def test_events_of_a_name_are_heard_in_their_order(names: list[str], random: Random) -> None:
    """Whatever the order in which the flow listens, and whatever comes between."""
    events = [heard(name, at_ns=number) for number, name in enumerate(names)]
    wanted = [Listen(name, name) for name in names]
    random.shuffle(wanted)
    journey = EventJourney(hearing(*wanted), USER)
    for event in events:
        journey.keep(event)
    found: dict[str, list[int]] = {name: [] for name in names}
    while journey.step is not None:
        one = journey.recall()
        assert one is not None
        found[one.event.name].append(one.at_ns)
        assert journey.hear(one.event) == RIGHT
    for name, moments in found.items():
        assert moments == [event.at_ns for event in events if event.event.name == name]
    assert sum(map(len, found.values())) == len(events)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "MOST_KEPT", 5)
    journey = EventJourney(hearing(*[Listen("created", "hear")] * 20), USER)
    for number in range(20):
        journey.keep(heard(at_ns=number))
    found = []
    while (one := journey.recall()) is not None:
        found.append(one.at_ns)
        journey.hear(one.event)
    assert found == [15, 16, 17, 18, 19]


def test_the_greeting_is_judged() -> None:
    def flow(user: VirtualUser) -> Steps:
        greeting = yield Connect("connect")
        check(greeting.data["user_id"] == user.account_id, "another user was greeted")

    journey = EventJourney(flow, USER)
    assert isinstance(journey.step, Connect)
    assert journey.greet(Event("connected", {"user_id": 4})) == RIGHT
    journey = EventJourney(flow, USER)
    judgement = journey.greet(Event("connected", {"user_id": 5}))
    assert judgement.error == ErrorKind.WRONG_ANSWER
    assert judgement.message == "event connected: another user was greeted"
    assert journey.step is None


@pytest.mark.parametrize(
    ("data", "what"),
    [({"fine": False}, "it is not fine"), ({}, "unusable body: KeyError")],
)
def test_an_event_that_the_flow_refuses_is_wrong_and_ends_it(
    data: dict[str, Any], what: str
) -> None:
    journey = EventJourney(asking_and_hearing, USER)
    journey.receive(Answer())
    judgement = journey.hear(Event("created", {"id": 7} | data))
    assert judgement.error == ErrorKind.WRONG_ANSWER
    assert judgement.message.startswith(f"event created: {what}")
    assert journey.step is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(404), ErrorKind.WRONG_STATUS),
        (Answer(503), ErrorKind.SERVER_ERROR),
        (Answer(200, "[]"), ErrorKind.WRONG_ANSWER),
        (Answer(200, "no json"), ErrorKind.WRONG_ANSWER),
    ],
)
def test_a_wrong_answer_to_the_request_ends_it(answer: Answer, error: str) -> None:
    journey = EventJourney(asking_and_hearing, USER)
    assert journey.receive(answer).error == error
    assert journey.step is None


def test_mistake_of_the_flow_itself_is_not_blamed_on_the_target() -> None:
    def mistaken(_user: VirtualUser) -> Steps:
        yield HEAR
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        EventJourney(mistaken, USER).hear(Event("created", {"id": 7}))


def test_abandoned_journey_ends_where_it_stands() -> None:
    journey = EventJourney(asking_and_hearing, USER)
    journey.abandon()
    journey.abandon()
    assert journey.step is None
