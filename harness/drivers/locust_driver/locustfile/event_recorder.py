"""Records every request of a locustfile as a sample, from Locust's events."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary, ref

import gevent
from locust import TaskSet, User, log
from locust.env import Environment

from loopmark.harness.drivers.locust_driver.locustfile.failures import kind_of, told
from loopmark.harness.drivers.pacing.load_models import WHOLE, Share
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.event_times import moments, number
from loopmark.harness.drivers.recording.recording import MAX_EXAMPLES, Recording
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.sample import ErrorKind, sample

MAX_STEPS = 500
"""Maximum number of request names. A locustfile that puts an id into each would have a row of the
report for every request."""

MAX_STATUS = 2**15 - 1
MAX_BYTES = 2**63 - 1
MAX_TEXT = 300
"""Maximum length of a name or message."""


class EventRecorder:
    """Records users' requests; works in any process that runs users.

    Args:
        recording: Where the samples go.
        share: This process's share of the users, when several processes share them: its users'
            numbers are unique.
        on_problem: Called when a sample could not be written; Locust itself would only log it.

    Attributes:
        task_exceptions: Times that a task has raised an exception.
    """

    def __init__(
        self,
        recording: Recording,
        on_problem: Callable[[Exception], None],
        share: Share = WHOLE,
    ) -> None:
        self._recording = recording
        self._on_problem = on_problem
        self._share = share
        self._since_ns = clock()
        self._steps: dict[tuple[str, str], str] = {}
        self._users: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._seen = 0
        self._exceptions: Counter[str] = Counter()
        self._environment: Environment | None = None
        self.task_exceptions = 0

    def attach(self, environment: Environment) -> None:
        """Start listening, beside other listeners."""
        self._environment = environment
        events: Any = environment.events  # Its methods have no types.
        events.request.add_listener(self._on_request)
        events.user_error.add_listener(self._on_user_error)

    def detach(self) -> None:
        """Stop listening, and record failures outside the requests."""
        if self._environment is None:
            return
        events: Any = self._environment.events
        events.request.remove_listener(self._on_request)
        events.user_error.remove_listener(self._on_user_error)
        self._environment = None
        for message, count in self._exceptions.most_common(MAX_EXAMPLES):
            times = "" if count == 1 else f" ({count} times)"
            self._recording.explain(ErrorKind.LOCUSTFILE, f"{message}{times}")
        if log.unhandled_greenlet_exception:
            self._recording.explain(
                ErrorKind.LOCUSTFILE,
                "an exception in a listener or a greenlet: its log has it",
            )

    def completed(self, report: DriverReport) -> DriverReport:
        """A driver's report, with failures outside the requests."""
        return replace(report, task_exceptions=self.task_exceptions)

    def _on_request(  # noqa: PLR0913 - what the event has
        self,
        *,
        request_type: object = "",
        name: object = "",
        response_time: object = None,
        response_length: object = 0,
        response: object = None,
        exception: object = None,
        start_time: object = None,
        **_: object,
    ) -> None:
        try:
            times = moments(response_time, start_time, clock(), time.time(), self._since_ns)
            status = _status(response)
            error = message = ""
            if exception is not None and exception is not False and not _is_empty(exception):
                error, message = _failure(exception, response, status)
            elif not times.known:
                error = ErrorKind.FAILED
                message = f"its event has the response_time {_text(response_time)}"
            step = self._step(request_type, name)
            if error:
                self._recording.explain(error, f"{step}: {message}", status)
            # Locust's clients do not tell when they were connected, nor when an answer began.
            self._recording.add(
                sample(
                    user=self._user(),
                    step=step,
                    due_ns=times.sent_ns,
                    sent_ns=times.sent_ns,
                    done_ns=times.done_ns,
                    status=status,
                    body_bytes=_size(response_length),
                    error=error,
                )
            )
        except Exception as problem:  # noqa: BLE001 - passed to the waiting code
            self._on_problem(problem)

    def _on_user_error(
        self,
        *,
        user_instance: object = None,
        exception: object = None,
        tb: TracebackType | None = None,
        **_: object,
    ) -> None:
        self.task_exceptions += 1
        where = ""
        while tb is not None:
            where, tb = f" at {tb.tb_frame.f_code.co_name}, line {tb.tb_lineno}", tb.tb_next
        problem = f"{type(exception).__name__}: {_text(exception)}"
        user = _attribute(user_instance, "user") if isinstance(user_instance, TaskSet) else None
        message = f"{type(user or user_instance).__name__}: {problem}{where}"
        if len(self._exceptions) < MAX_STEPS or message in self._exceptions:
            self._exceptions[message] += 1

    def _step(self, request_type: object, name: object) -> str:
        key = (
            "" if request_type is None else _text(request_type),
            "" if name is None else _text(name),
        )
        step = self._steps.get(key)
        if step is None:
            if len(self._steps) >= MAX_STEPS:
                return f"{key[0]} (other names)".strip()
            step = self._steps[key] = " ".join(part for part in key if part) or "(no name)"
        return step

    def _user(self) -> int:
        """The number of the current user; 0 outside of a user."""
        greenlet: Any = gevent.getcurrent()
        number_ = self._users.get(greenlet)
        if number_ is None:
            number_ = self._number_of(greenlet)
            self._users[greenlet] = number_
        return number_

    def _number_of(self, greenlet: Any) -> int:  # noqa: ANN401 - gevent has no types
        """The user of a greenlet, or of the greenlet that started it."""
        while greenlet is not None:
            if greenlet in self._users:
                return self._users[greenlet]
            arguments = getattr(greenlet, "args", ())
            if arguments and isinstance(arguments[0], User):
                found = self._share.index + self._seen * self._share.count
                self._seen += 1
                self._users[greenlet] = found
                return found
            starter = getattr(greenlet, "spawning_greenlet", None)
            greenlet = starter() if isinstance(starter, ref) else None
        return 0


def _failure(exception: object, response: object, status: int) -> tuple[str, str]:
    """The kind of a failure, and its message."""
    problem = exception if isinstance(exception, BaseException) else None
    underlying = None if status else _attribute(response, "error")
    if isinstance(underlying, BaseException):
        problem = underlying  # The client's own: the locustfile has seen that there is no answer.
    if problem is None:
        problem = _ReportedError(_text(exception))
    kind = kind_of(problem, status)
    if kind == ErrorKind.FAILED and status:
        kind = ErrorKind.WRONG_ANSWER  # There was an answer; the locustfile did not like it.
    if isinstance(problem, _ReportedError):
        return kind, str(problem)
    try:
        return kind, _text(told(problem))
    except Exception:  # noqa: BLE001 - an exception of the user's that cannot say what it is
        return kind, type(problem).__name__


class _ReportedError(Exception):
    """Wraps a value that a locustfile gave as the exception of a request, but is not one."""


def _is_empty(value: object) -> bool:
    """As in Locust, a false value is not a failure."""
    try:
        return not value
    except Exception:  # noqa: BLE001 - of the user's own making
        return False


def _status(response: object) -> int:
    found = number(_attribute(response, "status_code"))
    return int(found) if found is not None and 0 <= found <= MAX_STATUS else 0


def _size(response_length: object) -> int:
    found = number(response_length)
    return int(found) if found is not None and 0 <= found < MAX_BYTES else 0


def _attribute(value: object, name: str) -> object:
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a property of the user's own making
        return None


def _text(value: object) -> str:
    """As encodable text on one line."""
    try:
        found = str(value)
    except Exception:  # noqa: BLE001 - of the user's own making
        found = type(value).__name__
    found = found[:MAX_TEXT]
    if not found.isprintable():
        found = " ".join(found.split())
    return found if found.isascii() else found.encode("utf-8", "backslashreplace").decode("utf-8")
