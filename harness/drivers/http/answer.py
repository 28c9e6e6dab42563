"""The answer to a request; less common attributes come from an httpx response made on use."""

from __future__ import annotations

import json
from typing import Any

import httpx

from loopmark.harness.drivers.http import exchange
from loopmark.harness.drivers.http.exchange import Headers

_PIECE_BYTES = 16 * 1024
"""Bytes of a compressed body decompressed at a time: the result is at most a thousand times as
large."""


class Answer:
    """The answer to one request of a flow.

    An httpx response costs more than the whole exchange, and nearly all flows read only the status
    and the JSON; other attributes use httpx.

    Attributes:
        status_code: The HTTP status code.
        body: As received.
    """

    __slots__ = ("_headers", "body", "status_code")

    def __init__(self, status_code: int, headers: Headers, body: bytes) -> None:
        self.status_code = status_code
        self._headers = headers
        self.body = body

    @property
    def headers(self) -> httpx.Headers:
        """The headers, case-insensitive."""
        return httpx.Headers(self._headers)

    @property
    def is_compressed(self) -> bool:
        """Whether its headers declare one."""
        for name, _ in self._headers:
            if len(name) == len(b"content-encoding") and name.lower() == b"content-encoding":
                return True
        return False

    @property
    def content(self) -> bytes:
        """The body, decompressed.

        Raises:
            ValueError: It is not compressed as its headers say.
        """
        return self._decompressed() if self.is_compressed else self.body

    @property
    def text(self) -> str:
        """The body as text, in the character set that the headers name.

        Raises:
            ValueError: It is not compressed as its headers say.
        """
        return httpx.Response(
            self.status_code,
            headers=[(k, v) for k, v in self._headers if k.lower() == b"content-type"],
            content=self.content,
        ).text

    def json(self) -> Any:  # noqa: ANN401 - JSON is what the target made it
        """The body, parsed as JSON.

        Raises:
            ValueError: It is not JSON, or not compressed as its headers say.
        """
        return json.loads(self.content)

    def _decompressed(self) -> bytes:
        body, size, parts = self.body, 0, []
        pieces = (body[at : at + _PIECE_BYTES] for at in range(0, len(body), _PIECE_BYTES))
        response = httpx.Response(self.status_code, headers=self._headers, content=pieces)
        try:
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > exchange.MAX_ANSWER_BYTES:
                    limit = exchange.MAX_ANSWER_BYTES // 1024**2
                    raise ValueError(f"a body of more than {limit} MiB when decompressed")
        except httpx.DecodingError as error:
            raise ValueError(str(error)) from None
        return b"".join(parts)
