"""An answer on geventhttpclient's parser, while it is read: one answer, of bounded size."""

from __future__ import annotations

from contextlib import suppress

from geventhttpclient.header import Headers
from geventhttpclient.response import HTTPParseError, HTTPResponse

from loopmark.harness.drivers.http import connection
from loopmark.harness.drivers.http.connection import FINAL, LOWEST_STATUS, MAX_HEADER_BYTES, Failure
from loopmark.harness.vocabulary.sample import ErrorKind

_SWITCHING = 101


class Reading(HTTPResponse):
    """The answer to one request, and whether more came than that.

    Args:
        method: Of the request: an answer to HEAD has no body, whatever its headers say.

    Attributes:
        status: The HTTP status code; 0 until the answer is complete.
        headers_found: Its headers.
        body: Its body, as it came.
        failure: Why there is no answer; None as long as there may be one.
        is_last: Whether the connection cannot carry another request.
    """

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.status = 0
        self.headers_found = self._headers_index
        self.body = b""
        self.failure: Failure | None = None
        self.is_last = False
        self._received = 0
        self._body_bytes = 0
        self._without_body = 0

    def take(self, data: bytes) -> None:
        """Read on; what comes of it is in the attributes."""
        try:
            # The parser's own: the class between would take what follows an answer to HEAD for
            # a part of it.
            super(HTTPResponse, self).feed(data)
        except (HTTPParseError, ValueError) as problem:
            if self.status:
                self.is_last = True  # It went on after its end.
            else:
                self.failure = Failure(ErrorKind.PROTOCOL, self._what_is_wrong(problem))
        self._received += len(data)
        if self._received > MAX_HEADER_BYTES and not self.status and self.failure is None:
            self._look_at_size(len(data))

    def end(self) -> None:
        """The connection was closed: that ends an answer without a length, and breaks others."""
        with suppress(HTTPParseError):  # Then it is not complete.
            super(HTTPResponse, self).feed(b"")
        if not self.status:
            message = "the connection was closed within the answer"
            self.failure = Failure(ErrorKind.RESET, message)

    def _look_at_size(self, new: int) -> None:
        """Give up an answer that takes too much memory, or that goes on without a body."""
        body_bytes = len(self._body_buffer)
        if body_bytes != self._body_bytes:
            self._body_bytes = body_bytes
            self._without_body = 0
        elif self.headers_complete:  # Trailers, chunk extensions, one 1xx after the other.
            self._without_body += new
        else:
            self._without_body = self._received
        if self._without_body > MAX_HEADER_BYTES:
            limit = MAX_HEADER_BYTES // 1024
            message = f"headers or trailers of more than {limit} KiB"
            self.failure = Failure(ErrorKind.PROTOCOL, message)
        elif self._received > connection.MAX_ANSWER_BYTES:
            limit = connection.MAX_ANSWER_BYTES // 1024**2
            message = f"an answer of more than {limit} MiB"
            self.failure = Failure(ErrorKind.PROTOCOL, message)

    def _what_is_wrong(self, problem: Exception) -> str:
        if self.headers_complete and self.get_code() == _SWITCHING:
            return "the server switched to another protocol"
        return f"the answer is not HTTP: {problem.args[0]}"

    # What the parser calls.

    def _on_message_begin(self) -> None:
        if self.status:  # An answer nobody asked for.
            self.is_last = True
            self._headers_index = Headers()
        super()._on_message_begin()

    def _on_headers_complete(self) -> int | bool | None:
        code = self.get_code()
        if code < LOWEST_STATUS and not self.status:
            what = f"{code:03} is no status code"
            raise ValueError(what)
        return super()._on_headers_complete()

    def _on_message_complete(self) -> None:
        super()._on_message_complete()
        code = self.get_code()
        if code < FINAL or self.status:
            return  # A 1xx only announces the answer.
        self.status = code
        self.headers_found = self._headers_index
        self.body = bytes(self._body_buffer)
        # Only now: the parser forgets what the headers said of the connection when it goes on.
        self.is_last = not self.should_keep_alive()
