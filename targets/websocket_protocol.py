"""uvicorn's WebSocket protocol, and what it leaves open with a client that no longer reads."""

import asyncio
import socket
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_MESSAGE: Final = 64 * 1024
"""Of a message from a client, in bytes."""

SEND_BUFFER: Final = 64 * 1024
"""Of the socket, in bytes. The kernel would let it grow to some megabytes, and a client that does
not read would have that much of the past before it."""

NOT_UTF_8: Final = "Text that is not UTF-8."


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Ends a connection also when its last bytes can not be sent, because nobody reads them.

    A transport that is closed sends what it holds first. When the client does not read, that takes
    for ever: after an unanswered ping, or a close that comes to nothing, it is aborted.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what the kernel holds for one client."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

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
        self.pong_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def send_receive_event_to_app(self) -> None:
        """Refuse text that is not UTF-8, without a traceback."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                if not self.close_sent:
                    self.conn.send_close(1007, NOT_UTF_8)
                    self.handle_parser_exception()
                return
        super().send_receive_event_to_app()
