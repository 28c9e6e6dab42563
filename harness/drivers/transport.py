"""An httpx transport made for load: one persistent connection per virtual user.

httpx's own pool scans every connection on every request. Here a virtual user keeps its connection,
httptools parses the answers, and the moments of each request are taken where they happen.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from typing import cast

import httptools
import httpx

MAX_HEADER_BYTES = 64 * 1024
MAX_BODY_BYTES = 64 * 1024 * 1024
"""Bounds on what one answer may make the driver hold in memory."""

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Safe methods. Repeating a DELETE that was carried out would be answered with 404."""

CLOSING_RACE_NS = 50_000_000
"""A server that closes an idle connection does so before or within moments of the request. One that
takes longer had the request and failed it."""

Headers = list[tuple[bytes, bytes]]


@dataclass(slots=True)
class Timing:
    """The moments of one request in ns of CLOCK_MONOTONIC; 0 where the moment has not come.

    Put one under the extension `timing` of an httpx request; the transport fills it.
    """

    sent_ns: int = 0
    first_byte_ns: int = 0
    done_ns: int = 0


class LoadTransport(httpx.AsyncBaseTransport):
    """Sends each request on an idle connection of this user, or on a new one.

    Used by one virtual user, so it holds as many connections as that user has requests in flight:
    nearly always one.

    Args:
        timeout_s: Seconds to connect, and seconds from sending to the end of the answer.
        ssl_context: For https; httpx's default when None.
    """

    def __init__(self, timeout_s: float, ssl_context: ssl.SSLContext | None = None) -> None:
        self._timeout_s = timeout_s
        self._ssl_context = ssl_context
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the whole answer.

        Raises:
            httpx.ConnectError: No connection could be made.
            httpx.ConnectTimeout: Nor within the time allowed.
            httpx.ReadTimeout: The answer was not complete in time.
            httpx.ReadError: The connection broke before the answer was complete.
            httpx.RemoteProtocolError: What came is not HTTP, or larger than the bounds above.
        """
        message = await _encoded(request)
        timing = cast("Timing", request.extensions.get("timing") or Timing())
        url = request.url
        port = url.port or (443 if url.scheme == "https" else 80)
        origin = (url.scheme, url.host, port)
        idle = self._idle.setdefault(origin, [])
        while True:
            connection = _take_open(idle)
            reused = connection is not None
            if connection is None:
                connection = await self._connect(*origin)
            try:
                answer = await connection.exchange(message, request.method, timing, self._timeout_s)
            except _ClosedBeforeAnswer as error:
                # A server may close an idle connection at any moment. Where the request met that
                # moment and may be repeated safely, it is sent again, as browsers do. Its time
                # counts from the first sending.
                waited_ns = time.monotonic_ns() - timing.sent_ns if timing.sent_ns else 0
                if reused and request.method in REPEATABLE and waited_ns < CLOSING_RACE_NS:
                    continue
                raise httpx.ReadError(str(error), request=request) from None
            except httpx.TransportError as error:
                error.request = request
                raise
            if connection.is_open:
                idle.append(connection)
            return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    async def aclose(self) -> None:
        """Close all idle connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _connect(self, scheme: str, host: str, port: int) -> _Connection:
        loop = asyncio.get_running_loop()
        context = None
        if scheme == "https":
            context = self._ssl_context = self._ssl_context or httpx.create_ssl_context()
        try:
            async with asyncio.timeout(self._timeout_s):
                _, connection = await loop.create_connection(_Connection, host, port, ssl=context)
        except TimeoutError:
            message = f"no connection to {host}:{port} within {self._timeout_s:g} s"
            raise httpx.ConnectTimeout(message) from None
        except OSError as error:
            raise httpx.ConnectError(f"no connection to {host}:{port}: {error}") from None
        return connection


class _ClosedBeforeAnswer(Exception):  # noqa: N818 - an event between two classes of this file
    """The connection was closed before the first byte of an answer."""


@dataclass(slots=True)
class _Answer:
    status: int
    headers: Headers
    body: bytes


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection that carries one request at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[_Answer] | None = None
        self._timing = Timing()
        self._method = ""
        self._reset_answer()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(
        self, message: bytes, method: str, timing: Timing, timeout_s: float
    ) -> _Answer:
        if self._transport is None or self._transport.is_closing():
            raise _ClosedBeforeAnswer("the server closed the connection")
        waiter: asyncio.Future[_Answer] = self._loop.create_future()
        self._waiter = waiter
        self._timing = timing
        self._method = method
        self._reset_answer()
        deadline = self._loop.call_later(timeout_s, self._fail_late, timeout_s)
        timing.sent_ns = timing.sent_ns or time.monotonic_ns()
        timing.first_byte_ns = timing.done_ns = 0
        self._transport.write(message)
        try:
            return await waiter
        finally:
            deadline.cancel()
            self._waiter = None
            if not waiter.done() or waiter.cancelled() or waiter.exception() is not None:
                self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.close()  # An answer nobody asked for: this connection cannot be trusted.
            return
        if self._timing.first_byte_ns == 0:
            self._timing.first_byte_ns = time.monotonic_ns()
        if not self._headers_complete:
            self._header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(httpx.RemoteProtocolError("the server switched to another protocol"))
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(f"the answer is not HTTP: {error}"))
        else:
            if self._header_bytes > MAX_HEADER_BYTES and not self._headers_complete:
                limit = MAX_HEADER_BYTES // 1024
                self._fail(httpx.RemoteProtocolError(f"headers of more than {limit} KiB"))

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._waiter is None or self._waiter.done():
            return
        if self._timing.first_byte_ns == 0:
            self._waiter.set_exception(
                _ClosedBeforeAnswer(f"the connection was closed before an answer came{_why(exc)}")
            )
        elif self._headers_complete and self._ends_with_connection and exc is None:
            self._finish()
        else:
            self._fail(httpx.ReadError(f"the connection was closed within the answer{_why(exc)}"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._reset_answer()

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._headers.append((name, value))
        if name in {b"content-length", b"transfer-encoding"}:
            self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        self._headers_complete = True
        if self._method == "HEAD":
            # The parser would wait for the body that these headers describe.
            self._finish()
            self._parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            limit = MAX_BODY_BYTES // 1024**2
            self._fail(httpx.RemoteProtocolError(f"a body of more than {limit} MiB"))

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() >= 200:  # noqa: PLR2004 - 1xx only announces the answer
            self._finish()

    def _reset_answer(self) -> None:
        self._headers: Headers = []
        self._headers_complete = False
        self._ends_with_connection = True
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def _finish(self) -> None:
        if self._waiter is None or self._waiter.done():
            return
        self._timing.done_ns = time.monotonic_ns()
        status = self._parser.get_status_code()
        if not self._parser.should_keep_alive():
            self.close()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._waiter.set_result(_Answer(status, self._headers, body))

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._timing.done_ns = time.monotonic_ns()
            self._waiter.set_exception(error)
        self.close()

    def _fail_late(self, timeout_s: float) -> None:
        self._fail(httpx.ReadTimeout(f"no complete answer within {timeout_s:g} s"))


def _take_open(idle: list[_Connection]) -> _Connection | None:
    while idle:
        connection = idle.pop()
        if connection.is_open:
            return connection
    return None


async def _encoded(request: httpx.Request) -> bytes:
    body = await request.aread()
    raw_path = request.url.raw_path
    lines = [request.method.encode("ascii"), b" ", raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        lines += (name, b": ", value, b"\r\n")
    lines += (b"\r\n", body)
    return b"".join(lines)


def _why(error: Exception | None) -> str:
    return f": {error}" if error is not None else ""
