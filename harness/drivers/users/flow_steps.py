"""A virtual user's way through a flow, free of I/O: what is sent next, what is recorded."""

from __future__ import annotations

from loopmark.harness.drivers.http.answer import Answer
from loopmark.harness.drivers.http.exchange import Exchange
from loopmark.harness.drivers.journey import Journey
from loopmark.harness.drivers.pacing.user import Account
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.vocabulary.flow import Flow, Request
from loopmark.harness.vocabulary.sample import ErrorKind, sample


class FlowSteps:
    """Steps a flow, and records what came of each request.

    Args:
        recording: Where requests are written down.

    Attributes:
        message: The request, encoded.
        due_ns: When it is due (CLOCK_MONOTONIC); whoever begins the flow sets that of the first.
    """

    __slots__ = ("_account", "_journey", "_only_errors", "_recording", "due_ns", "message")

    _account: Account

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._journey: Journey | None = None
        self._only_errors = False
        self.message = b""
        self.due_ns = 0

    @property
    def request(self) -> Request | None:
        """What to send next; None at the end of the flow."""
        return None if self._journey is None else self._journey.request

    def begin(self, flow: Flow, account: Account, *, only_errors: bool = False) -> None:
        """Begin a flow, of which all is recorded or what fails."""
        self._account = account
        self._only_errors = only_errors
        self._journey = journey = Journey(flow, account.virtual)
        if journey.request is not None:
            self.message = account.encoder.encoded(journey.request)

    def take(self, exchange: Exchange, stop_ns: int) -> bool:
        """Judge and record what came of the request.

        Args:
            exchange: It is over.
            stop_ns: After this moment (CLOCK_MONOTONIC) the flow is left.

        Returns:
            Whether there is another request to send; else the flow has ended.
        """
        journey, failure, done_ns = self._journey, exchange.failure, exchange.done_ns
        assert journey is not None
        request = journey.request
        assert request is not None
        if failure is not None:
            self._record(request, exchange, done_ns, failure.kind)
            self._recording.explain(failure.kind, failure.message)
            journey.abandon()
            return False
        judgement = journey.receive(Answer(exchange.status, exchange.headers, exchange.body))
        error = judgement.error
        if error or not self._only_errors:
            self._record(request, exchange, done_ns, error, exchange.status, len(exchange.body))
        if error:
            self._recording.explain(error, judgement.message)
        following = journey.request
        if following is None:
            return False
        if done_ns >= stop_ns:
            journey.abandon()
            return False
        # Due now: what it takes to judge and to encode is the driver's own time.
        self.due_ns = done_ns
        self.message = self._account.encoder.encoded(following)
        return True

    def abandon(self, exchange: Exchange, now_ns: int) -> None:
        """Leave the flow; the request under way is recorded as abandoned."""
        if self.request is not None:
            self._record(self.request, exchange, now_ns, ErrorKind.ABANDONED)
        self.leave()

    def leave(self) -> None:
        """Leave the flow."""
        if self._journey is not None:
            self._journey.abandon()

    def _record(  # noqa: PLR0913, PLR0917 - the columns of a sample
        self,
        request: Request,
        exchange: Exchange,
        done_ns: int,
        error: str,
        status: int = 0,
        body_bytes: int = 0,
    ) -> None:
        self._recording.add(
            sample(
                user=self._account.virtual.number,
                step=request.step,
                due_ns=self.due_ns,
                sent_ns=exchange.sent_ns,
                connected_ns=exchange.connected_ns,
                first_byte_ns=exchange.first_byte_ns,
                done_ns=done_ns,
                status=status,
                body_bytes=body_bytes,
                error=error,
            )
        )
