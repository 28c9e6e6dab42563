"""A virtual user's line to the target: one connection, opened again when it was closed."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from loopmark.harness.drivers.http.connection import Connection, Failure, Headers, Owner
from loopmark.harness.drivers.process import background_tasks
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Safe methods. Repeating a DELETE that was carried out would be answered with 404."""

CLOSING_RACE_NS = 50_000_000
"""A server that closes an idle connection does so before or within moments of the request. One that
takes longer had the request and failed it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect to; `ssl_context` is None for plain HTTP."""

    host: str
    port: int
    ssl_context: ssl.SSLContext | None = None


class Line:
    """Sends one message at a time and tells its owner what came of it.

    A server may close an idle connection at any moment. Where a request met that moment and may be
    repeated safely, it is sent again, as browsers do; its time counts from the first sending.

    Args:
        origin: Where to connect to.
        timeouts: How long to wait; `check` keeps the last two.
        owner: Who is told.

    Attributes:
        sent_ns: When the message was taken up: written, or connecting begun (CLOCK_MONOTONIC).
        connected_ns: When a new connection was there; 0 on one that was open.
        first_byte_ns: When the first byte of the answer came; 0 without one.
        done_ns: When the answer was complete, or when it was clear that there is none.
    """

    __slots__ = (
        "_busy",
        "_connecting",
        "_connection",
        "_head_only",
        "_loop",
        "_message",
        "_origin",
        "_owner",
        "_repeatable",
        "_timeouts",
        "connected_ns",
        "done_ns",
        "first_byte_ns",
        "sent_ns",
    )

    def __init__(self, origin: Origin, timeouts: Timeouts, owner: Owner) -> None:
        self._loop = asyncio.get_running_loop()
        self._origin = origin
        self._timeouts = timeouts
        self._owner = owner
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._busy = False
        self._message = b""
        self._head_only = False
        self._repeatable = False
        self.sent_ns = self.connected_ns = self.first_byte_ns = self.done_ns = 0

    @property
    def is_busy(self) -> bool:
        """Whether an answer is awaited."""
        return self._busy

    @property
    def is_open(self) -> bool:
        """Whether there is an open connection."""
        return self._connection is not None and self._connection.is_open

    def send(self, method: str, message: bytes) -> None:
        """Send a request; the owner is told of the answer or failure, never within this call."""
        self._busy = True
        self._message = message
        self._head_only = method == "HEAD"
        self.connected_ns = self.first_byte_ns = self.done_ns = 0
        connection = self._connection
        self.sent_ns = clock()
        if connection is not None and connection.is_open:
            self._repeatable = method in REPEATABLE
            connection.send(message, head_only=self._head_only)
        else:
            self._connect()

    def check(self, now_ns: int) -> None:
        """Give up an answer that is overdue at `now_ns`."""
        if not self._busy or self._connection is None or self._connecting is not None:
            return  # Connecting has its own deadline.
        limits = self._timeouts
        if now_ns - self.sent_ns >= limits.response_s * 1e9:
            what = f"no complete answer within {limits.response_s:g} s"
            self._connection.fail(ErrorKind.TIMEOUT, what)
        elif self._connection.first_byte_ns == 0:
            began_ns = max(self.sent_ns, self.connected_ns)
            if now_ns - began_ns >= limits.first_byte_s * 1e9:
                what = f"no first byte within {limits.first_byte_s:g} s"
                self._connection.fail(ErrorKind.TIMEOUT, what)

    def close(self) -> None:
        """Close without telling the owner."""
        self._busy = False
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # What the connection tells.

    def answered(self, status: int, headers: Headers, body: bytes) -> None:
        """Pass the answer on."""
        connection = self._connection
        assert connection is not None
        self.first_byte_ns = connection.first_byte_ns
        self.done_ns = connection.done_ns
        self._busy = False
        self._owner.answered(status, headers, body)

    def failed(self, failure: Failure) -> None:
        """Pass the failure on, unless another try is due."""
        assert self._connection is not None
        self.first_byte_ns = self._connection.first_byte_ns
        raced = failure.before_answer and self._repeatable
        if raced and self._connection.done_ns - self.sent_ns < CLOSING_RACE_NS:
            self._connect()
            return
        self._fail(failure, self._connection.done_ns)

    def _fail(self, failure: Failure, done_ns: int) -> None:
        self.done_ns = done_ns
        self._busy = False
        self._connection = None
        self._owner.failed(failure)

    def _connect(self) -> None:
        self._repeatable = False  # What a new connection meets is no race.
        self._connection = None
        self._connecting = background_tasks.start(self._connect_and_send())

    async def _connect_and_send(self) -> None:
        origin, limit_s = self._origin, self._timeouts.connect_s
        where = f"no connection to {origin.host}:{origin.port}"
        failure: Failure | None = None
        try:
            async with asyncio.timeout(limit_s):
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self), origin.host, origin.port, ssl=origin.ssl_context
                )
        except TimeoutError:
            failure = Failure(ErrorKind.CONNECT, f"{where} within {limit_s:g} s")
        except (OSError, ValueError, OverflowError) as error:
            # Not only from the network: a host name that cannot be encoded, a port beyond 65535.
            failure = Failure(ErrorKind.CONNECT, f"{where}: {error}")
        self._connecting = None
        if failure is not None:
            self._fail(failure, clock())
            return
        self._connection = connection
        self.connected_ns = clock()
        if not connection.is_open:
            message = "the connection was closed before an answer came"
            self._fail(Failure(ErrorKind.RESET, message), self.connected_ns)
            return
        connection.send(self._message, head_only=self._head_only)
