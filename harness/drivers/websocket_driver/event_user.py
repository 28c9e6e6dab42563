"""A virtual user that steps a flow of requests and events, in the callback of the last step."""

from __future__ import annotations

import asyncio

from loopmark.harness.drivers.http.answer import Answer
from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.http.line import Line
from loopmark.harness.drivers.journey import EventJourney, Judgement, ReceivedEvent
from loopmark.harness.drivers.pacing.user import Account, nobody_waits
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.users.stepping_user import SteppingUser
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.event_line import EventLine
from loopmark.harness.vocabulary.flow import Connect, Event, EventFlow, Listen, Request
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import CONNECT_STEP, ErrorKind, sample


class EventUser(SteppingUser):
    """A virtual user with its connection to the target, and one for events.

    Args:
        flow: The flow.
        address: Where the target listens, and sends events.
        timeouts: Time limits.
        recording: Where its steps are recorded.
        connects: Whether the flow opens the connection for events itself; it is then closed at its
            end. Otherwise it is opened at the warm-up, and again before a flow that finds it
            closed; it keeps its user, even where flows arrive for other accounts.
    """

    def __init__(
        self,
        flow: EventFlow,
        address: EventAddress,
        timeouts: Timeouts,
        recording: Recording,
        *,
        connects: bool = False,
    ) -> None:
        super().__init__()
        self._flow = flow
        self._recording = recording
        self._connects = connects
        self._timeouts = timeouts
        self._line = Line(address.origin, timeouts, self._answered)
        self._events = EventLine(address, timeouts, self)
        self._own: Account | None = None
        self._account: Account | None = None
        self._message = b""
        self._due_ns = 0
        self._journey: EventJourney | None = None
        self._request_sent_ns = 0
        self._done_ns = 0
        self._under_way = False
        self._reopening = False
        self._lost: Failure | None = None

    async def warm(self, request: Request, account: Account) -> bool:
        """Open the connections, recorded only on failure; returns whether they succeeded."""
        if self._connects:
            return await self._pass(account, request)
        self._own = account
        return await self._pass(account, request, Connect(CONNECT_STEP))

    def prepare(self, account: Account) -> None:
        """Begin the flow and encode its first request."""
        self._begin(self._flow, account)

    def go(self, due_ns: int) -> None:
        """Take the first step, due at this time."""
        self._due_ns = due_ns
        self._under_way = True
        assert self._journey is not None
        if self._journey.step is None:  # A flow that asks for nothing.
            asyncio.get_running_loop().call_soon(self._end, max(due_ns, clock()), False)
        elif self._connects or self._only_errors or self._events.is_open:
            self._take()
        else:
            # It was closed since: what it takes to open it again makes the first step late, as on a
            # line for requests.
            self._reopening = True
            self._open()

    def check(self, now_ns: int) -> None:
        """Fail overdue steps."""
        self._line.check(now_ns)
        self._events.check(now_ns)
        listen = self._listening_to()
        if listen is not None and now_ns - self._request_sent_ns >= self._timeouts.response_s * 1e9:
            what = f"no event '{listen.event}' within {self._timeouts.response_s:g} s"
            self._fail(Failure(ErrorKind.TIMEOUT, what), now_ns)

    async def close(self) -> None:
        """Close the connections; a step in progress is recorded as abandoned."""
        self.on_end = nobody_waits
        if self._under_way:
            self._record_failure(clock(), ErrorKind.ABANDONED)
            self._under_way = False
        if self._journey is not None:
            self._journey.abandon()
        self._line.close()
        self._events.close()

    # Called by the line for events.

    def greeted(self, greeting: Event, at_ns: int, size: int) -> None:
        """Continue the flow after connecting."""
        journey, events = self._journey, self._events
        assert journey is not None
        self._lost = None
        if self._reopening:
            self._reopening = False
            self._take()
            return
        asked = journey.step
        assert isinstance(asked, Connect)
        judgement = journey.greet(greeting)
        times = (events.began_ns, events.connected_ns, events.first_byte_ns, at_ns)
        self._record(asked.step, self._due_ns, times, events.status, size, judgement)
        if self._goes_on(at_ns):
            self._take()

    def heard(self, event: Event, at_ns: int, size: int) -> None:
        """Keep the event, or continue if the flow listens for it."""
        if not self._under_way:
            return
        journey = self._journey
        assert journey is not None
        heard = ReceivedEvent(event, at_ns, size)
        if not journey.awaits(event):
            journey.keep(heard)
        elif self._listened(heard):
            self._take()

    def lost(self, failure: Failure) -> None:
        """Fail the step that needs the connection, now or later."""
        if not self._under_way:
            return
        assert self._journey is not None
        self._lost = failure
        if self._reopening or isinstance(self._journey.step, Connect | Listen):
            self._fail(failure, clock())

    def _answered(self) -> None:
        """Judge the answer, record it, and continue; without one the flow ends here."""
        journey, exchange = self._journey, self._line.exchange
        assert journey is not None
        asked = journey.step
        assert isinstance(asked, Request)
        done_ns, status, body = exchange.done_ns, exchange.status, exchange.body
        if exchange.failure is not None:
            self._fail(exchange.failure, done_ns)
            return
        judgement = journey.receive(Answer(status, exchange.headers, body))
        times = (exchange.sent_ns, exchange.connected_ns, exchange.first_byte_ns, done_ns)
        self._record(asked.step, self._due_ns, times, status, len(body), judgement)
        if self._goes_on(done_ns):
            self._take()

    def _begin(self, flow: EventFlow, account: Account) -> None:
        self._account = own = self._own or account
        self._journey = EventJourney(flow, own.virtual)
        self._encode()

    def _encode(self) -> None:
        assert self._journey is not None
        assert self._account is not None
        step = self._journey.step
        if isinstance(step, Request):
            self._message = self._account.encoder.encoded(step)

    def _take(self) -> None:
        """Take the flow's present step."""
        journey = self._journey
        assert journey is not None
        while isinstance(journey.step, Listen):
            heard = journey.recall()
            if heard is None:
                if self._lost is not None:
                    self._fail(self._lost, clock())
                return
            if not self._listened(heard):
                return
        if isinstance(journey.step, Request):
            self._line.send(journey.step.method, self._message)
            self._request_sent_ns = self._line.exchange.sent_ns
        else:
            self._open()

    def _open(self) -> None:
        assert self._account is not None
        self._events.open(self._account.virtual.token)
        self._request_sent_ns = self._events.began_ns

    def _listening_to(self) -> Listen | None:
        """The event awaited now; None without one."""
        if not self._under_way or self._reopening:
            return None
        assert self._journey is not None
        step = self._journey.step
        return step if isinstance(step, Listen) else None

    def _listened(self, heard: ReceivedEvent) -> bool:
        """Judge the awaited event and record it; returns whether the flow continues."""
        journey = self._journey
        assert journey is not None
        asked = journey.step
        assert isinstance(asked, Listen)
        judgement = journey.hear(heard.event)
        times = (self._request_sent_ns, 0, heard.at_ns, heard.at_ns)
        self._record(asked.step, self._request_sent_ns, times, 0, heard.size, judgement)
        return self._goes_on(heard.at_ns)

    def _goes_on(self, done_ns: int) -> bool:
        """Whether there is a next step after this one; otherwise the flow has ended."""
        journey = self._journey
        assert journey is not None
        # An event may have come before the answer to the request that made it.
        self._done_ns = max(self._done_ns, done_ns)
        # The events of a request are awaited to the end: audits count its effects.
        is_over = self._done_ns >= self.stop_ns and not isinstance(journey.step, Listen)
        if journey.step is None or is_over:
            journey.abandon()
            self._end(self._done_ns, False)
            return False
        self._due_ns = self._done_ns
        self._encode()
        return True

    def _fail(self, failure: Failure, now_ns: int) -> None:
        self._record_failure(now_ns, failure.kind)
        self._recording.explain(failure.kind, failure.message)
        assert self._journey is not None
        self._journey.abandon()
        self._end(now_ns, True)

    def _record(  # noqa: PLR0913, PLR0917 - the columns of a sample
        self,
        step: str,
        due_ns: int,
        times: tuple[int, int, int, int],
        status: int,
        size: int,
        judgement: Judgement,
    ) -> None:
        """Record a completed step, right or wrong."""
        if judgement.error:
            self._recording.explain(judgement.error, judgement.message, status)
        elif self._only_errors:
            return
        self._add(step, due_ns, times, status, size, judgement.error)

    def _record_failure(self, now_ns: int, error: str) -> None:
        """Record a step without a result."""
        assert self._journey is not None
        step, exchange, events = self._journey.step, self._line.exchange, self._events
        status, due_ns = 0, self._due_ns
        if step is None:
            return
        name = step.step
        if self._reopening or isinstance(step, Connect):
            sent = (events.began_ns, events.connected_ns, events.first_byte_ns)
            name, status = CONNECT_STEP if self._reopening else name, events.status
        elif isinstance(step, Request):
            sent = (exchange.sent_ns, exchange.connected_ns, exchange.first_byte_ns)
        else:
            due_ns, sent = self._request_sent_ns, (self._request_sent_ns, 0, 0)
        self._add(name, due_ns, (*sent, now_ns), status, 0, error)

    def _add(  # noqa: PLR0913, PLR0917 - the fields of a sample
        self,
        step: str,
        due_ns: int,
        times: tuple[int, int, int, int],
        status: int,
        size: int,
        error: str,
    ) -> None:
        assert self._account is not None
        sent_ns, connected_ns, first_byte_ns, done_ns = times
        self._recording.add(
            sample(
                user=self._account.virtual.number,
                step=step,
                due_ns=due_ns,
                sent_ns=sent_ns,
                connected_ns=connected_ns,
                first_byte_ns=first_byte_ns,
                done_ns=done_ns,
                status=status,
                body_bytes=size,
                error=error,
            )
        )

    def _end(self, done_ns: int, failed: bool) -> None:  # noqa: FBT001 - a callback by position
        self._under_way = self._reopening = False
        self._done_ns = 0
        if self._connects:
            self._events.close()
            self._lost = None
        self.on_end(self, done_ns, failed)
