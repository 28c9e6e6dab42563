"""uvicorn's WebSocket protocol, extended for clients that no longer read."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request

MAX_MESSAGE: Final = 64 * 1024
"""Maximum size of a message from a client, in bytes."""

SEND_BUFFER: Final = 64 * 1024
"""Of the socket, in bytes. The kernel would let it grow to some megabytes, and a client that does
not read would have that much of the past before it."""

NOT_UTF_8: Final = "Text that is not UTF-8."

EXTENSION: Final = "targets.frames"
"""Under this name the scope of a connection holds its `WebSocketProtocol`."""


def text_frame(text: str) -> bytes:
    """Return a text frame as a server sends it: unmasked, so it is the same for all clients."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False, extensions=[])


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Ends a connection even if its last bytes cannot be sent because the client does not read.

    A transport that is closed sends what it holds first. When the client does not read, that takes
    for ever: after an unanswered ping, or a close that comes to nothing, it is aborted.

    It also takes frames that are there already, without the way through a coroutine that encodes
    each message anew for each client: more than half of what an event to many would cost.

    Attributes:
        on_writable: Called whenever the client reads again; None: nobody waits for it.
    """

    on_writable: Callable[[], None] | None = None

    @property
    def is_writable(self) -> bool:
        """Whether a frame may be written now: the connection is open, and its client reads."""
        return (
            self.writable.is_set()
            and self.handshake_complete
            and not self.close_sent
            and not self.transport.is_closing()
        )

    def write_frame(self, frame: bytes) -> None:
        """Write a whole frame to a connection that is writable."""
        self.transport.write(frame)

    def resume_writing(self) -> None:
        """Tell who waits for it."""
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def handle_connect(self, event: Request) -> None:
        """Let the application find this connection in its scope."""
        super().handle_connect(event)
        # There is no scope when the handshake was refused.
        if not self.close_sent:
            extensions: dict[str, object] = self.scope["extensions"]  # type: ignore[assignment]
            extensions[EXTENSION] = self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what the kernel holds for one client."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def handle_ping(self) -> None:
        """Answer a ping, unless it came with something that ended the connection."""
        if not self.close_sent:
            super().handle_ping()

    def send_keepalive_ping(self) -> None:
        """Send the next ping; abort instead what was to be closed a ping ago."""
        if self.close_sent or self.transport.is_closing():
            self.transport.abort()
        else:
            super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Close with 1011, tell the application, and do not wait for ever."""
        if self.close_sent or self.transport.is_closing():
            self.transport.abort()
            return
        super().keepalive_timeout()
        reason = "keepalive ping timeout"
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1011, "reason": reason})
        self.pong_timer = self.loop.call_later(self.ping_timeout or 0, self.transport.abort)

    def shutdown(self) -> None:
        """Close with 1012, and do not wait for a client that does not read."""
        super().shutdown()
        if not self.writable.is_set():
            self.transport.abort()

    def handle_parser_exception(self) -> None:
        """Close with the code of what cannot be read, so that the client gets to know it.

        A socket that is closed with bytes unread resets its connection, and the close frame is
        lost. So the rest of what the client is sending is read and thrown away first.
        """
        if self.close_sent:
            return
        close = self.conn.close_sent
        if close is None:
            self.transport.close()
            return
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    async def send(self, message: ASGISendEvent) -> None:
        """Send for the application; what it sends to a closed connection is no mistake of its own.

        Raises:
            ClientDisconnected: The connection is closed.
        """
        await self.writable.wait()
        if self.handshake_complete and self.close_sent and self.initial_response is None:
            raise ClientDisconnected
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # A refusal ends the handshake as well; else it would be logged that nothing did.
            self.handshake_complete = True

    def send_receive_event_to_app(self) -> None:
        """Refuse text that is not UTF-8, without a traceback."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                if not self.close_sent:
                    self.conn.fail(CloseCode.INVALID_DATA, NOT_UTF_8)
                    self.handle_parser_exception()
                return
        super().send_receive_event_to_app()
