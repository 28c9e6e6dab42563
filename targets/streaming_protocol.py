"""uvicorn's HTTP protocol, extended for answers that do not end."""

import asyncio
import socket
from collections.abc import Mapping
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from loopmark.targets.websocket_protocol import SEND_BUFFER

EXTENSION: Final = "targets.stream"
"""Under this name the scope of a request holds the `StreamingProtocol` of its connection."""


class StreamingProtocol(HttpToolsProtocol):
    """Ends an answer that does not end by itself.

    uvicorn waits for answers when it shuts down; and it closes the connection of one that was given
    up, which waits until the client has read what is buffered: for ever, if it does not read.
    """

    _is_ending = False
    _lost: asyncio.Event | None = None

    def on_headers_complete(self) -> None:
        """Let the application find this connection in the scope, before it is called."""
        extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
        extensions[EXTENSION] = self
        super().on_headers_complete()

    def begin_stream(self) -> None:
        """The answer will not end. Bound what the kernel holds for its client."""
        self._lost = asyncio.Event()
        if self.transport.is_closing() or self._is_ending:
            self._end()
            return
        connection = self.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    async def wait_until_lost(self) -> None:
        """Wait for the end of the connection; a request behind the stream would hide it."""
        assert self._lost is not None, "no stream has begun"
        await self._lost.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the stream."""
        super().connection_lost(exc)
        if self._lost is not None:
            self._lost.set()

    def abort(self) -> None:
        """End the connection at once, with whatever it has not sent."""
        self.transport.abort()

    def shutdown(self) -> None:
        """End a stream as well."""
        super().shutdown()
        self._is_ending = True
        if self._lost is not None:
            self._end()

    def _end(self) -> None:
        """Close, and do not wait for a client that does not read."""
        if self.flow.write_paused:
            self.transport.abort()
        else:
            self.transport.close()


def stream_of(scope: Mapping[str, Any]) -> StreamingProtocol | None:
    """Return the connection of a request; None where another server calls the application."""
    found: StreamingProtocol | None = scope.get("extensions", {}).get(EXTENSION)
    return found
