"""A virtual user that steps a flow on Locust's FastHttpUser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import gevent
from gevent.hub import Waiter
from locust import FastHttpUser, task
from locust.env import Environment

from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.journey import Opening
from loopmark.harness.drivers.locust_driver.flows.agent import FlowAgent
from loopmark.harness.drivers.locust_driver.flows.line import GeventLine
from loopmark.harness.drivers.pacing.user import NEVER_NS, Account, OnEnd, nobody_waits
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.users.flow_steps import FlowSteps
from loopmark.harness.vocabulary.flow import Flow, Request
from loopmark.harness.vocabulary.job import Timeouts


@dataclass(frozen=True, slots=True)
class RoundContext:
    """Values shared by all users of a round.

    Attributes:
        flow: The flow.
        origin: Where the target listens.
        timeouts: Time limits.
        recording: Where their requests are recorded.
        on_problem: Called with an exception of a flow that is not about an answer.
    """

    flow: Flow
    origin: Origin
    timeouts: Timeouts
    recording: Recording
    on_problem: Callable[[Exception], None]


class GeventFlowUser(FastHttpUser):
    """A virtual user with its connection to the target, as `User` has it.

    Locust creates it and runs its only task in a greenlet, where it waits for flows.

    Attributes:
        round_context: Of the round; set before the users are made, with `host`.
        on_end: As `User` has it.
        stop_ns: As `User` has it.
    """

    round_context: ClassVar[RoundContext]

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        context = self.round_context
        self._line = GeventLine(context.origin, context.timeouts)
        self._session: Any = self.client  # Its types know no message.
        self._session.client = FlowAgent(self._line)
        self._steps = FlowSteps(context.recording)
        self._context = {"loopmark": self}
        self._due_ns: int | None = None
        self._hub = gevent.get_hub()
        self._idle = Waiter()
        self.on_end: OnEnd = nobody_waits
        self.stop_ns = NEVER_NS

    @task
    def live(self) -> None:
        """Run flows one after another, on request."""
        try:
            while True:
                if self._due_ns is None:
                    self._idle.get()
                    self._idle.clear()
                else:
                    due_ns, self._due_ns = self._due_ns, None
                    self._do_flow(due_ns)
                    exchange = self._line.exchange
                    self.on_end(self, max(due_ns, exchange.done_ns), exchange.failure is not None)
        except Exception as problem:  # noqa: BLE001 - passed to the waiting code
            self.round_context.on_problem(problem)

    def context(self) -> dict[str, Any]:
        """The context of Locust's request event: the user."""
        return self._context

    def timed(self, response_time_ms: float) -> None:
        """Keep the data of Locust's event for the request that has just ended."""
        # Locust took its time just before the line took the moment. Not after now: the processor
        # may have been lent to another process between the two.
        exchange = self._line.exchange
        exchange.done_ns = min(clock(), exchange.sent_ns + round(response_time_ms * 1e6))

    def warm(self, request: Request, account: Account) -> bool:
        """Open the connection with a request; record it only if it fails, and say whether not."""
        opening = Opening(request)
        self._steps.begin(opening, account, only_errors=True)
        self._do_flow(clock())
        return opening.went_well

    def prepare(self, account: Account) -> None:
        """Begin a flow and encode its first request, so that it need only be sent."""
        self._steps.begin(self.round_context.flow, account)

    def go(self, due_ns: int) -> None:
        """Send the first request, due at `due_ns`: at once when called from the hub."""
        self._due_ns = due_ns
        current = gevent.getcurrent()
        if current is self._hub:
            self._idle.switch(None)
        elif current is not self.greenlet:
            self._hub.loop.run_callback(self._idle.switch, None)

    def check(self, now_ns: int) -> None:
        """Fail an overdue answer; to be called from the hub."""
        self._line.check(now_ns)

    def close(self) -> None:
        """Close the connection; to be called when the user has stopped."""
        self._line.close()

    def _do_flow(self, due_ns: int) -> None:
        """Send the flow's requests, one after another."""
        steps, exchange = self._steps, self._line.exchange
        steps.due_ns = due_ns
        request = steps.request
        if request is None:  # A flow that asks for nothing: the others shall have their turn.
            gevent.sleep(0)
            exchange.done_ns, exchange.failure = clock(), None
        while request is not None:
            try:
                self._session.request(
                    request.method, request.path, name=request.step, message=steps.message
                )
            except gevent.GreenletExit:
                steps.abandon(exchange, clock())
                raise
            request = steps.request if steps.take(exchange, self.stop_ns) else None
