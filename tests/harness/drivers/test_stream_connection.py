"""A stream of Server-Sent Events, fed by hand: what is read, and what breaks it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.websocket_driver import protocols, stream_connection
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.vocabulary.flow import Event
from loopmark.harness.vocabulary.sample import ErrorKind

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
GREETING = b'event: connected\ndata: {"user_id": 1}\n\n'


class Listener:
    def __init__(self) -> None:
        self.greetings: list[Event] = []
        self.events: list[Event] = []
        self.failures: list[Failure] = []

    def greeted(self, greeting: Event, _at_ns: int, _size: int) -> None:
        self.greetings.append(greeting)

    def heard(self, event: Event, _at_ns: int, _size: int) -> None:
        self.events.append(event)

    def lost(self, failure: Failure) -> None:
        self.failures.append(failure)


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close


class Wire:
    """A connection whose transport is ours."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.listener = Listener()
        self.transport = Transport()
        address = EventAddress(Origin(host, 80), "/below/events", "connected", "sse")
        self.connection = protocols.connection(address, "secret", self.listener)
        self.connection.connection_made(cast("asyncio.Transport", self.transport))

    def feed(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.connection.data_received(piece)

    def failure(self) -> Failure:
        (failure,) = self.listener.failures
        assert self.transport.is_closed
        assert self.connection.is_closed
        return failure


def chunked(*bodies: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies)


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[one:other] for one, other in pairwise(ends)]


@pytest.mark.parametrize(("host", "named"), [("a.example", "a.example"), ("::1", "[::1]")])
def test_it_asks_for_a_stream_with_its_token(host: str, named: str) -> None:
    first, *headers = Wire(host).transport.written.decode().split("\r\n")
    assert first == "GET /below/events HTTP/1.1"
    assert f"Host: {named}:80" in headers
    assert "Accept: text/event-stream" in headers
    assert "Authorization: Bearer secret" in headers
    assert headers[-2:] == ["", ""]


@given(st.lists(st.integers(0, 10_000), max_size=6), st.sampled_from([b"\n", b"\r", b"\r\n"]))
def test_however_it_is_cut_it_is_the_same(places: list[int], end: bytes) -> None:
    blocks = (GREETING, b": ping\n\n", b'event: e\ndata: {"n": 1}\n\n', b'data: {"n": 2}\n\n')
    bodies = [block.replace(b"\n", end) for block in blocks]
    stream = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*bodies)
    wire = Wire()
    wire.feed(*cut(stream, places))
    assert wire.listener.greetings == [Event("connected", {"user_id": 1})]
    assert wire.listener.events == [Event("e", {"n": 1}), Event("message", {"n": 2})]
    assert wire.listener.failures == []
    assert wire.connection.status == 200


def test_without_chunks_it_is_read_until_the_connection_ends() -> None:
    wire = Wire()
    wire.feed(HEAD + b"\r\n" + GREETING + b'data: {"n": 1}\n\n')
    assert wire.listener.events == [Event("message", {"n": 1})]
    wire.connection.connection_lost(None)
    assert wire.failure().kind == ErrorKind.RESET


def test_an_answer_that_only_announces_another_is_passed_over() -> None:
    wire = Wire()
    wire.feed(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + HEAD + b"\r\n" + GREETING)
    assert wire.connection.is_greeted


def test_a_stream_that_its_target_ends_is_lost() -> None:
    wire = Wire()
    wire.feed(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(GREETING) + b"0\r\n\r\n")
    assert wire.failure() == Failure(ErrorKind.RESET, "the target ended the stream of events")


BROKEN = {
    b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\n{}": ("wrong-status", "answered 401, expected 2"),
    b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n": ("server-error", "answered 503"),
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>": ("wrong-answer", "text/html"),
    b"HTTP/1.1 200 OK\r\n\r\n{}": ("wrong-answer", "with no type"),
    b"220 smtp.example.com ESMTP\r\n\r\n": ("protocol", "no HTTP"),
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000: ("protocol", "headers of more than"),
    HEAD + b"\r\nevent: e\ndata: {}\n\n": ("wrong-answer", "the first event is 'e'"),
    HEAD + b"\r\n" + GREETING + b"data: 1\n\n": ("wrong-answer", "no event"),
    HEAD + b"\r\n" + GREETING + b"data: \xff\n\n": ("wrong-answer", "no event"),
}


@pytest.mark.parametrize("data", BROKEN)
def test_what_breaks_it_is_told(data: bytes) -> None:
    wire = Wire()
    wire.feed(data)
    kind, message = BROKEN[data]
    assert wire.failure().kind == kind
    assert message in wire.failure().message


def test_an_event_without_an_end_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_connection, "MAX_BLOCK_BYTES", 1000)
    wire = Wire()
    wire.feed(HEAD + b"\r\n" + GREETING + b"data: " + b"x" * 2000)
    assert wire.failure() == Failure(ErrorKind.PROTOCOL, "an event of more than 1000 bytes")


def test_after_its_own_end_nothing_is_told() -> None:
    wire = Wire()
    wire.feed(HEAD + b"\r\n" + GREETING)
    wire.connection.close()
    assert wire.transport.is_closed
    wire.feed(b'data: {"n": 1}\n\n')
    wire.connection.connection_lost(None)
    assert (wire.listener.events, wire.listener.failures) == ([], [])
