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

from loopmark.harness.drivers.http.encoding import wire_form
from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.line import Line
from loopmark.harness.drivers.http.origin import Origin
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
        self._idle: dict[tuple[str, str, int], list[_AwaitedLine]] = {}
        self._busy: set[_AwaitedLine] = set()

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
        awaited = idle.pop() if idle else _AwaitedLine(self._origin(*key), self._timeouts)
        self._busy.add(awaited)
        timing = cast("Timing", request.extensions.get("timing") or Timing())
        try:
            answer = await awaited.carry_out(request.method, wire_form(request), timing)
        finally:
            self._busy.discard(awaited)
        if awaited.line.is_open:
            idle.append(awaited)
        if isinstance(answer, Failure):
            raise _EXCEPTIONS[answer.kind](answer.message, request=request)
        return answer

    async def aclose(self) -> None:
        """Close all connections; requests under way fail."""
        closed = Failure(ErrorKind.RESET, "the client was closed before the answer was complete")
        for awaited in (*self._busy, *(one for idle in self._idle.values() for one in idle)):
            awaited.leave(closed)
        self._busy.clear()
        self._idle.clear()

    def _origin(self, scheme: str, host: str, port: int) -> Origin:
        if scheme != "https":
            return Origin(host, port)
        self._ssl_context = self._ssl_context or httpx.create_ssl_context()
        return Origin(host, port, self._ssl_context)


class _AwaitedLine:
    """A line whose answers are awaited."""

    def __init__(self, origin: Origin, timeouts: Timeouts) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeouts = timeouts
        self._waiter: asyncio.Future[Failure | None] | None = None
        self.line = Line(origin, timeouts, self._done)

    async def carry_out(
        self, method: str, message: bytes, timing: Timing
    ) -> httpx.Response | Failure:
        self._waiter = self._loop.create_future()
        exchange = self.line.exchange
        self.line.send(method, message)
        self._watch = self._loop.call_later(self._interval_s, self._look)
        try:
            failure = await self._waiter
        except asyncio.CancelledError:
            self.line.close()
            raise
        finally:
            self._watch.cancel()
            timing.sent_ns, timing.connected_ns = exchange.sent_ns, exchange.connected_ns
            timing.first_byte_ns, timing.done_ns = exchange.first_byte_ns, exchange.done_ns
        return failure or httpx.Response(
            exchange.status, headers=exchange.headers, stream=httpx.ByteStream(exchange.body)
        )

    def leave(self, failure: Failure) -> None:
        """Close the connection; that is how a request under way failed."""
        self.line.close()
        self._tell(failure)

    def _done(self) -> None:
        self._tell(self.line.exchange.failure)

    def _tell(self, failure: Failure | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(failure)

    @property
    def _interval_s(self) -> float:
        # Often enough to be a few percent late, and hardly ever for an answer that comes.
        return max(0.005, min(self._timeouts.first_byte_s, self._timeouts.response_s) / 20)

    def _look(self) -> None:
        self._watch = self._loop.call_later(self._interval_s, self._look)
        self.line.check(round(self._loop.time() * 1e9))
