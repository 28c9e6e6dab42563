"""Steps a flow: which request is next, and whether the response was the right answer.

Free of I/O, so that every driver and a unit test step the same flows in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.vocabulary.flow import Flow, Request, Response, VirtualUser, WrongAnswer
from harness.vocabulary.job import ErrorKind

SERVER_ERRORS = range(500, 600)

UNUSABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What a flow raises that looked for something a right answer has: a field, a type, JSON."""


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
        self.request = None
        status = response.status_code
        if status != request.expect:
            kind = ErrorKind.SERVER_ERROR if status in SERVER_ERRORS else ErrorKind.WRONG_STATUS
            what = f"{request.method} {request.path} answered {status}, expected {request.expect}"
            self._steps.close()
            return Judgement(kind, what)
        try:
            self.request = self._steps.send(response)
        except StopIteration:
            pass
        except WrongAnswer as error:
            return Judgement(ErrorKind.WRONG_ANSWER, f"{request.method} {request.path}: {error}")
        except UNUSABLE as error:
            what = f"{request.method} {request.path}: unusable body: {error!r}"
            return Judgement(ErrorKind.WRONG_ANSWER, what)
        return RIGHT

    def abandon(self) -> None:
        """End the flow where it stands."""
        self._steps.close()
        self.request = None
