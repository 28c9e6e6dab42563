"""A virtual user that steps a flow on Locust's FastHttpUser."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import gevent
from gevent.hub import Waiter
from locust import FastHttpUser, task
from locust.env import Environment

from loopmark.harness.drivers.http.connection import Failure
from loopmark.harness.drivers.http.line import Origin
from loopmark.harness.drivers.journey import Journey
from loopmark.harness.drivers.locust_driver.flows.agent import FlowAgent, FlowResponse
from loopmark.harness.drivers.locust_driver.flows.line import GeventLine, UnansweredError
from loopmark.harness.drivers.locust_driver.locustfile.failures import kind_of, told
from loopmark.harness.drivers.pacing.user import NEVER_NS, Account, OnEnd, nobody_waits
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.vocabulary.flow import Flow, Request, Response, VirtualUser
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind, sample


@dataclass(frozen=True, slots=True)
class RoundContext:
    """What all users of a round have in common.

    Attributes:
        flow: What they do.
        origin: Where the target listens.
        timeouts: How long they wait.
        recording: Where their requests are written down.
        on_problem: Told what a flow has raised that is not about an answer.
    """

    flow: Flow
    origin: Origin
    timeouts: Timeouts
    recording: Recording
    on_problem: Callable[[Exception], None]


class GeventFlowUser(FastHttpUser):
    """A virtual user with its connection to the target, as `User` has it.

    Locust makes it and runs its only task in a greenlet. There it waits for a flow to do.

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
        self._flow = context.flow
        self._recording = context.recording
        self._context = {"loopmark": self}
        self._account: Account | None = None
        self._journey: Journey | None = None
        self._message = b""
        self._due_ns: int | None = None
        self._hub = gevent.get_hub()
        self._idle = Waiter()
        self._only_errors = False
        self._done_ns = 0
        self._failure: BaseException | None = None
        self.on_end: OnEnd = nobody_waits
        self.stop_ns = NEVER_NS

    @task
    def live(self) -> None:
        """Do flows, one after the other, as they are asked for."""
        try:
            while True:
                if self._due_ns is None:
                    self._idle.get()
                    self._idle.clear()
                else:
                    due_ns, self._due_ns = self._due_ns, None
                    answered = self._do_flow(due_ns)
                    self.on_end(self, max(due_ns, self._done_ns), not answered)
        except Exception as problem:  # noqa: BLE001 - told to whoever waits
            self.round_context.on_problem(problem)

    def context(self) -> dict[str, Any]:
        """What Locust's event says of a request: whose it is."""
        return self._context

    def timed(self, response_time_ms: float, problem: BaseException | None) -> None:
        """Keep what Locust's event says of the request that has just ended."""
        # Locust took its time just before the line took the moment. Not after now: the processor
        # may have been lent to another process between the two.
        self._done_ns = min(clock(), self._line.sent_ns + round(response_time_ms * 1e6))
        self._failure = problem

    def warm(self, request: Request, account: Account) -> bool:
        """Open the connection with a request; record it only if it fails, and say whether not."""
        right = False

        def once(_user: VirtualUser) -> Generator[Request, Response, None]:
            nonlocal right
            yield request
            right = True

        self._begin(once, account)
        self._only_errors = True
        try:
            self._do_flow(clock())
        finally:
            self._only_errors = False
        return right

    def prepare(self, account: Account) -> None:
        """Begin a flow and encode its first request, so that it need only be sent."""
        self._begin(self._flow, account)

    def go(self, due_ns: int) -> None:
        """Send the first request, which was due then: at once where the hub calls."""
        self._due_ns = due_ns
        current = gevent.getcurrent()
        if current is self._hub:
            self._idle.switch(None)
        elif current is not self.greenlet:
            self._hub.loop.run_callback(self._idle.switch, None)

    def check(self, now_ns: int) -> None:
        """Give up an answer that is overdue; to be called from the hub."""
        self._line.check(now_ns)

    def close(self) -> None:
        """Close the connection; to be called when the user is at work no more."""
        self._line.close()

    def _begin(self, flow: Flow, account: Account) -> None:
        self._account = account
        self._journey = journey = Journey(flow, account.virtual)
        if journey.request is not None:
            self._message = account.encoder.encoded(journey.request)

    def _do_flow(self, due_ns: int) -> bool:
        """Send what the flow asks, one after the other; whether all of it was answered."""
        journey, account = self._journey, self._account
        assert journey is not None
        assert account is not None
        request = journey.request
        if request is None:  # A flow that asks for nothing: the others shall have their turn.
            gevent.sleep(0)
            self._done_ns = clock()
            return True
        while True:
            response = self._ask(request, due_ns)
            if response is None:
                journey.abandon()
                return False
            judgement = journey.receive(response.answer())
            done_ns = self._done_ns
            if judgement.error or not self._only_errors:
                size = len(response.content)
                self._record(due_ns, request, response.status_code, size, judgement.error)
            if judgement.error:
                self._recording.explain(judgement.error, judgement.message)
            request = journey.request
            if request is None:
                return True
            if done_ns >= self.stop_ns:
                journey.abandon()
                return True
            # Due now: what it takes to judge and to encode is the driver's own time.
            due_ns = done_ns
            self._message = account.encoder.encoded(request)

    def _ask(self, request: Request, due_ns: int) -> FlowResponse | None:
        """Ask through Locust; what fails is recorded and has no answer."""
        self._failure = None
        try:
            response: FlowResponse = self._session.request(
                request.method, request.path, name=request.step, message=self._message
            )
        except gevent.GreenletExit:
            self._done_ns = clock()
            self._record(due_ns, request, 0, 0, ErrorKind.ABANDONED)
            raise
        problem = self._reported()
        if problem is None:
            return response
        failure = _failure(problem)
        self._record(due_ns, request, 0, 0, failure.kind)
        self._recording.explain(failure.kind, failure.message)
        return None

    def _reported(self) -> BaseException | None:
        # By a call, because mypy cannot know that `timed` was called meanwhile.
        return self._failure

    def _record(self, due_ns: int, request: Request, status: int, size: int, error: str) -> None:
        assert self._account is not None
        line = self._line
        self._recording.add(
            sample(
                user=self._account.virtual.number,
                step=request.step,
                due_ns=due_ns,
                sent_ns=line.sent_ns,
                connected_ns=line.connected_ns,
                first_byte_ns=line.first_byte_ns,
                done_ns=self._done_ns,
                status=status,
                body_bytes=size,
                error=error,
            )
        )


def _failure(problem: BaseException) -> Failure:
    if isinstance(problem, UnansweredError):
        return problem.failure
    return Failure(kind_of(problem), told(problem))
