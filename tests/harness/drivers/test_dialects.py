"""What messages mean over each protocol: right ones, and what must be refused."""

from __future__ import annotations

import json

import pytest
import socketio
from engineio.packet import Packet as OuterPacket
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.drivers.websocket_driver import dialects
from loopmark.harness.drivers.websocket_driver.dialects import (
    Ending,
    PlainDialect,
    Reply,
    SocketIoDialect,
    StreamDialect,
)
from loopmark.harness.drivers.websocket_driver.protocols import PROTOCOLS
from loopmark.harness.vocabulary.flow import Event
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.scenario import EventProtocol

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
DATA = st.dictionaries(st.text(), JSON, max_size=5)


def socketio_text(name: str, *data: object) -> bytes:
    inner = socketio.packet.Packet(socketio.packet.EVENT, data=[name, *data]).encode()
    return f"4{inner}".encode()


def stream_block(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}".encode()


def message_of(protocol: EventProtocol, data: object) -> bytes:
    """The event `e` with this data."""
    return {
        "websocket": json.dumps({"event": "e", "data": data}).encode(),
        "socketio": socketio_text("e", data),
        "sse": stream_block("e", data),
    }[protocol]


@given(st.text(), DATA)
def test_plain_event_is_read(name: str, data: dict[str, object]) -> None:
    message = json.dumps({"event": name, "data": data}, ensure_ascii=False).encode(
        errors="surrogatepass"
    )
    assert PlainDialect("t").read(message) == Event(name, data)


@given(st.text(min_size=1), DATA)
def test_event_in_packets_is_read(name: str, data: dict[str, object]) -> None:
    assert SocketIoDialect("t").read(socketio_text(name, data)) == Event(name, data)


@given(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), DATA)
def test_event_of_a_stream_is_read(name: str, data: dict[str, object]) -> None:
    assert StreamDialect("t").read(stream_block(f" {name}", data)) == Event(f" {name}", data)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_lines_of_a_stream_end_as_the_standard_says(end: str) -> None:
    lines = [": a comment", "id: 3", "event:e", 'data: {"a":', "data:1,", 'data: "\u2028": 2}', "x"]
    read = StreamDialect("t").read("\ufeff".encode() + end.join(lines).encode())
    assert read == Event("e", {"a": 1, "\u2028": 2})


@pytest.mark.parametrize("block", [b"data: {}", b"event:\ndata: {}", b"data:{}\nevent"])
def test_an_event_of_a_stream_without_a_name_is_a_message(block: bytes) -> None:
    assert StreamDialect("t").read(block) == Event("message", {})


@pytest.mark.parametrize("block", [b"", b"\n", b": ping", b"event: e", b"retry: 3000", b"id"])
def test_what_has_no_data_is_no_event_of_a_stream(block: bytes) -> None:
    assert StreamDialect("t").read(block) is None


@pytest.mark.parametrize(
    "block", [b"data:", b"data: x", b"data: 1", b"data: {}\ndata: {}", b"data: \xff", b"data: [{}]"]
)
def test_what_is_no_event_of_a_stream_is_refused(block: bytes) -> None:
    with pytest.raises(ValueError, match=r"no event|utf-8|data|value"):
        StreamDialect("t").read(block)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_all_clients_are_sent_is_taken_apart_once(protocol: EventProtocol) -> None:
    data = {"text": "for all"}
    message = message_of(protocol, data)
    dialect, _ = PROTOCOLS[protocol]
    first, second = (dialect(token).read(bytes(bytearray(message))) for token in "ab")
    assert first is second
    assert first == Event("e", data)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_message_too_long_to_be_kept_is_read_all_the_same(
    protocol: EventProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialects, "LONGEST_KEPT", 10)
    data = {"text": "x" * 100}
    kept = (dialects.plain_event, dialects.socketio_event, dialects.stream_event)
    known = [one.cache_info() for one in kept]
    dialect, _ = PROTOCOLS[protocol]
    assert dialect("t").read(message_of(protocol, data)) == Event("e", data)
    assert [one.cache_info() for one in kept] == known


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"hello",
        b"null",
        b"[]",
        b"3",
        b'"event"',
        b"{}",
        b'{"event": "e"}',
        b'{"data": {}}',
        b'{"event": 1, "data": {}}',
        b'{"event": "e", "data": []}',
        b'{"event": "e", "data": null}',
        b'{"event": "e", "data": {}',
        b"\xff\xfe",
        b"\x00",
        b"[" * 100_000,
        b"9" * 10_000,
    ],
)
def test_what_is_no_plain_event_is_refused(message: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        PlainDialect("t").read(message)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"hello",
        b"9",
        b"4",
        b"4{}",
        b"42",
        b"42{}",
        b"42[]",
        b'42["e"]',
        b'42["e", 1]',
        b'42["e", {}, {}]',
        b"42[1, {}]",
        b'42["e", {}',
        b'45-["e", {}]',
        b'46-1["e"]',
        b"5",
        b"\xff",
        b"42" + b"[" * 100_000,
    ],
)
def test_what_is_no_packet_of_a_target_is_refused(message: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        SocketIoDialect("t").read(message)


def test_opening_is_answered_with_the_token() -> None:
    reply = SocketIoDialect("secret").read(b'0{"sid":"x","pingInterval":25000}')
    assert reply == Reply('40{"token":"secret"}')


@pytest.mark.parametrize(("ping", "pong"), [(b"2", "3"), (b"2probe", "3probe")])
def test_ping_is_answered(ping: bytes, pong: str) -> None:
    assert SocketIoDialect("t").read(ping) == Reply(pong)


@pytest.mark.parametrize("message", [b"6", b'40{"sid":"x"}', b'431["ok"]'])
def test_what_tells_nothing_is_passed_over(message: bytes) -> None:
    assert SocketIoDialect("t").read(message) is None


@pytest.mark.parametrize(
    ("message", "ending"),
    [
        (b"1", Ending(ErrorKind.RESET, "Engine.IO's connection was closed")),
        (b"41", Ending(ErrorKind.RESET, "the target disconnected the client")),
        (
            b'44{"message":"Could not validate credentials"}',
            Ending(
                ErrorKind.WRONG_ANSWER,
                "the connection was refused: Could not validate credentials",
            ),
        ),
        (b'44"no"', Ending(ErrorKind.WRONG_ANSWER, "the connection was refused: no")),
    ],
)
def test_endings_say_why(message: bytes, ending: Ending) -> None:
    assert SocketIoDialect("t").read(message) == ending


def test_the_token_goes_with_the_handshake_or_the_packet() -> None:
    assert PlainDialect("secret").headers == {"Authorization": "Bearer secret"}
    assert SocketIoDialect("secret").headers == {}
    assert OuterPacket(encoded_packet="40").packet_type == 4
