"""A virtual user's connection for events: opened within time limits, possibly read slowly."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.origin import UNCONNECTED
from loopmark.harness.drivers.process import background_tasks
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.websocket_driver import protocols
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.event_connection import EventConnection, Listener
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind

FRUGAL_SEGMENT_BYTES = 1400
FRUGAL_BUFFER_BYTES = 1024
"""Socket options for a client that does not read, as across a network to a small device. With the
loopback's large segments and buffers the kernel would buffer 4 MiB, which the target would take
minutes to fill; with these it buffers 60 KiB."""


class EventLine:
    """Opens one connection at a time, and passes its events to the owner.

    Args:
        address: Where to connect to.
        timeouts: Time limits for the greeting; `check` enforces the last two.
        owner: Receives the events.
        frugal: Whether to keep kernel buffers of the connection small.

    Attributes:
        began_ns: When connecting began (CLOCK_MONOTONIC).
    """

    __slots__ = (
        "_address",
        "_connecting",
        "_connection",
        "_frugal",
        "_owner",
        "_timeouts",
        "began_ns",
    )

    def __init__(
        self, address: EventAddress, timeouts: Timeouts, owner: Listener, *, frugal: bool = False
    ) -> None:
        self._address = address
        self._timeouts = timeouts
        self._owner = owner
        self._frugal = frugal
        self._connection: EventConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self.began_ns = 0

    @property
    def is_open(self) -> bool:
        """Whether the target has greeted the client, and the connection is still open."""
        return self._connection is not None and self._connection.is_greeted

    @property
    def is_opening(self) -> bool:
        """Whether the greeting is awaited."""
        if self._connecting is not None:
            return True
        connection = self._connection
        return connection is not None and not connection.is_greeted and not connection.is_closed

    @property
    def connected_ns(self) -> int:
        """When the connection was established; 0 before."""
        return self._connection.connected_ns if self._connection is not None else 0

    @property
    def status(self) -> int:
        """The status of the answer to the request for events; 0 without one."""
        return self._connection.status if self._connection is not None else 0

    @property
    def first_byte_ns(self) -> int:
        """When the first byte of that answer was read; 0 without one."""
        return self._connection.first_byte_ns if self._connection is not None else 0

    def open(self, token: str) -> None:
        """Connect anew; the owner gets the greeting or the failure, never within this call."""
        self.close()
        self.began_ns = clock()
        self._connecting = background_tasks.start(self._connect(token))

    def check(self, now_ns: int) -> None:
        """Fail a greeting that is overdue at `now_ns`."""
        connection = self._connection
        if connection is None or connection.is_greeted or self._connecting is not None:
            return  # Connecting has its own deadline.
        limits = self._timeouts
        if now_ns - self.began_ns >= limits.response_s * 1e9:
            connection.fail(ErrorKind.TIMEOUT, f"no greeting within {limits.response_s:g} s")
        elif connection.first_byte_ns == 0 and (
            now_ns - connection.connected_ns >= limits.first_byte_s * 1e9
        ):
            what = f"the request for events was not answered within {limits.first_byte_s:g} s"
            connection.fail(ErrorKind.TIMEOUT, what)

    def pause(self) -> None:
        """Stop reading."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read again."""
        if self._connection is not None:
            self._connection.resume()

    def close(self) -> None:
        """Close without calling the owner."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connect(self, token: str) -> None:
        address, limit_s = self._address, self._timeouts.connect_s
        connection = protocols.connection(address, token, self._owner)
        failure: Failure | None = None
        self._connection = connection
        try:
            async with asyncio.timeout(limit_s):
                await self._transported(connection)
        except UNCONNECTED as problem:
            failure = address.origin.unconnected(problem, limit_s)
        self._connecting = None
        if failure is not None:
            self._connection = None
            self._owner.lost(failure)

    async def _transported(self, connection: EventConnection) -> None:
        loop, origin = asyncio.get_running_loop(), self._address.origin
        ssl_context = origin.ssl_context
        if not self._frugal:
            await loop.create_connection(
                lambda: connection, origin.host, origin.port, ssl=ssl_context
            )
            return
        own = await self._frugally_connected()
        server_hostname = origin.host if ssl_context is not None else None
        try:
            await loop.create_connection(
                lambda: connection, sock=own, ssl=ssl_context, server_hostname=server_hostname
            )
        except BaseException:
            own.close()
            raise

    async def _frugally_connected(self) -> socket.socket:
        loop, origin = asyncio.get_running_loop(), self._address.origin
        problem: OSError | None = None
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        for family, kind, number, _, where in found:
            own = socket.socket(family, kind, number)
            try:
                own.setblocking(False)
                # Before it is connected: the two sides agree on them then.
                with suppress(OSError):  # Some systems know only smaller ones at this time.
                    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, FRUGAL_SEGMENT_BYTES)
                own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, FRUGAL_BUFFER_BYTES)
                await loop.sock_connect(own, where)
            except OSError as error:
                own.close()
                problem = error
            except BaseException:
                own.close()
                raise
            else:
                return own
        raise problem or OSError("the host has no address")
