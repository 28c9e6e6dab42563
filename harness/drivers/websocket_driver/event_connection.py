"""One connection for events, read in the callback in which bytes arrive."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol, cast

from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.line import tell
from loopmark.harness.drivers.journey import SERVER_ERRORS
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.websocket_driver.dialects import Dialect, Ending, Reply
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.vocabulary.flow import Event
from loopmark.harness.vocabulary.sample import ErrorKind


class Listener(Protocol):
    """The listener of a connection for events."""

    def greeted(self, greeting: Event, at_ns: int, size: int) -> None:
        """The target has greeted the client, which now receives everything."""

    def heard(self, event: Event, at_ns: int, size: int) -> None:
        """An event was received at this time, in a message of this size."""

    def lost(self, failure: Failure) -> None:
        """The connection failed or was lost; not called when it is closed here."""


class EventConnection(ABC, asyncio.Protocol):
    """Asks for events, and decodes what comes.

    Args:
        address: Where it leads.
        dialect: What messages mean.
        listener: Receives the events.

    Attributes:
        status: The status that the request for events was answered with; 0 before.
        connected_ns: When the connection was established (CLOCK_MONOTONIC); 0 before.
        first_byte_ns: When the first byte of that answer was read; 0 before.
        is_closed: Whether either side has closed it.
        is_greeted: Whether the target has greeted the client, and the connection is open.
    """

    __slots__ = (
        "_address",
        "_dialect",
        "_listener",
        "_transport",
        "connected_ns",
        "first_byte_ns",
        "is_closed",
        "is_greeted",
        "status",
    )

    def __init__(self, address: EventAddress, dialect: Dialect, listener: Listener) -> None:
        self._address = address
        self._dialect = dialect
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self.is_closed = False
        self.status = 0
        self.connected_ns = 0
        self.first_byte_ns = 0
        self.is_greeted = False

    def pause(self) -> None:
        """Stop reading: data waits in the kernel, and then at the target."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @abstractmethod
    def close(self) -> None:
        """Close as the protocol wants it, without calling the listener."""

    def fail(self, kind: str, message: str) -> None:
        """Fail the connection: close, and call the listener."""
        if self._transport is not None:
            self._transport.abort()
        self._give_up(kind, message)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for events."""
        self.connected_ns = clock()
        self._transport = cast("asyncio.Transport", transport)
        if self.is_closed:
            self._transport.abort()
            return
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Note the time, and decode received data."""
        now_ns = clock()
        if self.is_closed:
            return
        try:
            self._receive(data, now_ns)
        except OSError as problem:  # Of a listener: a full disk, say.
            tell(problem)

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end, unless it was closed here."""
        if self.is_closed:
            return
        self._end()
        why = f": {exc}" if exc is not None else ""
        before = "" if self.is_greeted else " before the target had greeted the client"
        try:
            self.fail(ErrorKind.RESET, f"the connection for events was closed{before}{why}")
        except OSError as problem:
            tell(problem)

    # What each protocol does in its own way.

    @abstractmethod
    def _ask(self) -> None:
        """Send the request for events."""

    @abstractmethod
    def _receive(self, data: bytes, now_ns: int) -> None:
        """Find the messages in what has come."""

    @abstractmethod
    def _end(self) -> None:
        """Read what only the end of the connection completes."""

    @abstractmethod
    def _reply(self, text: str) -> None:
        """Send what a message requires."""

    # What they share.

    def _refused(self, expected: int) -> None:
        """The request for events was answered with another status."""
        error = self.status in SERVER_ERRORS
        kind = ErrorKind.SERVER_ERROR if error else ErrorKind.WRONG_STATUS
        self.fail(kind, f"GET {self._address.path} answered {self.status}, expected {expected}")

    def _message(self, message: bytes, now_ns: int) -> None:
        try:
            told = self._dialect.read(message)
        except (ValueError, RecursionError) as error:
            self.fail(ErrorKind.WRONG_ANSWER, f"a message that is no event: {error}")
            return
        if isinstance(told, Event):
            if self.is_greeted:
                self._listener.heard(told, now_ns, len(message))
            elif told.name == self._address.greeting:
                self.is_greeted = True
                self._listener.greeted(told, now_ns, len(message))
            else:
                what = f"the first event is '{told.name}', expected '{self._address.greeting}'"
                self.fail(ErrorKind.WRONG_ANSWER, what)
        elif isinstance(told, Reply):
            self._reply(told.text)
        elif isinstance(told, Ending):
            self.fail(told.kind, told.message)

    def _give_up(self, kind: str, message: str) -> None:
        if self.is_closed:
            return
        if self._transport is not None:
            self._transport.close()
        self._forget()
        self._listener.lost(Failure(kind, message))

    def _forget(self) -> None:
        self.is_closed = True
        self.is_greeted = False
        self._transport = None
