"""One HTTP/1.1 connection that carries one request at a time and calls back with the answer.

A task and a future for every request cost more than the request itself, so there are none: what is
to be done with an answer is done where it was read.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.sample import ErrorKind

MAX_HEADER_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Bounds on what one answer may make the driver hold in memory."""

PIECE_BYTES = 64
"""What a piece of a body takes beside its content."""

LOWEST_STATUS = 100
FINAL = 200
"""Statuses below only announce an answer (1xx)."""

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer.

    Attributes:
        kind: An `ErrorKind`.
        message: For people.
        before_answer: Whether the connection was closed before the first byte of an answer.
    """

    kind: str
    message: str
    before_answer: bool = False


class Owner(Protocol):
    """What a connection tells, once for every message sent."""

    def answered(self, status: int, headers: Headers, body: bytes) -> None:
        """The answer is complete; the next message may be sent from within this call."""

    def failed(self, failure: Failure) -> None:
        """There will be none. The connection is closed."""


class Connection(asyncio.Protocol):
    """Sends messages and parses answers.

    Attributes:
        is_open: Whether a message can be sent.
        first_byte_ns: When the first byte of the answer came (CLOCK_MONOTONIC); 0 before.
        done_ns: When the answer was complete, or when it was clear that there is none.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_excess",
        "_fd",
        "_head_only",
        "_headers",
        "_headers_complete",
        "_owner",
        "_parser",
        "_pieces",
        "_queued",
        "_received",
        "_reusable",
        "_status",
        "_transport",
        "_waiting",
        "_without_body",
        "done_ns",
        "first_byte_ns",
        "is_open",
    )

    _headers: Headers
    _headers_complete: bool
    _body: list[bytes]
    _received: int
    _pieces: int
    _without_body: int
    _complete: bool
    _excess: bool
    _status: int
    _reusable: bool

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._fd = -1
        self._queued = False
        self._waiting = False
        self._head_only = False
        self._clear()
        self.is_open = False
        self.first_byte_ns = 0
        self.done_ns = 0

    def send(self, message: bytes, *, head_only: bool = False) -> None:
        """Send one request; its answer or failure goes to the owner, never from within this call.

        Args:
            message: Head and body, encoded.
            head_only: Whether the answer has no body, whatever its headers say (HEAD).
        """
        transport = self._transport
        assert transport is not None
        self._waiting = True
        self._head_only = head_only
        self._clear()
        self.first_byte_ns = self.done_ns = 0
        if self._fd >= 0:
            # Straight to the kernel: uvloop would do so only at the end of this turn of the loop,
            # after all other answers that came with it have been dealt with.
            try:
                written = os.write(self._fd, message)
            except BlockingIOError:
                written = 0
            except OSError:
                transport.abort()  # The owner hears of it through connection_lost.
                return
            if written == len(message):
                return
            message = message[written:]
        self._queued = True
        transport.write(message)

    def close(self) -> None:
        """Close without telling the owner."""
        self._waiting = False
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def fail(self, kind: str, message: str) -> None:
        """Give up waiting for the answer: close, and tell the owner."""
        self._fail(Failure(kind, message))

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready to send."""
        self._transport = cast("asyncio.Transport", transport)
        if transport.get_extra_info("sslcontext") is None:
            self._fd = transport.get_extra_info("socket").fileno()
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Take the time, parse, and tell the owner when the answer is complete."""
        if not self._waiting:
            self.close()  # An answer nobody asked for: this connection cannot be trusted.
            return
        if self.first_byte_ns == 0:
            self.first_byte_ns = clock()
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.fail(ErrorKind.PROTOCOL, "the server switched to another protocol")
            return
        except httptools.HttpParserError as error:
            if not self._complete:
                why = error.__context__ or error  # What one of the callbacks below raised.
                self.fail(ErrorKind.PROTOCOL, f"the answer is not HTTP: {why}")
                return
            self._excess = True
        if self._complete:
            self._finish()
        elif (size := self._received + PIECE_BYTES * len(self._body)) > MAX_HEADER_BYTES:
            self._look_at_size(size, len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of an answer without a length, or a failure, or nothing that matters."""
        self._transport = None
        self.is_open = False
        if not self._waiting:
            return
        why = f": {exc}" if exc is not None else ""
        if self.first_byte_ns == 0:
            message = f"the connection was closed before an answer came{why}"
            self._fail(Failure(ErrorKind.RESET, message, before_answer=True))
        elif exc is None and self._ends_here():
            self._status = self._parser.get_status_code()
            self._finish()
        else:
            message = f"the connection was closed within the answer{why}"
            self._fail(Failure(ErrorKind.RESET, message))

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins: the one awaited, one after a 1xx, or one too many."""
        if self._complete:
            self._excess = True
        elif self._headers_complete:  # The final answer after a 1xx.
            self._headers = []
            self._headers_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or a trailer."""
        if not self._complete:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """An answer to HEAD ends here."""
        if self._complete:
            return
        if self._parser.get_status_code() < LOWEST_STATUS:
            what = f"{self._parser.get_status_code():03} is no status code"
            raise ValueError(what)
        self._headers_complete = True
        if self._head_only and self._parser.get_status_code() >= FINAL:
            # The parser would wait for the body that these headers describe.
            self._complete_now()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self._complete:
            self._excess = True  # After an answer to HEAD; more of it may come later.
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """All others end here; a 1xx only announces the answer."""
        if not self._complete and self._parser.get_status_code() >= FINAL:
            self._complete_now()

    def _look_at_size(self, size: int, new: int) -> None:
        """Give up an answer that takes too much memory, or that goes on without a body."""
        pieces = len(self._body)
        if pieces != self._pieces:
            self._pieces = pieces
            self._without_body = 0
        elif self._headers_complete:  # Trailers, chunk extensions, one 1xx after the other.
            self._without_body += new
        else:
            self._without_body = size
        if self._without_body > MAX_HEADER_BYTES:
            limit = MAX_HEADER_BYTES // 1024
            self.fail(ErrorKind.PROTOCOL, f"headers or trailers of more than {limit} KiB")
        elif size > MAX_ANSWER_BYTES:
            limit = MAX_ANSWER_BYTES // 1024**2
            self.fail(ErrorKind.PROTOCOL, f"an answer of more than {limit} MiB")

    def _ends_here(self) -> bool:
        """Whether the end of the connection is the end of the answer."""
        if not self._headers_complete or self._parser.get_status_code() < FINAL:
            return False
        return _ends_with_connection(self._headers)

    def _complete_now(self) -> None:
        # The owner is told when the parser has returned: it may send the next message at once, and
        # what else lies in this piece of data is not the answer to that one.
        self._complete = True
        self._status = self._parser.get_status_code()
        # Only now: the parser forgets what the headers said of the connection when it goes on.
        self._reusable = self._parser.should_keep_alive()

    def _clear(self) -> None:
        self._headers = []
        self._headers_complete = False
        self._body = []
        self._received = 0
        self._pieces = 0
        self._without_body = 0
        self._complete = False
        self._excess = False
        self._status = 0
        self._reusable = False

    def _finish(self) -> None:
        self.done_ns = clock()
        self._waiting = False
        if self._excess or self._head_only or self._queued or not self._reusable:
            self._retire()
        body = self._body
        try:
            self._owner.answered(
                self._status, self._headers, body[0] if len(body) == 1 else b"".join(body)
            )
        except OSError as problem:
            tell(problem)

    def _retire(self) -> None:
        """See whether this connection can carry another message; close it if not."""
        transport = self._transport
        if transport is None or self._excess or not self._reusable:
            self.close()
            return
        if self._head_only:
            self._parser = httptools.HttpResponseParser(self)
        if self._queued:
            self._queued = False
            if transport.get_write_buffer_size():
                self.close()  # It answered before it had read the request.

    def _fail(self, failure: Failure) -> None:
        waiting = self._waiting
        self.close()
        if waiting:
            self.done_ns = clock()
            try:
                self._owner.failed(failure)
            except OSError as problem:
                tell(problem)


def tell(problem: OSError) -> None:
    """Let a problem of the owner's be heard: a full disk, say.

    From here the event loop would take it for one of the connection's, and say nothing.
    """
    context = {"message": "an answer could not be dealt with", "exception": problem}
    asyncio.get_running_loop().call_exception_handler(context)


def _ends_with_connection(headers: Headers) -> bool:
    """Whether nothing but the end of the connection ends this body (RFC 9112, section 6.3)."""
    return not any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in headers)
