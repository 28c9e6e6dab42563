"""A virtual user that steps a flow in the callback that read the answer."""

from __future__ import annotations

import asyncio

from loopmark.harness.drivers.http.line import Line
from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.pacing.user import Account, nobody_waits
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.users.flow_steps import FlowSteps
from loopmark.harness.drivers.users.stepping_user import SteppingUser
from loopmark.harness.vocabulary.flow import Flow, Request
from loopmark.harness.vocabulary.job import Timeouts


class FlowUser(SteppingUser):
    """A virtual user with its connection to the target.

    Args:
        flow: The flow.
        origin: Where the target listens.
        timeouts: Time limits.
        recording: Where its requests are recorded.
    """

    def __init__(
        self, flow: Flow, origin: Origin, timeouts: Timeouts, recording: Recording
    ) -> None:
        super().__init__()
        self._flow = flow
        self._line = Line(origin, timeouts, self._done)
        self._steps = FlowSteps(recording)

    async def warm(self, request: Request, account: Account) -> bool:
        """Open the connection with a request, recorded only on failure; whether it succeeded."""
        return await self._pass(account, request)

    def prepare(self, account: Account) -> None:
        """Begin the flow and encode its first request."""
        self._steps.begin(self._flow, account)

    def go(self, due_ns: int) -> None:
        """Send the first request, due at this time."""
        steps = self._steps
        request = steps.request
        if request is None:  # A flow that asks for nothing.
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: self.on_end(self, max(due_ns, clock()), False))
            return
        steps.due_ns = due_ns
        self._line.send(request.method, steps.message)

    def check(self, now_ns: int) -> None:
        """Fail an overdue answer."""
        self._line.check(now_ns)

    async def close(self) -> None:
        """Close the connection; a request in flight is recorded as abandoned."""
        self.on_end = nobody_waits
        if self._line.is_busy:
            self._steps.abandon(self._line.exchange, clock())
        self._steps.leave()
        self._line.close()

    def _begin(self, flow: Flow, account: Account) -> None:
        self._steps.begin(flow, account, only_errors=self._only_errors)

    def _done(self) -> None:
        """Send the flow's next request, if there is one."""
        steps, exchange = self._steps, self._line.exchange
        if steps.take(exchange, self.stop_ns):
            request = steps.request
            assert request is not None
            self._line.send(request.method, steps.message)
        else:
            self.on_end(self, exchange.done_ns, exchange.failure is not None)
