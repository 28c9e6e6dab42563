"""An httpx transport made for load: idle connections are taken from a stack, never searched.

httpx's own pool scans every connection on every request. Give this one to a client of your own:

    httpx.AsyncClient(transport=LoadTransport(Timeouts(5.0, 30.0, 30.0)))
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import cast

import httpx

from loopmark.harness.drivers.http.connection import Failure, Headers
from loopmark.harness.drivers.http.encoding import wire_form
from loopmark.harness.drivers.http.line import Line, Origin
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
    """The moments of one request in ns of CLOCK_MONOTONIC; 0 where the moment has not come.

    Put one under the extension `timing` of an httpx request; the transport fills it.

    Attributes:
        sent_ns: It was written, or connecting begun.
        connected_ns: The new connection was there; 0 on one that was open.
        first_byte_ns: The first byte of the answer.
        done_ns: Its last one, or the moment it was clear that there is none.
    """

    sent_ns: int = 0
    connected_ns: int = 0
    first_byte_ns: int = 0
    done_ns: int = 0


class LoadTransport(httpx.AsyncBaseTransport):
    """Sends each request on an idle connection, the last one used first, or on a new one.

    Meant for one virtual user: it then holds as many connections as that user has requests in
    flight, nearly always one. There is no limit to their number. Redirects, cookies and
    decompression are the client's, as ever. Bodies are held in memory, and the time limits are
    those given here; a client's own are not looked at.

    Args:
        timeouts: How long to wait.
        ssl_context: For https; httpx's default when None.
    """

    def __init__(self, timeouts: Timeouts, ssl_context: ssl.SSLContext | None = None) -> None:
        self._timeouts = timeouts
        self._ssl_context = ssl_context
        self._idle: dict[tuple[str, str, int], list[_Exchange]] = {}
        self._busy: set[_Exchange] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the whole answer.

        Raises:
            httpx.ConnectError: No connection could be made, or not in time.
            httpx.ReadTimeout: The answer was not complete in time.
            httpx.ReadError: The connection broke before the answer was complete.
            httpx.RemoteProtocolError: What came is not HTTP, or larger than the driver holds.
            httpx.UnsupportedProtocol: The URL is neither http nor https.
        """
        url = request.url
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol(f"no way to ask {url.scheme}:", request=request)
        await request.aread()
        port = url.port or (443 if url.scheme == "https" else 80)
        key = (url.scheme, url.host, port)
        idle = self._idle.setdefault(key, [])
        exchange = idle.pop() if idle else _Exchange(self._origin(*key), self._timeouts)
        self._busy.add(exchange)
        timing = cast("Timing", request.extensions.get("timing") or Timing())
        try:
            answer = await exchange.carry_out(request.method, wire_form(request), timing)
        finally:
            self._busy.discard(exchange)
        if exchange.line.is_open:
            idle.append(exchange)
        if isinstance(answer, Failure):
            raise _EXCEPTIONS[answer.kind](answer.message, request=request)
        return answer

    async def aclose(self) -> None:
        """Close all connections; requests under way fail."""
        closed = Failure(ErrorKind.RESET, "the client was closed before the answer was complete")
        for exchange in (*self._busy, *(one for idle in self._idle.values() for one in idle)):
            exchange.line.close()
            exchange.failed(closed)
        self._busy.clear()
        self._idle.clear()

    def _origin(self, scheme: str, host: str, port: int) -> Origin:
        if scheme != "https":
            return Origin(host, port)
        self._ssl_context = self._ssl_context or httpx.create_ssl_context()
        return Origin(host, port, self._ssl_context)


class _Exchange:
    """A line whose answers are awaited."""

    def __init__(self, origin: Origin, timeouts: Timeouts) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._waiter: asyncio.Future[httpx.Response | Failure] | None = None
        self.line = Line(origin, timeouts, self)

    async def carry_out(
        self, method: str, message: bytes, timing: Timing
    ) -> httpx.Response | Failure:
        self._waiter = self._loop.create_future()
        self.line.send(method, message)
        watch = self._loop.call_later(self._interval_s, self._look)
        self._watch = watch
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self._waiter = None
            self.line.close()
            raise
        finally:
            self._watch.cancel()
            line = self.line
            timing.sent_ns, timing.connected_ns = line.sent_ns, line.connected_ns
            timing.first_byte_ns, timing.done_ns = line.first_byte_ns, line.done_ns

    def answered(self, status: int, headers: Headers, body: bytes) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(
                httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
            )

    def failed(self, failure: Failure) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(failure)

    @property
    def _interval_s(self) -> float:
        # Often enough to be a few percent late, and hardly ever for an answer that comes.
        return max(0.005, min(self._timeouts.first_byte_s, self._timeouts.response_s) / 20)

    def _look(self) -> None:
        self._watch = self._loop.call_later(self._interval_s, self._look)
        self.line.check(round(self._loop.time() * 1e9))
