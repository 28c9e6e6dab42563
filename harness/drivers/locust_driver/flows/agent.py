"""Locust's user agent for flows: requests as the other drivers write them, on a line of its own."""

from __future__ import annotations

from typing import Any

from locust.contrib.fasthttp import FastResponse, LocustUserAgent

from loopmark.harness.drivers.locust_driver.flows.line import GeventLine


class FlowResponse(FastResponse):
    """What Locust's session needs of an answer: its raw content."""

    def __init__(self, content: bytes) -> None:
        self._cached_content = content


class FlowAgent(LocustUserAgent):
    """Sends only the `message` given to `FastHttpSession.request`.

    No cookies, redirects or retries, and no check of the status: flows judge it. The message is
    complete, so Locust's handling of URL, headers and payload is skipped.
    """

    def __init__(self, line: GeventLine) -> None:
        super().__init__(max_redirects=0, max_retries=0)
        self._line = line

    def urlopen(  # type: ignore[override] # for `FastHttpSession.request`, which passes `message` on
        self, _url: str, method: str = "GET", *, message: bytes, **_: object
    ) -> FlowResponse:
        """Exchange a message for its answer.

        Raises:
            UnansweredError: There is no answer.
        """
        self._line.ask(method, message)
        return FlowResponse(self._line.exchange.body)

    def _make_request(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - as Locust has it
        """Locust would keep the request of a failed one; it is not needed."""
        return None
