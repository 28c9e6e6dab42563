"""A virtual user that steps a flow: the next request is sent where the answer was read."""

from __future__ import annotations

import asyncio

from loopmark.harness.drivers.http.answer import Answer
from loopmark.harness.drivers.http.connection import Failure, Headers
from loopmark.harness.drivers.http.line import Line, Origin
from loopmark.harness.drivers.journey import Journey
from loopmark.harness.drivers.pacing.user import Account, nobody_waits
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.users.stepping_user import SteppingUser
from loopmark.harness.vocabulary.flow import Flow, Request
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind, sample


class FlowUser(SteppingUser):
    """A virtual user with its line to the target.

    Args:
        flow: What it does.
        origin: Where the target listens.
        timeouts: How long it waits.
        recording: Where its requests are written down.
    """

    def __init__(
        self, flow: Flow, origin: Origin, timeouts: Timeouts, recording: Recording
    ) -> None:
        super().__init__(recording)
        self._flow = flow
        self._line = Line(origin, timeouts, self)
        self._journey: Journey | None = None

    async def warm(self, request: Request, account: Account) -> bool:
        """Open the connection with a request; record it only if it fails, and say whether not."""
        return await self._pass(account, request)

    def prepare(self, account: Account) -> None:
        """Begin the flow and encode its first request."""
        self._begin(self._flow, account)

    def go(self, due_ns: int) -> None:
        """Send the first request, which was due then."""
        assert self._journey is not None
        request = self._journey.request
        if request is None:  # A flow that asks for nothing.
            asyncio.get_running_loop().call_soon(lambda: self._end(max(due_ns, clock()), False))
            return
        self._due_ns = due_ns
        self._line.send(request.method, self._message)

    def check(self, now_ns: int) -> None:
        """Give up an answer that is overdue."""
        self._line.check(now_ns)

    async def close(self) -> None:
        """Close the connection; a request under way is recorded as abandoned."""
        self.on_end = nobody_waits
        journey = self._journey
        if journey is not None:
            if self._line.is_busy and journey.request is not None:
                self._record(journey.request, clock(), ErrorKind.ABANDONED)
            journey.abandon()
        self._line.close()

    # What the line tells.

    def answered(self, status: int, headers: Headers, body: bytes) -> None:
        """Judge the answer, record it, and send what the flow asks next."""
        journey, account = self._journey, self._account
        assert journey is not None
        assert account is not None
        asked = journey.request
        assert asked is not None
        judgement = journey.receive(Answer(status, headers, body))
        line = self._line
        done_ns = line.done_ns
        if judgement.error or not self._only_errors:
            self._record(asked, done_ns, judgement.error, status, len(body))
        if judgement.error:
            self._recording.explain(judgement.error, judgement.message)
        request = journey.request
        if request is None:
            self._end(done_ns, False)
        elif done_ns >= self.stop_ns:
            journey.abandon()
            self._end(done_ns, False)
        else:
            # Due now: what it takes to judge and to encode is the driver's own time.
            self._due_ns = done_ns
            line.send(request.method, account.encoder.encoded(request))

    def failed(self, failure: Failure) -> None:
        """Record that there is no answer; the flow ends here."""
        done_ns, journey = self._line.done_ns, self._journey
        assert journey is not None
        assert journey.request is not None
        self._record(journey.request, done_ns, failure.kind)
        self._recording.explain(failure.kind, failure.message)
        journey.abandon()
        self._end(done_ns, True)

    def _begin(self, flow: Flow, account: Account) -> None:
        self._account = account
        self._journey = journey = Journey(flow, account.virtual)
        if journey.request is not None:
            self._message = account.encoder.encoded(journey.request)

    def _record(
        self, request: Request, done_ns: int, error: str, status: int = 0, size: int = 0
    ) -> None:
        assert self._account is not None
        line = self._line
        self._recording.add(
            sample(
                user=self._account.virtual.number,
                step=request.step,
                due_ns=self._due_ns,
                sent_ns=line.sent_ns,
                connected_ns=line.connected_ns,
                first_byte_ns=line.first_byte_ns,
                done_ns=done_ns,
                status=status,
                body_bytes=size,
                error=error,
            )
        )

    def _end(self, done_ns: int, failed: bool) -> None:  # noqa: FBT001 - as above
        self.on_end(self, done_ns, failed)
