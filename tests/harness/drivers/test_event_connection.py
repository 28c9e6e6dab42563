"""A connection for events without a network: whatever the pieces in which its bytes arrive."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.server import ServerProtocol

from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.websocket_driver import websocket_connection
from loopmark.harness.drivers.websocket_driver.dialects import (
    Dialect,
    PlainDialect,
    SocketIoDialect,
)
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.websocket_connection import WebSocketConnection
from loopmark.harness.vocabulary.flow import Event
from loopmark.harness.vocabulary.sample import ErrorKind

GREETING = '{"event": "connected", "data": {}}'
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
ADDRESS = EventAddress(Origin("127.0.0.1", 80), "/below/events", "connected", "websocket")


class Transport:
    """What a connection writes, and how it ends."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = ""

    def write(self, data: bytes) -> None:
        assert not self.ended
        self.written += data

    def writelines(self, parts: list[bytes]) -> None:
        self.write(b"".join(parts))

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "aborted"

    def is_closing(self) -> bool:
        return bool(self.ended)


class Listener:
    """What a connection told."""

    def __init__(self) -> None:
        self.greetings = 0
        self.events: list[Event] = []
        self.sizes: list[int] = []
        self.failures: list[Failure] = []
        self.moments: list[int] = []

    def greeted(self, _greeting: Event, at_ns: int, _size: int) -> None:
        self.greetings += 1
        self.moments.append(at_ns)

    def heard(self, event: Event, at_ns: int, size: int) -> None:
        assert self.greetings == 1
        self.events.append(event)
        self.sizes.append(size)
        self.moments.append(at_ns)

    def lost(self, failure: Failure) -> None:
        self.failures.append(failure)


class Wire:
    """Both ends: the connection, and websockets' own server without its I/O."""

    def __init__(self, dialect: Dialect | None = None) -> None:
        self.listener = Listener()
        self.transport = Transport()
        spoken = dialect or PlainDialect("secret")
        self.connection = WebSocketConnection(ADDRESS, spoken, self.listener)
        self.connection.connection_made(cast("asyncio.Transport", self.transport))
        self.server = ServerProtocol()
        self.server.receive_data(self.transport.written)
        (self.request,) = self.server.events_received()

    def handshake(self) -> bytes:
        request = cast("Any", self.request)
        self.server.send_response(self.server.accept(request))
        return self.sent()

    def sent(self) -> bytes:
        return b"".join(self.server.data_to_send())

    def text(self, text: str) -> bytes:
        self.server.send_text(text.encode())
        return self.sent()

    def feed(self, data: bytes) -> None:
        self.connection.data_received(data)

    def greet(self) -> None:
        self.feed(self.handshake() + self.text(GREETING))
        assert self.listener.greetings == 1


def told(number: int, size: int = 0) -> str:
    return json.dumps({"event": "told", "data": {"number": number, "text": "\u00e9" * size}})


def test_the_handshake_asks_for_events_with_the_token() -> None:
    request = cast("Any", Wire().request)
    assert request.path == "/below/events"
    assert request.headers["Authorization"] == "Bearer secret"
    assert "Sec-WebSocket-Extensions" not in request.headers
    asked = Wire(SocketIoDialect("secret")).request
    assert cast("Any", asked).path == "/below/events?EIO=4&transport=websocket"


SIZES = st.lists(st.sampled_from([0, 1, 20, 50, 100, 1000, 40_000]), max_size=8)


@given(SIZES, st.data())
def test_events_are_the_same_whatever_the_pieces(sizes: list[int], data: st.DataObject) -> None:
    """Whole frames, fragmented ones, pings between and within them; cut anywhere."""
    wire = Wire()
    stream = wire.handshake() + wire.text(GREETING)
    for number, size in enumerate(sizes):
        text = told(number, size).encode()
        if data.draw(st.booleans()):
            wire.server.send_ping(b"ping")
        if data.draw(st.booleans()):
            wire.server.send_text(text)
        else:
            cut = data.draw(st.integers(0, len(text)))
            wire.server.send_text(text[:cut], fin=False)
            wire.server.send_ping(b"within")
            wire.server.send_continuation(text[cut:], fin=True)
        stream += wire.sent()
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    places = [0, *sorted(cuts), len(stream)]
    for start, end in pairwise(places):
        if start < end:
            wire.feed(stream[start:end])
    listener = wire.listener
    assert listener.failures == []
    assert [event.data["number"] for event in listener.events] == list(range(len(sizes)))
    assert listener.sizes == [len(told(n, size).encode()) for n, size in enumerate(sizes)]
    assert listener.moments == sorted(listener.moments)
    assert wire.connection.is_greeted


def test_events_byte_by_byte() -> None:
    wire = Wire()
    for byte in wire.handshake() + wire.text(GREETING) + wire.text(told(1)) + wire.text(told(2)):
        wire.feed(bytes([byte]))
    assert [event.data["number"] for event in wire.listener.events] == [1, 2]


def test_ping_is_answered() -> None:
    wire = Wire()
    wire.greet()
    before = len(wire.transport.written)
    wire.server.send_ping(b"are you there")
    wire.feed(wire.sent())
    wire.server.receive_data(wire.transport.written[before:])
    (pong,) = wire.server.events_received()
    assert cast("Any", pong).data == b"are you there"


def ended(wire: Wire) -> Failure:
    (failure,) = wire.listener.failures
    assert wire.transport.ended
    assert not wire.connection.is_greeted
    wire.connection.data_received(b"more")
    wire.connection.connection_lost(None)
    assert len(wire.listener.failures) == 1, "one is told once"
    return failure


def test_closing_is_answered_and_told() -> None:
    wire = Wire()
    wire.greet()
    before = len(wire.transport.written)
    wire.server.send_close(1011, "no pong came")
    wire.feed(wire.sent())
    assert wire.transport.ended == "closed"
    wire.server.receive_data(wire.transport.written[before:])
    assert wire.server.close_rcvd == wire.server.close_sent
    failure = ended(wire)
    assert failure.kind == ErrorKind.RESET
    assert "1011" in failure.message
    assert "no pong came" in failure.message


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_lost_connection_is_told(at: str) -> None:
    wire = Wire()
    if at == "after":
        wire.greet()
    wire.connection.connection_lost(ConnectionResetError("reset by peer"))
    (failure,) = wire.listener.failures
    assert failure.kind == ErrorKind.RESET
    assert "reset by peer" in failure.message
    assert ("before the target had greeted" in failure.message) == (at == "before")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("not json", "a message that is no event"),
        ("{}", "a message that is no event"),
        ("[" * 100_000, "a message that is no event"),
    ],
)
def test_text_that_is_no_event_ends_it(text: str, what: str) -> None:
    wire = Wire()
    wire.greet()
    wire.feed(wire.text(told(1)) + wire.text(text) + wire.text(told(2)))
    assert [event.data["number"] for event in wire.listener.events] == [1]
    failure = ended(wire)
    assert failure.kind == ErrorKind.WRONG_ANSWER
    assert what in failure.message


def test_binary_message_ends_it() -> None:
    wire = Wire()
    wire.greet()
    wire.server.send_binary(GREETING.encode())
    wire.feed(wire.sent())
    assert ended(wire).kind == ErrorKind.WRONG_ANSWER


def test_another_event_before_the_greeting_ends_it() -> None:
    wire = Wire()
    wire.feed(wire.handshake() + wire.text(told(1)))
    failure = ended(wire)
    assert failure.kind == ErrorKind.WRONG_ANSWER
    assert failure.message == "the first event is 'told', expected 'connected'"


@pytest.mark.parametrize(
    "junk",
    [
        b"\x83\x00",  # no such kind of frame
        b"\xc1\x00",  # a reserved bit
        b"\x81\x80\x00\x00\x00\x00",  # masked
        b"\x80\x00",  # goes on with nothing
        b"\x09\x00",  # a fragmented ping
        b"\x89\x7e\x00\x80" + bytes(128),  # a long ping
        b"\x88\x01\x03",  # half a code
    ],
)
def test_what_is_no_websocket_ends_it(junk: bytes) -> None:
    wire = Wire()
    wire.greet()
    wire.feed(wire.text(told(1)) + junk)
    assert len(wire.listener.events) == 1
    failure = ended(wire)
    assert failure.kind == ErrorKind.PROTOCOL
    assert "what came is no WebSocket" in failure.message


@pytest.mark.parametrize("in_pieces", [False, True])
def test_message_that_is_too_long_ends_it_at_once(
    in_pieces: bool,  # noqa: FBT001 - a parameter
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(websocket_connection, "MAX_MESSAGE_BYTES", 100_000)
    wire = Wire()
    wire.greet()
    if in_pieces:
        wire.server.send_text(b"x" * 60_000, fin=False)
        wire.server.send_continuation(b"x" * 60_000, fin=True)
    else:
        wire.server.send_text(b"x" * 120_000)
    wire.feed(wire.sent()[:70_000])
    failure = ended(wire)
    assert failure.kind == ErrorKind.PROTOCOL
    assert "100000" in failure.message or "40000" in failure.message


@pytest.mark.parametrize(
    ("answer", "status", "kind", "what"),
    [
        (b"HTTP/1.1 401 No\r\ncontent-length: 2\r\n\r\n{}", 401, "wrong-status", "answered 401"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, "wrong-status", "answered 200"),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", 503, "server-error", "answered 503"),
        (b"220 smtp.example.com ESMTP\r\n\r\n", 0, "protocol", "was not answered rightly"),
        (b"x" * 10_000, 0, "protocol", "was not answered rightly"),
        (
            SWITCHED + b"sec-websocket-accept: wrong\r\n\r\n",
            101,
            "protocol",
            "was not answered rightly",
        ),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "protocol", "not answered rightly"),
    ],
)
def test_handshake_that_is_answered_otherwise_is_a_failure(
    answer: bytes, status: int, kind: str, what: str
) -> None:
    wire = Wire()
    wire.feed(answer)
    failure = ended(wire)
    assert (failure.kind, wire.connection.status) == (kind, status)
    assert what in failure.message
    assert wire.connection.first_byte_ns > 0


def test_answer_without_a_length_ends_with_the_connection() -> None:
    wire = Wire()
    wire.feed(b"HTTP/1.1 403 Forbidden\r\n\r\n{}")
    assert wire.listener.failures == []
    wire.connection.connection_lost(None)
    (failure,) = wire.listener.failures
    assert failure.kind == ErrorKind.WRONG_STATUS
    assert wire.connection.status == 403


def test_an_extension_that_nobody_asked_for_is_refused() -> None:
    wire = Wire()
    answer = wire.handshake().replace(
        b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    wire.feed(answer)
    assert ended(wire).kind == ErrorKind.PROTOCOL


def test_closing_says_goodbye_and_tells_nobody() -> None:
    wire = Wire()
    wire.greet()
    before = len(wire.transport.written)
    wire.connection.close()
    assert wire.transport.ended == "closed"
    wire.server.receive_data(wire.transport.written[before:])
    assert wire.server.close_rcvd is not None
    assert wire.server.close_rcvd.code == 1000
    wire.connection.data_received(b"more")
    wire.connection.connection_lost(None)
    assert wire.listener.failures == []


def test_a_listener_may_close_within_what_it_is_told() -> None:
    wire = Wire()
    wire.greet()
    listener = wire.listener
    heard = listener.heard

    def close(event: Event, at_ns: int, size: int) -> None:
        heard(event, at_ns, size)
        wire.connection.close()

    listener.heard = close  # type: ignore[method-assign]
    wire.feed(wire.text(told(1)) + wire.text(told(2)))
    assert [event.data["number"] for event in listener.events] == [1]
    assert listener.failures == []
