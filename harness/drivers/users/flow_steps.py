"""A virtual user's steps through a flow, free of I/O: the next request, and its record."""

from __future__ import annotations

from loopmark.harness.drivers.http.answer import Answer
from loopmark.harness.drivers.http.exchange import Exchange
from loopmark.harness.drivers.journey import Journey
from loopmark.harness.drivers.pacing.user import Account
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.vocabulary.flow import Flow, Request
from loopmark.harness.vocabulary.sample import ErrorKind, sample


class FlowSteps:
    """Steps a flow, and records the outcome of each request.

    Args:
        recording: Where requests are recorded.

    Attributes:
        request: What to send next; None at the end of the flow.
        message: The request, encoded.
        due_ns: When it is due (CLOCK_MONOTONIC); the caller sets that of the first.
    """

    __slots__ = (
        "_account",
        "_add",
        "_journey",
        "_only_errors",
        "_recording",
        "due_ns",
        "message",
        "request",
    )

    _account: Account

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._add = recording.add
        self._journey: Journey | None = None
        self._only_errors = False
        self.request: Request | None = None
        self.message = b""
        self.due_ns = 0

    def begin(self, flow: Flow, account: Account, *, only_errors: bool = False) -> None:
        """Begin a flow; all of its requests are recorded, or only failures."""
        self._account = account
        self._only_errors = only_errors
        self._journey = journey = Journey(flow, account.virtual)
        self.request = request = journey.request
        if request is not None:
            self.message = account.encoder.encoded(request)

    def take(self, exchange: Exchange, stop_ns: int) -> bool:
        """Judge and record the outcome of the request.

        Args:
            exchange: The finished exchange.
            stop_ns: After this time (CLOCK_MONOTONIC) the flow ends.

        Returns:
            Whether there is another request to send; otherwise the flow has ended.
        """
        journey, failure, request = self._journey, exchange.failure, self.request
        assert journey is not None
        assert request is not None
        if failure is not None:
            self._record(request, exchange, failure.kind)
            self._recording.explain(failure.kind, failure.message)
            self.leave()
            return False
        status, body = exchange.status, exchange.body
        judgement = journey.receive(Answer(status, exchange.headers, body))
        error = judgement.error
        if error or not self._only_errors:
            self._record(request, exchange, error, status, len(body))
        if error:
            self._recording.explain(error, judgement.message, status)
        self.request = request = journey.request
        if request is None:
            return False
        # Due now: what it takes to judge and to encode is the driver's own time.
        self.due_ns = due_ns = exchange.done_ns
        if due_ns >= stop_ns:
            self.leave()
            return False
        self.message = self._account.encoder.encoded(request)
        return True

    def abandon(self, exchange: Exchange, now_ns: int) -> None:
        """End the flow; the request in flight is recorded as abandoned."""
        if self.request is not None:
            exchange.done_ns = now_ns
            self._record(self.request, exchange, ErrorKind.ABANDONED)
        self.leave()

    def leave(self) -> None:
        """End the flow."""
        if self._journey is not None:
            self._journey.abandon()
        self.request = None

    def _record(
        self, request: Request, exchange: Exchange, error: str, status: int = 0, size: int = 0
    ) -> None:
        # By position: names would take as long as all the rest of it.
        self._add(
            sample(
                self._account.virtual.number,
                request.step,
                self.due_ns,
                exchange.sent_ns,
                exchange.done_ns,
                exchange.connected_ns,
                exchange.first_byte_ns,
                status,
                size,
                error,
            )
        )
