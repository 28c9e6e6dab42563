"""One WebSocket for events.

It uses the protocol of the websockets library, without its I/O. Complete text messages, which are
nearly all data, are found without it: with their handling, that takes 4 instead of 11 us.
"""

from __future__ import annotations

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI

from loopmark.harness.drivers.websocket_driver.dialects import Dialect
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.event_connection import EventConnection, Listener
from loopmark.harness.vocabulary.sample import ErrorKind

MAX_MESSAGE_BYTES = 1024 * 1024
MAX_FRAGMENTS = 1024
"""Maximum size of one message in memory."""

SWITCHING = 101

# The first bytes of a server's frame (RFC 6455, section 5.2).
_WHOLE_TEXT = 0x81
_LENGTH_IN_16_BITS = 126


class WebSocketConnection(EventConnection):
    """Performs the handshake, answers pings and decodes messages.

    Args:
        address: Where to connect to.
        dialect: What messages mean.
        listener: Receives the events.
    """

    __slots__ = ("_fragments", "_protocol", "_switched")

    def __init__(self, address: EventAddress, dialect: Dialect, listener: Listener) -> None:
        super().__init__(address, dialect, listener)
        origin = address.origin
        secure = origin.ssl_context is not None
        uri = WebSocketURI(secure, origin.host, origin.port, address.path, dialect.query)
        self._protocol = ClientProtocol(uri, max_size=MAX_MESSAGE_BYTES)
        self._fragments: list[Frame] = []
        self._switched = False

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

    def _ask(self) -> None:
        request = self._protocol.connect()
        request.headers["User-Agent"] = "loopmark"
        request.headers.update(self._dialect.headers)
        self._protocol.send_request(request)
        self._write()

    def _end(self) -> None:
        if not self._switched:
            # An answer without a length ends here.
            self._protocol.receive_eof()
            self._shake_hands()

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
            self._refused(SWITCHING)
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

    def _reply(self, text: str) -> None:
        # What ends the connection may have come with it, and be read already.
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(text.encode())
            self._write()

    def _write(self) -> None:
        if self._transport is not None:
            # What is empty would half-close it: no matter, this side closes it as a whole.
            for part in self._protocol.data_to_send():
                if part:
                    self._transport.write(part)

    def _forget(self) -> None:
        super()._forget()
        self._fragments = []
