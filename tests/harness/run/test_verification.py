"""Verifying flows that hear events: connected for real, and stepped as a driver does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest

from loopmark.harness.run import verification
from loopmark.harness.run.verification import _by_hearing
from loopmark.harness.vocabulary.flow import EventFlow, VirtualUser
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.scenario import EventProtocol, Scenario
from tests.harness.drivers.driving import WARM
from tests.harness.drivers.event_server import EventServer
from tests.harness.drivers.tried_flows import (
    connecting_and_creating,
    creating,
    hearing_nothing,
    processing,
)

USER = VirtualUser(0, "token-0", Random(1))


@pytest.fixture(params=["websocket", "socketio"])
def scenario(request: pytest.FixtureRequest) -> Scenario:
    protocol: EventProtocol = request.param
    return Scenario("tried", "t", "d", creating, WARM, events=protocol)


def verified(
    server: EventServer, scenario: Scenario, flow: EventFlow, *, connects: bool = False
) -> tuple[str, list[str]]:
    with server.running() as url:
        asked = replace(scenario, connects=connects)
        return asyncio.run(_by_hearing(flow, asked, USER, url))


def test_right_answers_and_events_are_right(scenario: Scenario) -> None:
    assert verified(EventServer(), scenario, creating) == ("", ["create", "hear"])
    connected = verified(EventServer(), scenario, connecting_and_creating, connects=True)
    assert connected == ("", ["connect", "create", "hear"])
    steps = ["answer", *["progress"] * 4, "complete"]
    assert verified(EventServer(), scenario, processing) == ("", steps)


def test_a_wrong_event_is_named(scenario: Scenario) -> None:
    server = EventServer()
    server.fault = lambda _client, _number, message: [
        message | {"data": message["data"] | {"user_id": 2}}
    ]
    problem, steps = verified(server, scenario, creating)
    assert problem == "event resource_created: it is another user's"
    assert steps == ["create"]


def test_an_event_that_does_not_come_is_named(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "TIMEOUTS", Timeouts(1.0, 0.3, 0.3))
    problem, steps = verified(EventServer(), scenario, hearing_nothing)
    assert problem == "no event 'never' within 0.3 s"
    assert steps == ["ask"]


def test_a_refused_connection_is_named(scenario: Scenario) -> None:
    server = EventServer()
    server.refused = {USER.token}
    problem, steps = verified(server, scenario, creating)
    assert ("401" in problem) or ("Could not validate credentials" in problem)
    assert steps == []
