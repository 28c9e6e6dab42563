"""Steps a flow: what is next, and whether what came was the right answer.

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
"""What a flow raises that looked for something a right answer has: a field, a type, JSON."""

MOST_KEPT = 10_000
"""Events that are kept for one pass through a flow; of more the oldest are forgotten. Far more than
come while one flow of ours goes on, and a bound on what a target can make a driver hold."""

Step = TypeVar("Step", bound=Request | Connect | Listen)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a response was worth: `error` is an `ErrorKind`, or empty for the right answer."""

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
        """End the flow where it stands."""
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
        """Take them."""
        for step in self._steps:  # noqa: UP028 - they are sent answers, which no iterator takes
            yield step
        self.went_well = True


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event, and how it came.

    Attributes:
        event: What was told.
        at_ns: When its bytes arrived.
        size: Bytes of its message.
    """

    event: Event
    at_ns: int
    size: int


class EventJourney:
    """One pass of one virtual user through a flow that hears events.

    What is heard is kept from the start, in order, so that an event may come before the flow
    listens for it; each serves for one `Listen`.

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
        """Take an event that came, for what the flow will listen to."""
        self._kept.append(heard)

    def awaits(self, event: Event) -> bool:
        """Whether this is what the flow listens to now."""
        return isinstance(self.step, Listen) and _is(self.step, event)

    def recall(self) -> ReceivedEvent | None:
        """The first of the kept events that `step` listens to, if any is; it is used up by that."""
        listen = self.step
        assert isinstance(listen, Listen)
        for index, heard in enumerate(self._kept):
            if _is(listen, heard.event):
                del self._kept[index]
                return heard
        return None

    def hear(self, event: Event) -> Judgement:
        """Judge an event that `step` listens to, and move on."""
        assert isinstance(self.step, Listen)
        self.step, judgement = _sent(self._steps, event, event)
        return judgement

    def abandon(self) -> None:
        """End the flow where it stands."""
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
    return Judgement(kind, what)


def _sent(
    steps: Generator[Step, Any, None], answer: object, about: Request | Event
) -> tuple[Step | None, Judgement]:
    """The step after this answer, and what it was worth; a wrong one ends the flow."""
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
