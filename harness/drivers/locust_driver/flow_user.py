"""A virtual user that steps a flow on Locust's FastHttpUser."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import gevent
from gevent.event import Event
from locust import FastHttpUser, task
from locust.contrib.fasthttp import FastResponse
from locust.env import Environment

from harness.drivers.clock import clock
from harness.drivers.locust_driver.answer import LocustAnswer
from harness.drivers.locust_driver.failures import kind_of, told
from harness.drivers.recording import Recording
from harness.drivers.user import NEVER_NS, Identity, OnEnd, nobody_waits
from harness.journey import Journey
from harness.vocabulary.flow import Flow, Request, Response, VirtualUser
from harness.vocabulary.job import ErrorKind, Timeouts

_ALL_STATUSES = range(100, 1000)


@dataclass(frozen=True, slots=True)
class Errand:
    """What all users of a round have in common.

    Attributes:
        flow: What they do.
        timeouts: How long they wait.
        recording: Where their requests are written down.
        on_problem: Told what a flow has raised that is not about an answer.
    """

    flow: Flow
    timeouts: Timeouts
    recording: Recording
    on_problem: Callable[[Exception], None]


class FlowUser(FastHttpUser):
    """A virtual user with its connection to the target, as `harness.drivers.user.User` has it.

    Locust makes it and runs its only task in a greenlet. There it waits for a flow to do.

    Attributes:
        errand: Of the round; set before the users are made, with `host` and the timeouts.
        on_end: As `User` has it.
        stop_ns: As `User` has it.
    """

    errand: ClassVar[Errand]
    insecure = False
    concurrency = 1
    max_redirects = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        agent: Any = self.client.client
        # As the other drivers have it: no cookies, no redirects, and the flow judges the status.
        agent.cookiejar = None
        agent.valid_response_codes = _ALL_STATUSES
        agent.redirect_response_codes = frozenset()
        agent.response_type = self._begun
        self._flow = self.errand.flow
        self._recording = self.errand.recording
        self._context = {"loopmark": self}
        self._identity: Identity | None = None
        self._journey: Journey | None = None
        self._due_ns: int | None = None
        self._awake = Event()
        self._only_errors = False
        self._overdue_ns = NEVER_NS
        self._sent_ns = self._first_byte_ns = self._done_ns = 0
        self._failure: BaseException | None = None
        self.on_end: OnEnd = nobody_waits
        self.stop_ns = NEVER_NS

    @task
    def live(self) -> None:
        """Do flows, one after the other, as they are asked for."""
        try:
            while True:
                if self._due_ns is None:
                    self._awake.wait()
                    self._awake.clear()
                else:
                    due_ns, self._due_ns = self._due_ns, None
                    answered = self._do_flow(due_ns)
                    self.on_end(self, max(due_ns, self._done_ns), not answered)
        except Exception as problem:
            self.errand.on_problem(problem)
            raise

    def context(self) -> dict[str, Any]:
        """What Locust's event says of a request: whose it is."""
        return self._context

    def timed(self, response_time_ms: float, problem: BaseException | None) -> None:
        """Keep what Locust's event says of the request that has just ended."""
        self._done_ns = clock()
        self._sent_ns = self._done_ns - round(response_time_ms * 1e6)
        self._failure = problem

    def warm(self, request: Request, identity: Identity) -> bool:
        """Open the connection with a request; record it only if it fails, and say whether not."""
        right = False

        def once(_user: VirtualUser) -> Generator[Request, Response, None]:
            nonlocal right
            yield request
            right = True

        self._identity, self._journey = identity, Journey(once, identity.virtual)
        self._only_errors = True
        self._do_flow(clock())
        self._only_errors = False
        return right

    def prepare(self, identity: Identity) -> None:
        """Begin a flow, so that its first request need only be sent."""
        self._identity, self._journey = identity, Journey(self._flow, identity.virtual)

    def go(self, due_ns: int) -> None:
        """Send the first request, which was due then."""
        self._due_ns = due_ns
        if gevent.getcurrent() is not self.greenlet:
            self._awake.set()

    def check(self, now_ns: int) -> None:
        """Give up what is overdue; to be called from the hub, where no user is at work."""
        if now_ns > self._overdue_ns:
            self._overdue_ns = NEVER_NS
            self.greenlet.throw(gevent.Timeout())

    def _do_flow(self, due_ns: int) -> bool:
        """Send what the flow asks, one after the other; whether all of it was answered."""
        journey, identity = self._journey, self._identity
        assert journey is not None
        assert identity is not None
        self._done_ns = clock()
        while (request := journey.request) is not None:
            response = self._answer_to(request, identity, due_ns)
            if response is None:
                journey.abandon()
                return False
            judgement = journey.receive(LocustAnswer(response))
            done_ns = self._done_ns
            if judgement.error:
                self._recording.explain(judgement.error, judgement.message)
            if judgement.error or not self._only_errors:
                size = len(response.content or b"")
                self._record(due_ns, request, response.status_code, size, judgement.error)
            if done_ns >= self.stop_ns:
                journey.abandon()
            # Due now: what it takes to judge and to encode is the driver's own time.
            due_ns = done_ns
        return True

    def _answer_to(self, request: Request, identity: Identity, due_ns: int) -> FastResponse | None:
        """Ask; what fails is recorded and has no answer."""
        target, headers, body = identity.encoder.parts(request)
        session: Any = self.client  # Its types know no bytes.
        self._first_byte_ns, self._failure = 0, None
        self._sent_ns = clock()
        self._overdue_ns = self._sent_ns + round(self.errand.timeouts.response_s * 1e9)
        try:
            response: FastResponse = session.request(
                request.method, target, name=request.step, data=body, headers=headers
            )
        except gevent.GreenletExit:
            self._done_ns = clock()
            self._record(due_ns, request, 0, 0, ErrorKind.ABANDONED)
            raise
        except Exception as problem:  # noqa: BLE001 - whatever a broken answer leads the client to
            self._done_ns = clock()
            self._fail(due_ns, request, ErrorKind.PROTOCOL, told(problem))
            return None
        finally:
            self._overdue_ns = NEVER_NS
        failure = self._told_failure()
        if failure is None:
            return response
        self._fail(due_ns, request, kind_of(failure), told(failure))
        return None

    def _told_failure(self) -> BaseException | None:
        # By a call, because mypy cannot know that `timed` was called meanwhile.
        return self._failure

    def _fail(self, due_ns: int, request: Request, kind: str, message: str) -> None:
        self._record(due_ns, request, 0, 0, kind)
        self._recording.explain(kind, message)

    def _record(self, due_ns: int, request: Request, status: int, size: int, error: str) -> None:
        assert self._identity is not None
        self._recording.add(
            self._identity.virtual.number,
            request.step,
            due_ns,
            max(due_ns, self._sent_ns),
            0,  # Locust does not tell connecting from waiting.
            self._first_byte_ns,
            self._done_ns,
            status,
            size,
            error,
        )

    def _begun(self, *args: Any, **kwargs: Any) -> FastResponse:  # noqa: ANN401 - as the client has it
        """Take the time when the head of an answer is there."""
        self._first_byte_ns = clock()
        return FastResponse(*args, **kwargs)
