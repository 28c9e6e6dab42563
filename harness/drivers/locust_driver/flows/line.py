"""A virtual user's line to the target on gevent: one connection, opened again when it was closed.

`loopmark.harness.drivers.http.line` does the same on asyncio, and by the same rules.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import Any

import gevent
from gevent import monkey, socket
from geventhttpclient.useragent import ConnectionError as GeventConnectionError

from loopmark.harness.drivers.http.connection import Failure
from loopmark.harness.drivers.http.line import CLOSING_RACE_NS, REPEATABLE, Origin
from loopmark.harness.drivers.locust_driver.flows.reading import Reading
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind

READ_BYTES = 64 * 1024
WRITTEN_AT_ONCE = 16 * 1024
"""Longer messages are written beside the reading: a server may answer before it has read all."""

_READABLE = 1
_system_poll: Any = monkey.get_original("select", "poll")
"""The system's own, which only looks: gevent's would let others go on meanwhile."""


class UnansweredError(GeventConnectionError):
    """There is no answer; Locust reports it with the request.

    Attributes:
        failure: Why.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(None, failure.message)
        self.failure = failure


class GeventLine:
    """Exchanges one request at a time for its answer.

    geventhttpclient's own connections send a GET, PUT or DELETE up to three times, also where the
    first was answered by closing a new connection, and nobody hears of it. Here a request is
    repeated as `loopmark.harness.drivers.http.line` has it, and else it failed.

    Args:
        origin: Where to connect to.
        timeouts: How long to wait; `check` keeps the last two.

    Attributes:
        sent_ns: When the request was taken up: written, or connecting begun (CLOCK_MONOTONIC).
        connected_ns: When a new connection was there; 0 on one that was open.
        first_byte_ns: When the first byte of the answer came; 0 without one.
    """

    def __init__(self, origin: Origin, timeouts: Timeouts) -> None:
        self._origin = origin
        self._timeouts = timeouts
        self._hub = gevent.get_hub()
        self._socket: Any = None
        self._readable: Any = None
        self._poll: Any = None
        self._waiting: Any = None
        self.sent_ns = self.connected_ns = self.first_byte_ns = 0

    def exchange(self, method: str, message: bytes) -> Reading:
        """Send a request and wait for its answer.

        Raises:
            UnansweredError: There is none.
        """
        self.connected_ns = self.first_byte_ns = 0
        self.sent_ns = clock()
        if self._is_open():
            try:
                return self._ask(method, message)
            except UnansweredError as problem:
                raced = problem.failure.before_answer and method in REPEATABLE
                if not raced or clock() - self.sent_ns >= CLOSING_RACE_NS:
                    raise
        self._connect()
        return self._ask(method, message)

    def check(self, now_ns: int) -> None:
        """Give up an answer that is overdue at `now_ns`; to be called from the hub."""
        if self._waiting is None:
            return
        limits = self._timeouts
        if now_ns - self.sent_ns >= limits.response_s * 1e9:
            self._give_up(f"no complete answer within {limits.response_s:g} s")
        elif self.first_byte_ns == 0:
            began_ns = max(self.sent_ns, self.connected_ns)
            if now_ns - began_ns >= limits.first_byte_s * 1e9:
                self._give_up(f"no first byte within {limits.first_byte_s:g} s")

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._readable.stop()
            self._readable.close()
            self._socket.close()
            self._socket = None

    def _give_up(self, what: str) -> None:
        waiting, self._waiting = self._waiting, None
        waiting.throw(UnansweredError(Failure(ErrorKind.TIMEOUT, what)))

    def _is_open(self) -> bool:
        """Whether there is a connection that nothing has come on: no end, no answer unasked for."""
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
        where = f"no connection to {origin.host}:{origin.port}"
        try:
            with gevent.Timeout(limit_s, TimeoutError):
                connected = _connected(origin)
        except TimeoutError:
            message = f"{where} within {limit_s:g} s"
            raise UnansweredError(Failure(ErrorKind.CONNECT, message)) from None
        except (OSError, ValueError, OverflowError) as problem:
            # Not only from the network: a host name that cannot be encoded, a port beyond 65535.
            message = f"{where}: {problem}"
            raise UnansweredError(Failure(ErrorKind.CONNECT, message)) from problem
        self.connected_ns = clock()
        self._socket = connected
        self._readable = self._hub.loop.io(connected.fileno(), _READABLE)
        self._poll = _system_poll()
        self._poll.register(connected.fileno(), select.POLLIN)

    def _ask(self, method: str, message: bytes) -> Reading:
        reading = Reading(method)
        is_done = False
        writing = self._write(message)
        self._waiting = gevent.getcurrent()
        try:
            self._read(reading)
            is_done = not reading.is_last and (writing is None or writing.dead)
        finally:
            self._waiting = None
            if writing is not None:
                writing.kill()
            if not is_done:
                self.close()
        return reading

    def _write(self, message: bytes) -> Any:  # noqa: ANN401 - gevent has no types
        """Send at least the beginning; returns the greenlet that sends the rest, if any."""
        sent = 0
        if len(message) <= WRITTEN_AT_ONCE:
            try:
                sent = self._socket.send(message)
            except OSError as problem:
                self.close()
                raise self._lost(problem) from problem
            if sent == len(message):
                return None
        return gevent.spawn(_write_all, self._socket, memoryview(message)[sent:])

    def _read(self, reading: Reading) -> None:
        connected = self._socket
        is_plain = self._origin.ssl_context is None
        while not reading.status:
            # By way of the hub each time: who sends without end shall not keep the others waiting.
            if is_plain or not connected.pending():
                self._hub.wait(self._readable)
            try:
                data = connected.recv(READ_BYTES)
            except OSError as problem:
                raise self._lost(problem) from problem
            if data:
                if not self.first_byte_ns:
                    self.first_byte_ns = clock()
                reading.take(data)
            elif not self.first_byte_ns:
                raise self._lost(None)
            else:
                reading.end()
            if reading.failure is not None:
                raise UnansweredError(reading.failure)

    def _lost(self, problem: OSError | None) -> UnansweredError:
        why = f": {problem}" if problem is not None else ""
        if self.first_byte_ns:
            message = f"the connection was closed within the answer{why}"
            return UnansweredError(Failure(ErrorKind.RESET, message))
        message = f"the connection was closed before an answer came{why}"
        return UnansweredError(Failure(ErrorKind.RESET, message, before_answer=True))


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
    with suppress(OSError):  # Whoever reads hears of it.
        connected.sendall(message)
