"""One request and its answer, free of I/O: the connections feed it what they read.

It has the rules for asyncio and gevent: what ends an answer, its limits, the kinds of errors, and
when a request may be sent again.
"""

from __future__ import annotations

from dataclasses import dataclass

import httptools

from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind

MAX_HEADER_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Limits on the memory of one answer."""

PIECE_BYTES = 64
"""Overhead in bytes of a piece of a body."""

REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Safe methods. Repeating a DELETE that was executed would be answered with 404."""

CLOSING_RACE_NS = 50_000_000
"""A server that closes an idle connection does so before or shortly after the request. One that
takes longer received the request and failed it."""

LOWEST_STATUS = 100
FINAL = 200
"""Lower statuses only announce an answer (1xx)."""

Headers = list[tuple[bytes, bytes]]

_END_OF_HEAD = b"\r\n\r\n"
_MOST_HEADS = 1024
_MOST_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer.

    Attributes:
        kind: An `ErrorKind`.
        message: For users.
    """

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class _Head:
    """The parsed form of a complete head, with a body of the declared length."""

    status: int
    headers: Headers
    body_bytes: int


_heads: dict[bytes, _Head] = {}
"""Servers repeat the same heads, so each is parsed once: the same bytes always give the same
head."""


class Exchange:
    """One request after another, each with its answer or failure.

    A server may close an idle connection at any time. A request sent just then is sent again if it
    may be repeated safely, as browsers do; its time counts from the first attempt. Times are in ns
    of CLOCK_MONOTONIC.

    Args:
        timeouts: How long to wait for an answer.

    Attributes:
        sent_ns: When the request was started: written, or connecting begun.
        connected_ns: When a new connection was established; 0 on one that was open.
        first_byte_ns: When the first byte of the answer was read; 0 without one.
        done_ns: When the answer was complete, or it was clear that none would arrive; 0 before.
        awaits_answer: Whether the request has been sent, so that bytes and the end of the
            connection belong to its answer.
        status: The HTTP status code.
        headers: Of the answer, and its trailers.
        body: As it came.
        failure: Why there is no answer; None with one.
        is_reusable: Whether the connection may carry another request, if this one is written.
    """

    __slots__ = (
        "_complete",
        "_head_only",
        "_headers_complete",
        "_parser",
        "_pieces",
        "_pieces_seen",
        "_received",
        "_repeatable",
        "_timeouts",
        "_without_body",
        "awaits_answer",
        "body",
        "connected_ns",
        "done_ns",
        "failure",
        "first_byte_ns",
        "headers",
        "is_reusable",
        "sent_ns",
        "status",
    )

    _headers_complete: bool
    _pieces: list[bytes]
    _pieces_seen: int
    _received: int
    _without_body: int
    _complete: bool

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._parser: httptools.HttpResponseParser | None = None
        self._head_only = self._repeatable = False
        self.sent_ns = self.connected_ns = self.first_byte_ns = self.done_ns = 0
        self.awaits_answer = self.is_reusable = False
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.failure: Failure | None = None

    # What the line does.

    def begin(self, method: str, now_ns: int, *, is_open: bool) -> None:
        """Start a request: send it if a connection is open, otherwise connect first."""
        self.sent_ns = now_ns
        self.connected_ns = self.first_byte_ns = self.done_ns = 0
        self.failure = None
        self.is_reusable = False
        self.awaits_answer = is_open
        self._head_only = method == "HEAD"
        self._repeatable = is_open and method in REPEATABLE

    def connected(self, now_ns: int) -> None:
        """Note that a new connection is established and the request sent on it."""
        self.connected_ns = now_ns
        self.awaits_answer = True
        self._repeatable = False  # What a new connection meets is no race.
        self._parser = None

    def unconnected(self, failure: Failure, now_ns: int) -> None:
        """Note that connecting failed."""
        self._fail(failure, now_ns)

    def receive(self, data: bytes, now_ns: int) -> bool:
        """Feed received bytes of the answer; returns whether it is over, right or wrong."""
        if self.first_byte_ns == 0:
            self.first_byte_ns = now_ns
            head, _, rest = data.partition(_END_OF_HEAD)
            known = _heads.get(head)
            if known is not None and len(rest) == known.body_bytes and not self._head_only:
                self.status = known.status
                self.headers = known.headers
                self.body = rest
                self.done_ns = now_ns
                self.is_reusable = True
                self.awaits_answer = False
                return True
            self._clear()
            if self._parse(data, now_ns):
                if self.is_reusable and self.body == rest and len(head) <= _MOST_HEAD_BYTES:
                    self._remember(head)
                return True
            return False
        return self._parse(data, now_ns)

    def lost(self, problem: BaseException | None, now_ns: int) -> bool:
        """Note that the connection was lost; returns whether that ends the exchange.

        If not, connect and send once more.

        Args:
            problem: None if it was closed cleanly.
            now_ns: When.
        """
        why = f": {problem}" if problem is not None else ""
        if self.first_byte_ns == 0:
            if self._repeatable and now_ns - self.sent_ns < CLOSING_RACE_NS:
                self.awaits_answer = False
                return False
            message = f"the connection was closed before an answer came{why}"
            self._fail(Failure(ErrorKind.RESET, message), now_ns)
        elif problem is None and self._ends_here():
            assert self._parser is not None
            self.status = self._parser.get_status_code()
            self._finish(now_ns)
            self.is_reusable = False
        else:
            message = f"the connection was closed within the answer{why}"
            self._fail(Failure(ErrorKind.RESET, message), now_ns)
        return True

    def is_overdue(self, now_ns: int) -> bool:
        """Whether the answer is overdue; if so, it has failed."""
        if not self.awaits_answer:
            return False
        limits = self._timeouts
        if self.first_byte_ns == 0 and (
            now_ns - max(self.sent_ns, self.connected_ns) >= limits.first_byte_s * 1e9
        ):
            what = f"no first byte within {limits.first_byte_s:g} s"
        elif now_ns - self.sent_ns >= limits.response_s * 1e9:
            what = f"no complete answer within {limits.response_s:g} s"
        else:
            return False
        self._fail(Failure(ErrorKind.TIMEOUT, what), now_ns)
        return True

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer begins: the awaited one, one after a 1xx, or an unexpected one."""
        if self._complete:
            self.is_reusable = False
        elif self._headers_complete:  # The final answer after a 1xx.
            self.headers = []
            self._headers_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or a trailer."""
        if not self._complete:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """An answer to HEAD ends here."""
        if self._complete:
            return
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < LOWEST_STATUS:
            what = f"{status:03} is no status code"
            raise ValueError(what)
        self._headers_complete = True
        if self._head_only and status >= FINAL:
            # The parser would wait for the body that these headers describe.
            self._complete_now()

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if self._complete:
            self.is_reusable = False  # After an answer to HEAD; more of it may come later.
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """All others end here; a 1xx only announces the answer."""
        assert self._parser is not None
        if not self._complete and self._parser.get_status_code() >= FINAL:
            self._complete_now()

    def _clear(self) -> None:
        self.headers = []
        self._headers_complete = False
        self._pieces = []
        self._pieces_seen = 0
        self._received = 0
        self._without_body = 0
        self._complete = False

    def _parse(self, data: bytes, now_ns: int) -> bool:
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            message = "the server switched to another protocol"
            self._fail(Failure(ErrorKind.PROTOCOL, message), now_ns)
            return True
        except httptools.HttpParserError as error:
            if not self._complete:
                why = error.__context__ or error  # What one of the callbacks above raised.
                message = f"the answer is not HTTP: {why}"
                self._fail(Failure(ErrorKind.PROTOCOL, message), now_ns)
                return True
            self.is_reusable = False
        if self._complete:
            self._finish(now_ns)
        elif (size := self._received + PIECE_BYTES * len(self._pieces)) > MAX_HEADER_BYTES:
            self._look_at_size(size, len(data), now_ns)
        return self.done_ns != 0

    def _complete_now(self) -> None:
        # Only seen to when the parser has returned: what else lies in this piece of data tells
        # whether the connection can be trusted.
        assert self._parser is not None
        self._complete = True
        self.status = self._parser.get_status_code()
        # Only now: the parser forgets what the headers said of the connection when it goes on.
        self.is_reusable = self._parser.should_keep_alive()

    def _finish(self, now_ns: int) -> None:
        pieces = self._pieces
        self.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces = []
        if self._head_only:
            self._parser = None
        self._end(now_ns)

    def _fail(self, failure: Failure, now_ns: int) -> None:
        self.failure = failure
        self.is_reusable = False
        self._pieces = []
        self._end(now_ns)

    def _end(self, now_ns: int) -> None:
        self.done_ns = now_ns
        self.awaits_answer = False

    def _look_at_size(self, size: int, new: int, now_ns: int) -> None:
        """Abort an answer that takes too much memory, or that continues without a body."""
        pieces = len(self._pieces)
        if pieces != self._pieces_seen:
            self._pieces_seen = pieces
            self._without_body = 0
        elif self._headers_complete:  # Trailers, chunk extensions, one 1xx after the other.
            self._without_body += new
        else:
            self._without_body = size
        if self._without_body > MAX_HEADER_BYTES:
            limit = MAX_HEADER_BYTES // 1024
            message = f"headers or trailers of more than {limit} KiB"
            self._fail(Failure(ErrorKind.PROTOCOL, message), now_ns)
        elif size > MAX_ANSWER_BYTES:
            limit = MAX_ANSWER_BYTES // 1024**2
            message = f"an answer of more than {limit} MiB"
            self._fail(Failure(ErrorKind.PROTOCOL, message), now_ns)

    def _ends_here(self) -> bool:
        """Whether the end of the connection is the end of the answer (RFC 9112, section 6.3)."""
        assert self._parser is not None
        if not self._headers_complete or self._parser.get_status_code() < FINAL:
            return False
        framing = {b"content-length", b"transfer-encoding"}
        return not any(name.lower() in framing for name, _ in self.headers)

    def _remember(self, head: bytes) -> None:
        if len(_heads) >= _MOST_HEADS:
            _heads.clear()
        _heads[head] = _Head(self.status, self.headers, len(self.body))
