"""A proxy before PostgreSQL: what reaches the server is counted, and not read from the code."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from anyio.from_thread import start_blocking_portal
from sqlalchemy import make_url

_REQUESTS_OF_ENCRYPTION = (80877103, 80877104)
"""Codes of SSLRequest and GSSENCRequest, which come before the start of a session."""

_CHUNK = 2**16


@dataclass
class Work:
    """What a server was asked.

    Attributes:
        statements: Those that it executed, in their order.
        round_trips: How often a client sent something and waited for the answer.
    """

    statements: list[str] = field(default_factory=list)
    round_trips: int = 0

    def clear(self) -> None:
        """Count from here."""
        self.statements.clear()
        self.round_trips = 0


class _Session:
    """One connection: the messages of its client, and who spoke last.

    Frontend messages as of protocol 3.0 (PostgreSQL documentation, "Message Formats").
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pending = b""
        self._has_started = False
        self._prepared: dict[bytes, str] = {}
        self._bound: dict[bytes, str] = {}
        self.was_answered = True

    def take(self, data: bytes) -> None:
        """A client sent this."""
        if self.was_answered:
            self._work.round_trips += 1
            self.was_answered = False
        self._pending += data
        while (message := self._next()) is not None:
            self._count(*message)

    def _next(self) -> tuple[bytes, bytes] | None:
        """The kind and body of the next whole message."""
        head = 1 if self._has_started else 0
        if len(self._pending) < head + 4:
            return None
        (length,) = struct.unpack_from("!I", self._pending, head)
        if len(self._pending) < head + length:
            return None
        kind, body = self._pending[:head], self._pending[head + 4 : head + length]
        self._pending = self._pending[head + length :]
        return kind, body

    def _count(self, kind: bytes, body: bytes) -> None:
        match kind:
            case b"":
                (code,) = struct.unpack_from("!I", body)
                self._has_started = code not in _REQUESTS_OF_ENCRYPTION
            case b"Q":
                self._work.statements.append(body.rstrip(b"\0").decode())
            case b"P":
                name, statement, _ = body.split(b"\0", 2)
                self._prepared[name] = statement.decode()
            case b"B":
                portal, name, _ = body.split(b"\0", 2)
                self._bound[portal] = self._prepared[name]
            case b"E":
                portal, _ = body.split(b"\0", 1)
                self._work.statements.append(self._bound[portal])


@asynccontextmanager
async def counting(database_url: str) -> AsyncIterator[tuple[str, Work]]:
    """Forward to a server behind a Unix socket or an address; yields the proxy's URL."""
    work = Work()
    url = make_url(database_url)
    folder = url.query.get("host")
    port = url.port or 5432
    sessions: set[asyncio.Task[None]] = set()

    async def forward(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        sessions.add(task)
        if isinstance(folder, str) and folder.startswith("/"):
            server, ask = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        else:
            server, ask = await asyncio.open_connection(url.host or str(folder), port)
        session = _Session(work)

        async def requests() -> None:
            while data := await client.read(_CHUNK):
                session.take(data)
                ask.write(data)
                await ask.drain()
            ask.close()

        async def answers() -> None:
            while data := await server.read(_CHUNK):
                session.was_answered = True
                answer.write(data)
                await answer.drain()
            answer.close()

        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(requests(), answers())
        for writer in (ask, answer):
            writer.close()
        sessions.discard(task)

    listener = await asyncio.start_server(forward, "127.0.0.1", 0, family=socket.AF_INET)
    host, own_port = listener.sockets[0].getsockname()
    query = {key: value for key, value in url.query.items() if key != "host"}
    through = url.set(host=host, port=own_port, query=query)
    try:
        yield through.render_as_string(hide_password=False), work
    finally:
        listener.close()
        for task in sessions:
            task.cancel()


@asynccontextmanager
async def counting_apart(url: str) -> AsyncIterator[tuple[str, Work]]:
    """The same in a thread: who blocks this event loop does not wait for its proxy in vain."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(counting(url)) as counted,
    ):
        yield counted
