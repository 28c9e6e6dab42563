"""Every flow that hears events, against the contract in memory: what is told wrongly is noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from loopmark.harness.drivers.journey import RIGHT
from loopmark.harness.vocabulary.flow import Event, EventFlow, Request, VirtualUser
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.scenarios import event_flows
from tests.scenarios.fake_target import Answer, FakeTarget, passed_hearing

FLOWS: dict[str, EventFlow] = {
    flow.__name__: flow
    for flow in (
        event_flows.connect,
        event_flows.create_and_hear,
        event_flows.process_and_hear,
        event_flows.upload_and_hear,
    )
}
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=list(FLOWS))


def virtual_user(number: int = 0) -> VirtualUser:
    return VirtualUser(number, f"token-{number}", Random(f"seed/{number}"))


def changed(name: str, place: int = 0, **data: object) -> Callable[[Sequence[Event]], list[Event]]:
    """The events as they came, but for some fields of the n-th of a name."""

    def distort(events: Sequence[Event]) -> list[Event]:
        told = list(events)
        of_name = [index for index, event in enumerate(told) if event.name == name]
        index = of_name[place]
        told[index] = replace(told[index], data={**told[index].data, **data})
        return told

    return distort


def without(name: str) -> Callable[[Sequence[Event]], list[Event]]:
    return lambda events: [event for event in events if event.name != name]


@every_flow
def test_right_answers_and_events_are_right_for_every_user(flow: EventFlow) -> None:
    target = FakeTarget()
    for number in range(20):
        found = passed_hearing(flow, virtual_user(number), target)
        assert {judgement for _, judgement in found} == {RIGHT}


def test_steps_of_a_process() -> None:
    found = passed_hearing(event_flows.process_and_hear, virtual_user(), FakeTarget())
    steps = [step.step for step, _ in found]
    assert steps == ["answer", "first-event", *["progress"] * 4, "log", "last-event"]


@pytest.mark.parametrize(
    ("flow", "distort", "step"),
    [
        ("connect", changed("connected", user_id=999), "connect"),
        ("create_and_hear", changed("resource_created", user_id=999), "hear"),
        ("process_and_hear", changed("progress_update", progress=1), "first-event"),
        ("process_and_hear", changed("progress_update", status="running"), "first-event"),
        ("process_and_hear", changed("progress_update", 2, progress=49), "progress"),
        ("process_and_hear", changed("progress_update", 4, status="running"), "progress"),
        ("process_and_hear", changed("log_entry", status="error"), "log"),
        ("process_and_hear", changed("log_entry", result={}), "log"),
        ("process_and_hear", changed("operation_complete", result={}), "last-event"),
        ("process_and_hear", lambda events: list(reversed(events)), "first-event"),
        ("upload_and_hear", changed("processing_complete", status="failed"), "complete"),
        ("upload_and_hear", changed("processing_complete", result={"lines": 1}), "complete"),
        ("upload_and_hear", changed("processing_complete", result=None), "complete"),
    ],
)
def test_what_is_told_wrongly_is_noticed(
    flow: str, distort: Callable[[Sequence[Event]], list[Event]], step: str
) -> None:
    found = passed_hearing(FLOWS[flow], virtual_user(), FakeTarget(), distort=distort)
    last, judgement = found[-1]
    assert (last.step, judgement.error) == (step, ErrorKind.WRONG_ANSWER)


@pytest.mark.parametrize(
    ("flow", "distort", "step"),
    [
        ("create_and_hear", without("resource_created"), "hear"),
        ("create_and_hear", changed("resource_created", resource_id="another"), "hear"),
        ("process_and_hear", without("operation_complete"), "last-event"),
        ("upload_and_hear", changed("processing_complete", upload_id="another"), "complete"),
    ],
)
def test_what_is_not_told_is_missed(
    flow: str, distort: Callable[[Sequence[Event]], list[Event]], step: str
) -> None:
    found = passed_hearing(FLOWS[flow], virtual_user(), FakeTarget(), distort=distort)
    last, judgement = found[-1]
    assert (last.step, judgement.error) == (step, ErrorKind.TIMEOUT)


@pytest.mark.parametrize(
    ("flow", "wrong"),
    [
        ("create_and_hear", {"created": False}),
        ("process_and_hear", {"status": "failed"}),
        ("upload_and_hear", {"bytes": 1}),
        ("upload_and_hear", {"status": "stored"}),
    ],
)
def test_spoilt_answer_is_noticed(flow: str, wrong: dict[str, Any]) -> None:
    def spoil(_request: Request, answer: Answer) -> Answer:
        return answer.with_fields(**wrong)

    found = passed_hearing(FLOWS[flow], virtual_user(), FakeTarget(), spoil)
    assert [judgement.error for _, judgement in found] == [ErrorKind.WRONG_ANSWER]


def test_publications_are_told_apart() -> None:
    user = virtual_user()
    keys = [event_flows.publish_resource(user).key for _ in range(100)]
    assert len(set(keys)) == len(keys)


def test_publication_is_recognised_by_what_the_target_tells_of_it() -> None:
    target, user = FakeTarget(), virtual_user()
    published = event_flows.publish_resource(user)
    assert target.answer(published.request, user).status_code == published.request.expect
    (event,) = target.told
    assert event.data["resource_id"] == published.key
