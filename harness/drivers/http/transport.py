"""An httpx transport made for load: idle connections are taken from a stack, never searched.

httpx's own pool scans every connection on every request. Give this one to a client of your own:

    httpx.AsyncClient(transport=LoadTransport(Timeouts(5.0, 30.0, 30.0)))
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import httpx

from loopmark.harness.drivers.http.answer import Answer
from loopmark.harness.drivers.http.encoding import wire_form
from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.line import Line
from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind

_EXCEPTIONS: dict[str, type[httpx.TransportError]] = {
    ErrorKind.CONNECT: httpx.ConnectError,
    ErrorKind.TIMEOUT: httpx.ReadTimeout,
    ErrorKind.RESET: httpx.ReadError,
    ErrorKind.PROTOCOL: httpx.RemoteProtocolError,
}


@dataclass(slots=True)
class Timing:
    """The times of one request in ns of CLOCK_MONOTONIC; 0 until known.

    Put one under the extension `timing` of an httpx request; the transport fills it.

    Attributes:
        sent_ns: When it was written, or connecting begun.
        connected_ns: When a new connection was established; 0 on one that was open.
        first_byte_ns: When the first byte of the answer was read.
        done_ns: When the last byte was read, or it was clear that no answer would arrive.
    """

    sent_ns: int = 0
    connected_ns: int = 0
    first_byte_ns: int = 0
    done_ns: int = 0


class LoadTransport(httpx.AsyncBaseTransport):
    """Sends each request on an idle connection, the last one used first, or on a new one.

    Meant for one virtual user: it then holds as many connections as that user has requests in
    flight, nearly always one. There is no limit to their number. The client handles redirects,
    cookies and decompression; reading a body that is too large when decompressed raises
    `httpx.DecodingError`. Bodies are held in memory, and the time limits are those given here; the
    client's own are ignored.

    Args:
        timeouts: How long to wait.
        ssl_context: For https; httpx's default when None.
    """

    def __init__(self, timeouts: Timeouts, ssl_context: ssl.SSLContext | None = None) -> None:
        self._timeouts = timeouts
        self._ssl_context = ssl_context
        self._loop = asyncio.get_running_loop()
        self._idle: dict[tuple[str, str, int | None], list[_AwaitedLine]] = {}
        self._busy: set[_AwaitedLine] = set()
        self._watch: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the whole answer.

        Raises:
            httpx.ConnectError: No connection could be made, or not in time.
            httpx.ReadTimeout: The answer was not complete in time.
            httpx.ReadError: The connection broke before the answer was complete.
            httpx.RemoteProtocolError: The answer is not HTTP, or exceeds the size limit.
            httpx.UnsupportedProtocol: The URL is neither http nor https.
        """
        await request.aread()
        url = request.url
        idle = self._idle.setdefault((url.scheme, url.host, url.port), [])
        awaited = idle.pop() if idle else _AwaitedLine(self._origin(request), self._timeouts)
        exchange = awaited.line.exchange
        self._busy.add(awaited)
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeouts.check_interval_s, self._look)
        try:
            failure = await awaited.carry_out(request.method, wire_form(request))
        finally:
            self._busy.discard(awaited)
            timing = cast("Timing", request.extensions.get("timing") or Timing())
            timing.sent_ns, timing.connected_ns = exchange.sent_ns, exchange.connected_ns
            timing.first_byte_ns, timing.done_ns = exchange.first_byte_ns, exchange.done_ns
        if awaited.line.is_open:
            idle.append(awaited)
        if failure is not None:
            raise _EXCEPTIONS[failure.kind](failure.message, request=request)
        answer = Answer(exchange.status, exchange.headers, exchange.body)
        stream = _Compressed(answer) if answer.is_compressed else httpx.ByteStream(exchange.body)
        return httpx.Response(exchange.status, headers=exchange.headers, stream=stream)

    async def aclose(self) -> None:
        """Close all connections; requests in flight fail."""
        closed = Failure(ErrorKind.RESET, "the client was closed before the answer was complete")
        for awaited in (*self._busy, *(one for idle in self._idle.values() for one in idle)):
            awaited.leave(closed)
        self._busy.clear()
        self._idle.clear()

    def _origin(self, request: httpx.Request) -> Origin:
        url = request.url
        match url.scheme:
            case "http":
                return Origin(url.host, url.port or 80)
            case "https":
                self._ssl_context = self._ssl_context or httpx.create_ssl_context()
                return Origin(url.host, url.port or 443, self._ssl_context)
        raise httpx.UnsupportedProtocol(f"no way to ask {url.scheme}:", request=request)

    def _look(self) -> None:
        """Fail overdue requests; one timer for many requests, which ends when none is left."""
        self._watch = None
        if self._busy:
            self._watch = self._loop.call_later(self._timeouts.check_interval_s, self._look)
            now_ns = clock()
            for awaited in tuple(self._busy):
                awaited.line.check(now_ns)


class _Compressed(httpx.ByteStream):
    """A body whose size is checked before httpx decompresses all of it at once."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            _ = self._answer.content
        except ValueError as error:
            raise httpx.DecodingError(str(error)) from None
        yield self._answer.body


class _AwaitedLine:
    """A line whose answers can be awaited."""

    def __init__(self, origin: Origin, timeouts: Timeouts) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[Failure | None] | None = None
        self.line = Line(origin, timeouts, self._done)

    async def carry_out(self, method: str, message: bytes) -> Failure | None:
        self._waiter = self._loop.create_future()
        self.line.send(method, message)
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self.line.close()
            raise

    def leave(self, failure: Failure) -> None:
        """Close the connection; a request in flight fails with this."""
        self.line.close()
        self._tell(failure)

    def _done(self) -> None:
        self._tell(self.line.exchange.failure)

    def _tell(self, failure: Failure | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(failure)
