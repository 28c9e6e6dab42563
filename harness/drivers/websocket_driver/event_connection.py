"""One WebSocket for events, read in the callback in which bytes arrive.

It uses the protocol of the websockets library, without its I/O. Complete text messages, which are
nearly all data, are found without it: with their handling, that takes 4 instead of 11 us.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI

from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.line import tell
from loopmark.harness.drivers.journey import SERVER_ERRORS
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.websocket_driver.dialects import Dialect, Ending, Reply
from loopmark.harness.vocabulary.flow import Event
from loopmark.harness.vocabulary.sample import ErrorKind

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_FRAGMENTS = 1024
"""Maximum size of one message in memory."""

SWITCHING = 101

# The first bytes of a server's frame (RFC 6455, section 5.2).
_WHOLE_TEXT = 0x81
_LENGTH_IN_16_BITS = 126


class Listener(Protocol):
    """The listener of a connection for events."""

    def greeted(self, greeting: Event, at_ns: int, size: int) -> None:
        """The target has greeted the client, which now receives everything."""

    def heard(self, event: Event, at_ns: int, size: int) -> None:
        """An event was received at this time, in a message of this size."""

    def lost(self, failure: Failure) -> None:
        """The connection failed or was lost; not called when it is closed here."""


class EventConnection(asyncio.Protocol):
    """Performs the handshake, answers pings and decodes messages.

    Args:
        uri: The address.
        dialect: What messages mean.
        greeting: Name of the event that comes first.
        listener: Receives the events.

    Attributes:
        status: The status that the handshake was answered with; 0 before.
        connected_ns: When the connection was established (CLOCK_MONOTONIC); 0 before.
        first_byte_ns: When the first byte of that answer was read; 0 before.
        is_closed: Whether either side has closed it.
        is_greeted: Whether the target has greeted the client, and the connection is open.
    """

    __slots__ = (
        "_dialect",
        "_fragments",
        "_greeting",
        "_listener",
        "_protocol",
        "_switched",
        "_transport",
        "connected_ns",
        "first_byte_ns",
        "is_closed",
        "is_greeted",
        "status",
    )

    def __init__(
        self, uri: WebSocketURI, dialect: Dialect, greeting: str, listener: Listener
    ) -> None:
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES)
        self._dialect = dialect
        self._greeting = greeting
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._fragments: list[Frame] = []
        self._switched = False
        self.is_closed = False
        self.status = 0
        self.connected_ns = 0
        self.first_byte_ns = 0
        self.is_greeted = False

    def pause(self) -> None:
        """Stop reading: data waits in the kernel, and then at the target."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        """Send a close frame and close, without calling the listener."""
        transport, protocol = self._transport, self._protocol
        self._forget()
        if transport is None or transport.is_closing():
            return
        if protocol.state is State.OPEN:
            protocol.send_close(1000)
            transport.writelines(protocol.data_to_send())
            transport.close()
        else:
            transport.abort()

    def fail(self, kind: str, message: str) -> None:
        """Fail the connection: close, and call the listener."""
        if self._transport is not None:
            self._transport.abort()
        self._give_up(kind, message)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self.connected_ns = clock()
        self._transport = cast("asyncio.Transport", transport)
        if self.is_closed:
            self._transport.abort()
            return
        request = self._protocol.connect()
        request.headers["User-Agent"] = "loopmark"
        request.headers.update(self._dialect.headers)
        self._protocol.send_request(request)
        self._transport.writelines(self._protocol.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Note the time, and decode received data."""
        now_ns = clock()
        if self.is_closed:
            return
        try:
            self._receive(data, now_ns)
        except OSError as problem:  # Of a listener: a full disk, say.
            tell(problem)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end, unless it was closed here."""
        if self.is_closed:
            return
        if not self._switched:
            # An answer without a length ends here.
            self._protocol.receive_eof()
            self._shake_hands()
        why = f": {exc}" if exc is not None else ""
        before = "" if self.is_greeted else " before the target had greeted the client"
        try:
            self.fail(ErrorKind.RESET, f"the connection for events was closed{before}{why}")
        except OSError as problem:
            tell(problem)

    def _receive(self, data: bytes, now_ns: int) -> None:
        protocol = self._protocol
        if not self._switched:
            self.first_byte_ns = self.first_byte_ns or now_ns
        elif not protocol.reader.buffer and not self._fragments:
            data = self._whole_messages(data, now_ns)
            if not data or self.is_closed:
                return
        protocol.receive_data(data)
        if not self._switched:
            self._shake_hands()
        for frame in protocol.events_received():
            if self.is_closed:
                return
            assert isinstance(frame, Frame)
            self._frame(frame, now_ns)
        if protocol.parser_exc is not None:
            self.fail(ErrorKind.PROTOCOL, f"what came is no WebSocket: {protocol.parser_exc}")
        elif not self.is_closed:
            self._write()

    def _whole_messages(self, data: bytes, now_ns: int) -> bytes:
        """Handle the complete messages at the start of the data; returns the rest."""
        at, end = 0, len(data)
        while at + 4 <= end and data[at] == _WHOLE_TEXT:
            length, start = data[at + 1], at + 2
            if length == _LENGTH_IN_16_BITS:
                length, start = data[at + 2] << 8 | data[at + 3], at + 4
            elif length > _LENGTH_IN_16_BITS:
                break
            if start + length > end:
                break
            at = start + length
            self._message(data[start:at], now_ns)
            if self.is_closed:
                return b""
        return data[at:]

    def _shake_hands(self) -> None:
        """Check the answer to the handshake."""
        protocol = self._protocol
        problem = protocol.handshake_exc
        events = protocol.events
        if events and isinstance(events[0], Response):
            self.status = events[0].status_code
            del events[0]
        if isinstance(problem, InvalidStatus):
            error = self.status in SERVER_ERRORS
            kind = ErrorKind.SERVER_ERROR if error else ErrorKind.WRONG_STATUS
            self.fail(kind, f"GET {protocol.uri.path} answered {self.status}, expected {SWITCHING}")
        elif problem is not None and not protocol.reader.eof:
            self.fail(ErrorKind.PROTOCOL, f"the handshake was not answered rightly: {problem}")
        else:
            self._switched = self.status == SWITCHING

    def _frame(self, frame: Frame, now_ns: int) -> None:
        match frame.opcode:
            case Opcode.PING | Opcode.PONG:
                pass  # The protocol has answered it.
            case Opcode.CLOSE:
                told = self._protocol.close_rcvd
                self._write()  # The answer to it.
                self._give_up(
                    ErrorKind.RESET, f"the target closed the connection for events: {told}"
                )
            case _:
                self._fragments.append(frame)
                if frame.fin:
                    frames, self._fragments = self._fragments, []
                    if frames[0].opcode is Opcode.BINARY:
                        self.fail(ErrorKind.WRONG_ANSWER, "a binary message on /ws or /socket.io")
                        return
                    self._message(b"".join(one.data for one in frames), now_ns)
                elif len(self._fragments) > MAX_FRAGMENTS:
                    what = f"a message in more than {MAX_FRAGMENTS} fragments"
                    self.fail(ErrorKind.PROTOCOL, what)

    def _message(self, message: bytes, now_ns: int) -> None:
        try:
            told = self._dialect.read(message)
        except (ValueError, RecursionError) as error:
            self.fail(ErrorKind.WRONG_ANSWER, f"a message that is no event: {error}")
            return
        if isinstance(told, Event):
            if self.is_greeted:
                self._listener.heard(told, now_ns, len(message))
            elif told.name == self._greeting:
                self.is_greeted = True
                self._listener.greeted(told, now_ns, len(message))
            else:
                what = f"the first event is '{told.name}', expected '{self._greeting}'"
                self.fail(ErrorKind.WRONG_ANSWER, what)
        elif isinstance(told, Reply):
            # What ends the connection may have come with it, and be read already.
            if self._protocol.state is State.OPEN:
                self._protocol.send_text(told.text.encode())
                self._write()
        elif isinstance(told, Ending):
            self.fail(told.kind, told.message)

    def _give_up(self, kind: str, message: str) -> None:
        if self.is_closed:
            return
        if self._transport is not None:
            self._transport.close()
        self._forget()
        self._listener.lost(Failure(kind, message))

    def _write(self) -> None:
        if self._transport is not None:
            # What is empty would half-close it: no matter, this side closes it as a whole.
            for part in self._protocol.data_to_send():
                if part:
                    self._transport.write(part)

    def _forget(self) -> None:
        self.is_closed = True
        self.is_greeted = False
        self._transport = None
        self._fragments = []
