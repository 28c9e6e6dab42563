"""The protocols over which events come: a connection, and what its messages mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from loopmark.harness.drivers.websocket_driver.dialects import (
    Dialect,
    PlainDialect,
    SocketIoDialect,
    StreamDialect,
)
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.event_connection import EventConnection, Listener
from loopmark.harness.drivers.websocket_driver.stream_connection import StreamConnection
from loopmark.harness.drivers.websocket_driver.websocket_connection import WebSocketConnection
from loopmark.harness.vocabulary.scenario import EventProtocol

PROTOCOLS: Mapping[EventProtocol, tuple[Callable[[str], Dialect], type[EventConnection]]] = (
    MappingProxyType(
        {
            "websocket": (PlainDialect, WebSocketConnection),
            "socketio": (SocketIoDialect, WebSocketConnection),
            "sse": (StreamDialect, StreamConnection),
        }
    )
)
"""Each with what makes the dialect of a connection for a token."""


def connection(address: EventAddress, token: str, listener: Listener) -> EventConnection:
    """A connection that is still to be made."""
    dialect, kind = PROTOCOLS[address.protocol]
    return kind(address, dialect(token), listener)
