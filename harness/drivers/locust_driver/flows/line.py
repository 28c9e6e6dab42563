"""A virtual user's connection to the target on gevent, reopened when it was closed.

Its rules are those of `loopmark.harness.drivers.http.exchange`.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

import gevent
from gevent import monkey, socket
from geventhttpclient.useragent import ConnectionError as GeventConnectionError

from loopmark.harness.drivers.http.exchange import Exchange, Failure
from loopmark.harness.drivers.http.origin import UNCONNECTED, Origin
from loopmark.harness.drivers.locust_driver.gevent_loop import READABLE
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.job import Timeouts

READ_BYTES = 64 * 1024
WRITTEN_AT_ONCE = 16 * 1024
"""Longer messages are written while reading: a server may answer before it has read everything."""

_system_poll: Any = monkey.get_original("select", "poll")
"""The system's own, which only polls: gevent's would switch to other greenlets."""


class UnansweredError(GeventConnectionError):
    """Raised without an answer; Locust reports it with the request."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(None, failure.message)


class GeventLine:
    """Exchanges one request at a time for its answer.

    geventhttpclient's own connections send a GET, PUT or DELETE up to three times, even if the
    server closed a new connection, without reporting it.

    Args:
        origin: Where to connect to.
        timeouts: Time limits; `check` enforces the last two.

    Attributes:
        exchange: The last request and its outcome.
    """

    def __init__(self, origin: Origin, timeouts: Timeouts) -> None:
        self._origin = origin
        self._timeouts = timeouts
        self._hub = gevent.get_hub()
        self._socket: Any = None
        self._readable: Any = None
        self._poll: Any = None
        self._waiting: Any = None
        self.exchange = Exchange(timeouts)

    def ask(self, method: str, message: bytes) -> None:
        """Send a request and wait for its outcome.

        Raises:
            UnansweredError: There is no answer.
        """
        exchange = self.exchange
        exchange.begin(method, clock(), is_open=self._is_open())
        try:
            while not exchange.done_ns:
                if exchange.awaits_answer:
                    self._converse(message)
                else:
                    self._connect()
        finally:
            if not exchange.is_reusable:
                self.close()
        if exchange.failure is not None:
            raise UnansweredError(exchange.failure)

    def check(self, now_ns: int) -> None:
        """Give up an answer that is overdue at `now_ns`; to be called from the hub."""
        waiting, exchange = self._waiting, self.exchange
        if waiting is not None and exchange.is_overdue(now_ns) and exchange.failure is not None:
            self._waiting = None
            waiting.throw(UnansweredError(exchange.failure))

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._readable.stop()
            self._readable.close()
            self._socket.close()
            self._socket = None

    def _is_open(self) -> bool:
        """Whether a connection is open and without unread data (its end, an unexpected answer)."""
        connected = self._socket
        if connected is None:
            return False
        if self._poll.poll(0) or (self._origin.ssl_context is not None and connected.pending()):
            self.close()
            return False
        return True

    def _connect(self) -> None:
        self.close()
        origin, limit_s = self._origin, self._timeouts.connect_s
        try:
            with gevent.Timeout(limit_s, TimeoutError):
                connected = _connected(origin)
        except UNCONNECTED as problem:
            self.exchange.unconnected(origin.unconnected(problem, limit_s), clock())
            return
        self.exchange.connected(clock())
        self._socket = connected
        self._readable = self._hub.loop.io(connected.fileno(), READABLE)
        self._poll = _system_poll()
        self._poll.register(connected.fileno(), select.POLLIN)

    def _converse(self, message: bytes) -> None:
        """Write, and read until the answer is over or the connection is lost."""
        exchange, writing = self.exchange, None
        self._waiting = gevent.getcurrent()
        try:
            writing = self._write(message)
            self._read()
        except OSError as problem:
            exchange.lost(problem, clock())
        finally:
            self._waiting = None
            if writing is not None:
                exchange.is_reusable &= writing.dead
                writing.kill()

    def _write(self, message: bytes) -> Any:  # noqa: ANN401 - gevent has no types
        """Send at least the beginning; returns the greenlet that sends the rest, if any."""
        sent = self._socket.send(message) if len(message) <= WRITTEN_AT_ONCE else 0
        if sent == len(message):
            return None
        return gevent.spawn(_write_all, self._socket, memoryview(message)[sent:])

    def _read(self) -> None:
        connected, exchange = self._socket, self.exchange
        is_plain = self._origin.ssl_context is None
        while exchange.awaits_answer:
            # By way of the hub each time: who sends without end shall not keep the others waiting.
            if is_plain or not connected.pending():
                self._hub.wait(self._readable)
            if data := connected.recv(READ_BYTES):
                exchange.receive(data, clock())
            else:
                exchange.lost(None, clock())


def _connected(origin: Origin) -> Any:  # noqa: ANN401 - gevent has no types
    connected = socket.create_connection((origin.host, origin.port))
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if origin.ssl_context is None:
            return connected
        return origin.ssl_context.wrap_socket(connected, server_hostname=origin.host)
    except BaseException:
        connected.close()
        raise


def _write_all(connected: Any, message: memoryview) -> None:  # noqa: ANN401 - gevent has no types
    with suppress(OSError):  # The reader gets the error.
        connected.sendall(message)
