"""A virtual user's connection to the target on asyncio, reopened when it was closed.

It uses no task or future per request, which would cost more than the request: an answer is handled
in the callback that read it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import cast

from loopmark.harness.drivers.http.exchange import Exchange
from loopmark.harness.drivers.http.origin import UNCONNECTED, Origin
from loopmark.harness.drivers.process import background_tasks
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.job import Timeouts


class Line:
    """Sends one message at a time, and calls back when its exchange is over.

    Args:
        origin: Where to connect to.
        timeouts: Time limits; `check` enforces the last two.
        on_done: Called when there is an answer or a failure; it may send the next message at once.

    Attributes:
        exchange: The last request and its outcome.
    """

    __slots__ = (
        "_connecting",
        "_connection",
        "_message",
        "_on_done",
        "_origin",
        "_timeouts",
        "exchange",
    )

    def __init__(self, origin: Origin, timeouts: Timeouts, on_done: Callable[[], None]) -> None:
        self._origin = origin
        self._timeouts = timeouts
        self._on_done = on_done
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._message = b""
        self.exchange = Exchange(timeouts)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._connecting is not None or self.exchange.awaits_answer

    @property
    def is_open(self) -> bool:
        """Whether there is an open connection."""
        return self._connection is not None

    def send(self, method: str, message: bytes) -> None:
        """Send a request; `on_done` is never called from within."""
        connection = self._connection
        self._message = message
        self.exchange.begin(method, clock(), is_open=connection is not None)
        if connection is None:
            self._connecting = background_tasks.start(self._connect())
        else:
            connection.write(message)

    def check(self, now_ns: int) -> None:
        """Give up an answer that is overdue at `now_ns`; connecting has a deadline of its own."""
        if self.exchange.is_overdue(now_ns):
            self.end()

    def close(self) -> None:
        """Close without a callback."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        self.exchange.awaits_answer = False
        self.drop()

    # Called by the connection.

    def connected(self, connection: _Connection) -> None:
        """Connected: send the waiting message."""
        if self._connecting is None:  # Closed meanwhile.
            connection.drop()
            return
        self._connecting = None
        self._connection = connection
        self.exchange.connected(clock())
        connection.write(self._message)

    def lost(self, problem: Exception | None) -> None:
        """The other end closed the connection."""
        self._connection = None
        if self.exchange.awaits_answer:
            if self.exchange.lost(problem, clock()):
                self.end()
            else:
                self._connecting = background_tasks.start(self._connect())

    def end(self) -> None:
        """The exchange is over."""
        connection = self._connection
        if connection is not None and (connection.is_writing or not self.exchange.is_reusable):
            self._retire(connection)
        try:
            self._on_done()
        except OSError as problem:
            tell(problem)

    def drop(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.drop()
            self._connection = None

    def _retire(self, connection: _Connection) -> None:
        """Check whether this connection can carry another message; close it if not."""
        if connection.has_written() and self.exchange.is_reusable:
            return
        self.drop()

    async def _connect(self) -> None:
        origin, limit_s = self._origin, self._timeouts.connect_s
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: _Connection(self), origin.host, origin.port, ssl=origin.ssl_context
                )
        except UNCONNECTED as problem:
            if self._connecting is asyncio.current_task():
                self._connecting = None
                self.exchange.unconnected(origin.unconnected(problem, limit_s), clock())
                self.end()


class _Connection(asyncio.Protocol):
    """The protocol that reads and writes for a line.

    Attributes:
        is_writing: Whether data was left to write at the last check.
    """

    __slots__ = ("_fd", "_line", "_transport", "is_writing")

    _transport: asyncio.Transport

    def __init__(self, line: Line) -> None:
        self._line: Line | None = line
        self._fd = -1
        self.is_writing = False

    def has_written(self) -> bool:
        self.is_writing = self._transport.get_write_buffer_size() > 0
        return not self.is_writing

    def write(self, message: bytes) -> None:
        if self._fd >= 0:
            # Straight to the kernel: uvloop would do so only at the end of this turn of the loop,
            # after all other answers that came with it have been dealt with.
            try:
                written = os.write(self._fd, message)
            except BlockingIOError:
                written = 0
            except OSError:
                self._transport.abort()  # connection_lost reports it to the line.
                return
            if written == len(message):
                return
            message = message[written:]
        self.is_writing = True
        self._transport.write(message)

    def drop(self) -> None:
        self._line = None
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("sslcontext") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        assert self._line is not None
        self._line.connected(self)

    def data_received(self, data: bytes) -> None:
        line = self._line
        if line is None:
            return
        if not line.exchange.awaits_answer:
            line.drop()  # An unexpected answer: this connection cannot be trusted.
        elif line.exchange.receive(data, clock()):
            line.end()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._line is not None:
            self._line.lost(exc)


def tell(problem: OSError) -> None:
    """Report an exception of the callback, such as a full disk.

    Raised from here, the event loop would treat it as the connection's and ignore it.
    """
    context = {"message": "an answer could not be dealt with", "exception": problem}
    asyncio.get_running_loop().call_exception_handler(context)
