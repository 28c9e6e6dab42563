"""Decodes events: plain JSON, Socket.IO packets, or Server-Sent Events.

Messages in, values out. Every client of a fan-out receives the same bytes, so a message is parsed
once and then looked up by its bytes: a hash instead of two parsers, with the same result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from engineio import packet as engineio
from socketio import packet as socketio

from loopmark.harness.vocabulary.flow import Event
from loopmark.harness.vocabulary.sample import ErrorKind

LONGEST_KEPT = 4096
KEPT = 1024
"""Number and maximum size of cached messages: at most 4 MiB in all."""

_EVENT_PREFIX = f"{engineio.MESSAGE}{socketio.EVENT}".encode()


class NoEventError(ValueError):
    """A message is not valid for the target's protocol."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply that the protocol itself requires: the text to send."""

    text: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The target ends the connection: an `ErrorKind`, and its reason."""

    kind: str
    message: str


class Dialect(Protocol):
    """The dialect of one connection: its handshake, and the meaning of messages.

    Attributes:
        query: Of the address to connect to.
        headers: To send when connecting.
    """

    query: str
    headers: Mapping[str, str]

    def read(self, message: bytes) -> Event | Reply | Ending | None:
        """The meaning of a message; None if it has none.

        Raises:
            ValueError: It is not valid for the protocol.
            RecursionError: It is nested too deeply.
        """


class PlainDialect:
    """JSON texts: `{"event": NAME, "data": {...}}`.

    Args:
        token: The user's bearer token.
    """

    __slots__ = ("headers",)
    query = ""

    def __init__(self, token: str) -> None:
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"}

    def read(self, message: bytes) -> Event | Reply | Ending | None:
        """The event that a message is; every message is one."""
        return plain_event(message) if len(message) <= LONGEST_KEPT else _plain_event(message)


class SocketIoDialect:
    """Socket.IO's packets in those of Engine.IO 4, on its WebSocket transport from the start.

    Args:
        token: The user's bearer token, sent with the CONNECT packet.
    """

    __slots__ = ("_token", "headers")
    query = "EIO=4&transport=websocket"

    def __init__(self, token: str) -> None:
        self._token = token
        self.headers: Mapping[str, str] = {}

    def read(self, message: bytes) -> Event | Reply | Ending | None:
        """The event of a message, or the reply that one of the protocols requires."""
        if message.startswith(_EVENT_PREFIX):
            short = len(message) <= LONGEST_KEPT
            return socketio_event(message) if short else _socketio_event(message)
        outer = engineio.Packet(encoded_packet=message.decode())
        match outer.packet_type:
            case engineio.OPEN:
                asking = socketio.Packet(socketio.CONNECT, data={"token": self._token})
                told = engineio.Packet(engineio.MESSAGE, asking.encode())
                return Reply(told.encode())
            case engineio.PING:
                return Reply(engineio.Packet(engineio.PONG, outer.data).encode())
            case engineio.CLOSE:
                return Ending(ErrorKind.RESET, "Engine.IO's connection was closed")
            case engineio.MESSAGE:
                return _control(_inner(outer))
        if outer.packet_type != engineio.NOOP:
            raise NoEventError(f"Engine.IO packet {_shortened(message)}")
        return None


class StreamDialect:
    """Server-Sent Events with a name, and JSON as their data.

    Fields as of the HTML standard, section "Interpreting an event stream".

    Args:
        token: The user's bearer token.
    """

    __slots__ = ("headers",)
    query = ""

    def __init__(self, token: str) -> None:
        self.headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"}

    def read(self, message: bytes) -> Event | Reply | Ending | None:
        """The event of a block of lines; None for one without data, such as a comment."""
        return stream_event(message) if len(message) <= LONGEST_KEPT else _stream_event(message)


def _plain_event(message: bytes) -> Event:
    told = json.loads(message.decode())
    if not isinstance(told, dict):
        raise NoEventError(f"no object: {_shortened(message)}")
    return _event(told.get("event"), told.get("data"), message)


def _socketio_event(message: bytes) -> Event:
    inner = _inner(engineio.Packet(encoded_packet=message.decode()))
    if not isinstance(inner.data, list) or len(inner.data) != 2:  # noqa: PLR2004 - name and data
        raise NoEventError(f"no event with one argument: {_shortened(message)}")
    name, data = inner.data
    return _event(name, data, message)


def _stream_event(message: bytes) -> Event | None:
    name, data = "message", list[str]()
    # Not `splitlines`, which knows more ends of lines than the standard.
    text = message.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    for line in text.split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return _event(name or "message", json.loads("\n".join(data)), message) if data else None


plain_event = lru_cache(KEPT)(_plain_event)
socketio_event = lru_cache(KEPT)(_socketio_event)
stream_event = lru_cache(KEPT)(_stream_event)


def _event(name: object, data: object, message: bytes) -> Event:
    if not isinstance(name, str) or not isinstance(data, dict):
        raise NoEventError(f"no event with its data: {_shortened(message)}")
    return Event(name, data)


def _inner(outer: Any) -> Any:  # noqa: ANN401 - packets, of a library without types
    """Socket.IO's packet in one of Engine.IO."""
    if not isinstance(outer.data, str) or not outer.data:
        raise NoEventError(f"no Socket.IO packet: {_shortened(str(outer.data).encode())}")
    return socketio.Packet(encoded_packet=outer.data)


def _control(packet: Any) -> Ending | None:  # noqa: ANN401 - packets are untyped
    match packet.packet_type:
        case socketio.CONNECT | socketio.ACK:
            return None
        case socketio.CONNECT_ERROR:
            reason = packet.data.get("message") if isinstance(packet.data, dict) else packet.data
            return Ending(ErrorKind.WRONG_ANSWER, f"the connection was refused: {reason}")
        case socketio.DISCONNECT:
            return Ending(ErrorKind.RESET, "the target disconnected the client")
        case _:
            raise NoEventError(f"Socket.IO packet of type {packet.packet_type}")


def _shortened(message: bytes, limit: int = 60) -> str:
    text = message[: limit + 1].decode(errors="replace")
    return repr(text if len(text) <= limit else f"{text[:limit]}...")
