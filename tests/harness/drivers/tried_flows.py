"""Flows that all drivers are tried with; light, because a child process imports it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from loopmark.harness.vocabulary.flow import Connect, Listen, Request, Response, VirtualUser, check
from loopmark.harness.vocabulary.scenario import Publication
from loopmark.scenarios.event_scenarios import RESOURCE_CREATED, SOCKETIO, STREAM, WEBSOCKET

Steps = Generator[Request, Response, None]


def two_steps(_user: VirtualUser) -> Steps:
    response = yield Request("GET", "/first", step="first")
    check(response.json()["n"] == 1, "n is not 1")
    yield Request("GET", "/second", step="second")


def one_step(_user: VirtualUser) -> Steps:
    yield Request("GET", "/only", step="only")


def choosing(user: VirtualUser) -> Steps:
    yield Request("GET", f"/{user.number}/{user.unique_id()}", step="chosen")


def posting(user: VirtualUser) -> Steps:
    """JSON, a form, bytes, parameters, headers of its own: each in the way that encodes it."""
    yield Request("POST", "/json", step="json", json={"name": "caf\u00e9", "user": user.number})
    yield Request("POST", "/form", step="form", data={"a": "b c"})
    yield Request("PUT", "/bytes", step="bytes", content=b"\x00\xff")
    yield Request("GET", "/search", step="search", params={"q": "a b&c"})
    yield Request("DELETE", "/headers", step="headers", headers={"X-Own": "1"})


def not_following(_user: VirtualUser) -> Steps:
    yield Request("GET", "/moved", step="moved", expect=302)


def compressed(_user: VirtualUser) -> Steps:
    response = yield Request("GET", "/compressed", step="compressed")
    check(response.json() == {"n": 1}, "it was not decompressed")


def asking_nothing(_user: VirtualUser) -> Steps:
    yield from ()


def faulty(_user: VirtualUser) -> Steps:
    yield Request("GET", "/only", step="only")
    raise ZeroDivisionError("a fault of the flow")


def uploading(_user: VirtualUser) -> Steps:
    content = b"x" * 8 * 1024**2
    yield Request("POST", "/answer-unread", step="post", content=content)
    yield Request("GET", "/fine", step="next")


class Asking:
    """Each user asks for one of the paths the first time, and from then on for what is fine.

    Args:
        names: By user, with the method before it if it is not GET.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.begun: set[int] = set()

    def flow(self, user: VirtualUser) -> Steps:
        method, name = "", "fine"
        if user.number not in self.begun:
            self.begun.add(user.number)
            method, _, name = self.names[user.number].rpartition(" ")
        response = yield Request(method or "GET", f"/{name}", step=name)
        check(response.json()["n"] == 1, "n is not 1")


# ---- flows that hear events ----

ENDPOINTS = {endpoint.protocol: endpoint for endpoint in (WEBSOCKET, SOCKETIO, STREAM)}

EventSteps = Generator[Request | Connect | Listen, Any, None]


def creating(user: VirtualUser) -> EventSteps:
    key = user.unique_id()
    response = yield Request("POST", "/publish", step="create", json={"id": key})
    check(response.json() == {"id": key}, "another one was created")
    event = yield Listen("resource_created", step="hear", where={"resource_id": key})
    check(event.data["user_id"] == 1, "it is another user's")


def processing(_user: VirtualUser) -> EventSteps:
    response = yield Request("POST", "/process", step="answer", json={"steps": 3})
    operation = {"operation_id": response.json()["operation_id"]}
    for progress in (0, 33, 66, 100):
        event = yield Listen("progress_update", step="progress", where=operation)
        check(event.data["progress"] == progress, "progress is out of order")
    yield Listen("operation_complete", step="complete", where=operation)


def connecting(_user: VirtualUser) -> EventSteps:
    greeting = yield Connect(step="connect")
    check(greeting.data["user_id"] == 1, "another user was greeted")


def connecting_and_creating(user: VirtualUser) -> EventSteps:
    yield from connecting(user)
    yield from creating(user)


def hearing_nothing(_user: VirtualUser) -> EventSteps:
    yield Request("GET", "/warm", step="ask")
    yield Listen("never", step="hear")


def publishing(user: VirtualUser) -> Publication:
    key = user.unique_id()
    return Publication(key, Request("POST", "/publish", step="create", json={"id": key}))


BROADCAST = replace(RESOURCE_CREATED, publish=publishing)
