"""One stream of Server-Sent Events: the answer to a GET that does not end."""

from __future__ import annotations

import re

import httptools

from loopmark.harness.drivers.http.exchange import FINAL, MAX_HEADER_BYTES
from loopmark.harness.drivers.websocket_driver.dialects import Dialect
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.event_connection import EventConnection, Listener
from loopmark.harness.vocabulary.sample import ErrorKind

MAX_BLOCK_BYTES = 1024 * 1024
"""Maximum size of one event in memory."""

STREAMING = 200
STREAM_TYPE = b"text/event-stream"

# A line ends with LF, CR or both (HTML standard, section "Parsing an event stream").
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")


class StreamConnection(EventConnection):
    """Sends the request, and takes the answer apart as it comes.

    Args:
        address: Where to connect to.
        dialect: What a block of lines means.
        listener: Receives the events.
    """

    __slots__ = ("_has_ended", "_head_bytes", "_is_stream", "_parser", "_pending", "_type")

    def __init__(self, address: EventAddress, dialect: Dialect, listener: Listener) -> None:
        super().__init__(address, dialect, listener)
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._is_stream = False
        self._has_ended = False
        self._type = b""
        self._pending = b""

    def close(self) -> None:
        """Close; there is nothing to say goodbye with."""
        transport = self._transport
        self._forget()
        if transport is not None:
            transport.abort()

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the type of the answer."""
        if name.lower() == b"content-type":
            self._type = value.partition(b";")[0].strip().lower()

    def on_headers_complete(self) -> None:
        """Keep the status, unless another one follows."""
        status = self._parser.get_status_code()
        if status >= FINAL:
            self.status = status
            self._is_stream = status == STREAMING and self._type == STREAM_TYPE

    def on_body(self, body: bytes) -> None:
        """Keep what has come."""
        if self._is_stream:
            self._pending += body

    def on_message_complete(self) -> None:
        """The stream has ended."""
        self._has_ended = self.status != 0

    # What is particular to a stream.

    def _ask(self) -> None:
        address, dialect = self._address, self._dialect
        origin = address.origin
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        headers = {
            "Host": f"{host}:{origin.port}",
            "Accept": STREAM_TYPE.decode(),
            "Cache-Control": "no-store",
            "User-Agent": "loopmark",
            **dialect.headers,
        }
        lines = [f"GET {address.path} HTTP/1.1", *(f"{one}: {headers[one]}" for one in headers)]
        assert self._transport is not None
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def _receive(self, data: bytes, now_ns: int) -> None:
        self.first_byte_ns = self.first_byte_ns or now_ns
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.fail(ErrorKind.PROTOCOL, f"what came is no HTTP: {error}")
            return
        if not self.status:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES:
                self.fail(ErrorKind.PROTOCOL, f"headers of more than {MAX_HEADER_BYTES} bytes")
            return
        if self.status != STREAMING:
            self._refused(STREAMING)
            return
        if not self._is_stream:
            kind = self._type.decode(errors="replace")
            what = f"GET {self._address.path} answered with {kind or 'no type'}"
            self.fail(ErrorKind.WRONG_ANSWER, f"{what}, expected {STREAM_TYPE.decode()}")
            return
        self._read_blocks(now_ns)
        if self._has_ended and not self.is_closed:
            self.fail(ErrorKind.RESET, "the target ended the stream of events")

    def _read_blocks(self, now_ns: int) -> None:
        pending = self._pending
        usual = b"\r" not in pending
        *blocks, self._pending = pending.split(b"\n\n") if usual else _BLANK_LINE.split(pending)
        for block in blocks:
            self._message(block, now_ns)
            if self.is_closed:
                return
        if len(self._pending) > MAX_BLOCK_BYTES:
            self.fail(ErrorKind.PROTOCOL, f"an event of more than {MAX_BLOCK_BYTES} bytes")

    def _end(self) -> None:
        """All that has come has been read."""

    def _reply(self, text: str) -> None:
        raise AssertionError(f"a stream has no way back for {text!r}")

    def _forget(self) -> None:
        super()._forget()
        self._pending = b""
