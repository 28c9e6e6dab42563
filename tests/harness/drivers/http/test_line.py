"""The line on asyncio: what its connection's transport is told, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from loopmark.harness.drivers.http.line import Line, _Connection
from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.vocabulary.job import Timeouts

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Wire:
    """A transport without a socket."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False
        self.unsent = 0

    def get_extra_info(self, name: str) -> object:
        return object() if name == "sslcontext" else None  # So that nothing goes to a socket.

    def write(self, message: bytes) -> None:
        self.written.append(message)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.aborted = True


class Peer:
    """A line with a connection, what it told, and the other end."""

    def __init__(self) -> None:
        self.done = 0
        self.line = Line(Origin("127.0.0.1", 1), Timeouts(1.0, 1.0, 1.0), self._done)
        made: Any = self.line
        made._connecting = self  # As if a task were connecting.
        self.wire = Wire()
        self.connection = _Connection(self.line)
        wire: Any = self.wire
        self.connection.connection_made(wire)
        self.connection.data_received(OK)
        assert self.done == 1

    def _done(self) -> None:
        self.done += 1


def test_an_answer_before_the_request_was_written_ends_the_connection() -> None:
    peer = Peer()
    assert peer.line.is_open
    peer.line.send("POST", b"x" * 2000)
    peer.wire.unsent = 1000
    peer.connection.data_received(OK)
    assert (peer.done, peer.line.exchange.body) == (2, b"ok")
    assert peer.wire.aborted
    assert not peer.line.is_open


@pytest.mark.parametrize("junk", [OK, b"junk", b"\r\n", b"\x00"])
def test_bytes_on_an_idle_connection_close_it(junk: bytes) -> None:
    peer = Peer()
    peer.connection.data_received(junk)
    assert peer.wire.aborted
    assert not peer.line.is_open
    assert peer.done == 1


def test_closing_tells_nobody() -> None:
    peer = Peer()
    peer.line.send("GET", b"GET")
    assert peer.line.is_busy
    peer.line.close()
    peer.connection.data_received(OK)
    peer.connection.connection_lost(None)
    assert peer.wire.aborted
    assert peer.done == 1
