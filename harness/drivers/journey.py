"""Steps a flow: yields the next request, and judges each answer.

Free of I/O, so that every driver and a unit test step the same flows in the same way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from loopmark.harness.vocabulary.flow import (
    Connect,
    Event,
    EventFlow,
    Flow,
    Listen,
    Request,
    Response,
    VirtualUser,
    WrongAnswer,
)
from loopmark.harness.vocabulary.sample import ErrorKind

SERVER_ERRORS = range(500, 600)

UNUSABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Exceptions of a flow that expected something of the answer: a field, a type, JSON."""

MOST_KEPT = 10_000
"""Maximum number of events kept for one pass through a flow; the oldest are dropped. Far more than
one of our flows receives, and a limit on the driver's memory."""

MOST_SAID = 160
"""Characters of a refusal's body that an error example shows."""

Step = TypeVar("Step", bound=Request | Connect | Listen)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a response: `error` is an `ErrorKind`, or empty for the right answer."""

    error: str = ""
    message: str = ""


RIGHT = Judgement()


class Journey:
    """One pass of one virtual user through a flow.

    Attributes:
        request: What to send next; None when the flow has ended.
    """

    def __init__(self, flow: Flow, user: VirtualUser) -> None:
        self._steps = flow(user)
        self.request: Request | None = next(self._steps, None)

    def receive(self, response: Response) -> Judgement:
        """Judge the response to `request` and move on; a wrong answer ends the flow."""
        request = self.request
        assert request is not None
        if response.status_code != request.expect:
            self.abandon()
            return _wrong_status(request, response)
        self.request, judgement = _sent(self._steps, response, request)
        return judgement

    def abandon(self) -> None:
        """End the flow at its present step."""
        self._steps.close()
        self.request = None


class Opening:
    """A flow of the steps that open a user's connections.

    Attributes:
        went_well: Whether all of them had the right answer.
    """

    def __init__(self, *steps: Request | Connect) -> None:
        self._steps = steps
        self.went_well = False

    def __call__(self, _user: VirtualUser) -> Generator[Any, Any, None]:
        """Start the flow."""
        for step in self._steps:  # noqa: UP028 - they are sent answers, which no iterator takes
            yield step
        self.went_well = True


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """A received event, with time and size.

    Attributes:
        event: The event.
        at_ns: When its bytes arrived.
        size: Bytes of its message.
    """

    event: Event
    at_ns: int
    size: int


class EventJourney:
    """One pass of one virtual user through a flow that receives events.

    Events are kept from the start, in order, so that an event may arrive before the flow listens
    for it; each satisfies one `Listen`.

    Attributes:
        step: What to do next; None when the flow has ended.
    """

    def __init__(self, flow: EventFlow, user: VirtualUser) -> None:
        self._steps = flow(user)
        self._kept: deque[ReceivedEvent] = deque(maxlen=MOST_KEPT)
        self.step: Request | Connect | Listen | None = next(self._steps, None)

    def receive(self, response: Response) -> Judgement:
        """Judge the response to the request that `step` is, and move on, as `Journey` does."""
        request = self.step
        assert isinstance(request, Request)
        if response.status_code != request.expect:
            self.abandon()
            return _wrong_status(request, response)
        self.step, judgement = _sent(self._steps, response, request)
        return judgement

    def greet(self, greeting: Event) -> Judgement:
        """Judge the greeting on the connection that `step` asked for, and move on."""
        assert isinstance(self.step, Connect)
        self.step, judgement = _sent(self._steps, greeting, greeting)
        return judgement

    def keep(self, heard: ReceivedEvent) -> None:
        """Keep a received event for a later `Listen`."""
        self._kept.append(heard)

    def awaits(self, event: Event) -> bool:
        """Whether the flow listens for this event now."""
        return isinstance(self.step, Listen) and _is(self.step, event)

    def recall(self) -> ReceivedEvent | None:
        """Remove and return the first kept event that `step` listens for; None without one."""
        listen = self.step
        assert isinstance(listen, Listen)
        for index, heard in enumerate(self._kept):
            if _is(listen, heard.event):
                del self._kept[index]
                return heard
        return None

    def hear(self, event: Event) -> Judgement:
        """Judge an event that `step` listens for, and move on."""
        assert isinstance(self.step, Listen)
        self.step, judgement = _sent(self._steps, event, event)
        return judgement

    def abandon(self) -> None:
        """End the flow at its present step."""
        self._steps.close()
        self.step = None


def _is(listen: Listen, event: Event) -> bool:
    if event.name != listen.event:
        return False
    data = event.data
    return all(name in data and data[name] == value for name, value in listen.where.items())


def _wrong_status(request: Request, response: Response) -> Judgement:
    status = response.status_code
    kind = ErrorKind.SERVER_ERROR if status in SERVER_ERRORS else ErrorKind.WRONG_STATUS
    what = f"{request.method} {request.path} answered {status}, expected {request.expect}"
    return Judgement(kind, f"{what}{_why(response)}")


def _why(response: Response) -> str:
    """The beginning of what a refusal says, on one line."""
    try:
        text = " ".join(response.content[: 4 * MOST_SAID].decode(errors="replace").split())
    except ValueError:  # It is not compressed as it says.
        return ""
    return f": {text[:MOST_SAID]}" if text else ""


def _sent(
    steps: Generator[Step, Any, None], answer: object, about: Request | Event
) -> tuple[Step | None, Judgement]:
    """The step after this answer, and the verdict; a wrong answer ends the flow."""
    try:
        return steps.send(answer), RIGHT
    except StopIteration:
        return None, RIGHT
    except WrongAnswer as error:
        return None, Judgement(ErrorKind.WRONG_ANSWER, f"{_named(about)}: {error}")
    except UNUSABLE as error:
        what = f"{_named(about)}: unusable body: {error!r}"
        return None, Judgement(ErrorKind.WRONG_ANSWER, what)


def _named(about: Request | Event) -> str:
    return f"{about.method} {about.path}" if isinstance(about, Request) else f"event {about.name}"
