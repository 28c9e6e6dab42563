"""What a flow may look at of a response of Locust's FastHttpUser."""

from __future__ import annotations

import json
from typing import Any

import httpx
from locust.contrib.fasthttp import FastResponse


class LocustAnswer:
    """The answer to one request of a flow, with what `harness.drivers.answer.Answer` has.

    Attributes:
        status_code: The HTTP status code.
        content: The body, decompressed.
    """

    __slots__ = ("_response", "content", "status_code")

    def __init__(self, response: FastResponse) -> None:
        self._response = response
        self.status_code = response.status_code
        self.content: bytes = response.content or b""

    @property
    def headers(self) -> httpx.Headers:
        """The headers, case-insensitive."""
        found = self._response.headers
        return httpx.Headers(list(found.items()) if found is not None else [])

    @property
    def text(self) -> str:
        """The body as text, in the character set that the headers name."""
        content_type = {"content-type": self.headers.get("content-type", "")}
        return httpx.Response(self.status_code, headers=content_type, content=self.content).text

    def json(self) -> Any:  # noqa: ANN401 - JSON is what the target made it
        """The body, parsed as JSON.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.content)
