"""A virtual user with an httpx client: an ordinary coroutine function, or a flow that it steps."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar
from typing import TypeAlias

import httpx

from loopmark.harness.drivers.http.transport import LoadTransport, Timing
from loopmark.harness.drivers.journey import SERVER_ERRORS, UNUSABLE, Journey, Judgement
from loopmark.harness.drivers.pacing.user import NEVER_NS, Account, OnEnd, nobody_waits
from loopmark.harness.drivers.process import background_tasks
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.vocabulary.flow import (
    ClientJourney,
    Flow,
    Request,
    VirtualUser,
    WrongAnswer,
)
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import ErrorKind, sample

_IDENTIFIER = re.compile(
    r"(?<=/)(\d+|[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-f]{16,})(?=/|$)"
)
"""Identifiers in a path: numbers, UUIDs, long hexadecimal names."""

MAX_STEPS = 1000
"""Size of a user's cache: unlimited paths would make an unlimited table."""

OTHER_STEP = "other"

CookieTypes: TypeAlias = httpx.Cookies | CookieJar | dict[str, str] | list[tuple[str, str]]
"""Types that httpx accepts for cookies."""


class _Stopped(BaseException):
    """The window has ended: ends the journey. Its own `except Exception` must not catch this."""


class _Judged(Exception):  # noqa: N818 - it names what happened to the sample, not a failure of ours
    """The flow has judged the answer wrong."""

    def __init__(self, judgement: Judgement) -> None:
        super().__init__(judgement.message)
        self.judgement = judgement


def stepping(flow: Flow, base_url: str) -> ClientJourney:
    """A flow as a journey: the client sends its requests, and the flow gets the responses."""

    async def journey(client: httpx.AsyncClient, user: VirtualUser) -> None:
        steps = Journey(flow, user)
        try:
            while (request := steps.request) is not None:
                judgement = steps.receive(await _response(client, base_url, request))
                if judgement.error:
                    raise _Judged(judgement)
        finally:
            steps.abandon()

    return journey


async def _response(client: httpx.AsyncClient, base_url: str, request: Request) -> httpx.Response:
    return await client.request(
        request.method,
        _url(base_url, request.path),
        params=request.params or None,  # None leaves those in the path.
        headers=request.headers,
        json=request.json,
        content=request.content or None,
        data=request.data or None,
        files=request.files or None,
        extensions={"step": request.step, "expect": request.expect},
    )


@lru_cache(maxsize=4096)
def _url(base_url: str, path: str) -> httpx.URL:
    """The URL of a path, parsed once: given only the path, a client would parse twice each time."""
    return httpx.URL(base_url.rstrip("/") + path)


class _Client(httpx.AsyncClient):
    """httpx's client, without the cost of cookies if there are none."""

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies that requests are sent with."""
        return self._own_cookies

    @cookies.setter
    def cookies(self, cookies: CookieTypes) -> None:
        self._own_cookies = _Cookies(cookies)


class _Cookies(httpx.Cookies):
    """Cookies; httpx's own would create two standard-library objects per response."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Take what the response sets."""
        if "set-cookie" in response.headers:
            super().extract_cookies(response)


class ClientUser:
    """A virtual user with an httpx client whose every request is recorded.

    A request is due when the journey makes it; the first one when the flow was due. The step is the
    extension `step` of the request, else its method and path with identifiers left out. An answer
    is wrong if the journey raises: by `raise_for_status`, `WrongAnswer`, a failed `assert`, or an
    error on missing content. A 5xx is an error even if the journey does not raise. Any other
    exception, or one before the first request, is the journey's own error and ends the round.

    Args:
        journey: The journey.
        base_url: Where the target listens.
        timeouts: Time limits.
        recording: Where its requests are recorded.
        ssl_context: For https; if None it creates its own, which is slow.

    Attributes:
        on_end: As `User` has it.
        stop_ns: As `User` has it.
    """

    def __init__(
        self,
        journey: ClientJourney,
        base_url: str,
        timeouts: Timeouts,
        recording: Recording,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._journey = journey
        self._recorder = _RecordingTransport(LoadTransport(timeouts, ssl_context), recording)
        self._base_url = base_url
        self._client = _Client(
            base_url=base_url,
            transport=self._recorder,
            timeout=None,  # The transport keeps the limits.
        )
        self._client.cookies = {}
        self._account: Account | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.on_end: OnEnd = nobody_waits
        self.stop_ns = NEVER_NS

    async def warm(self, request: Request, account: Account) -> bool:
        """Open the connection with a request, recorded only on failure; whether it succeeded."""
        self._take_on(account)
        self._recorder.begin(clock(), NEVER_NS)
        try:
            response = await _response(self._client, self._base_url, request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._explained(error)
        else:
            if response.status_code == request.expect:
                self._recorder.forget()
                return True
            self._recorder.blame(*_status_problem(response))
        self._recorder.flush()
        return False

    def prepare(self, account: Account) -> None:
        """Switch to an account, without the cookies of the previous one."""
        if account is not self._account:
            self._take_on(account)

    def go(self, due_ns: int) -> None:
        """Begin the journey, whose first request was due at this time."""
        self._recorder.begin(due_ns, self.stop_ns)
        self._task = background_tasks.start(self._whole_journey(due_ns))

    def check(self, now_ns: int) -> None:
        """Do nothing: the transport enforces the limits."""

    async def close(self) -> None:
        """End the journey and close the connections."""
        self.on_end = nobody_waits
        self._closing = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        self._recorder.flush()
        await self._client.aclose()

    def _take_on(self, account: Account) -> None:
        self._account = account
        self._client.cookies.clear()
        self._client.headers["Authorization"] = f"Bearer {account.virtual.token}"
        self._client.headers["User-Agent"] = "loopmark"
        self._recorder.user = account.virtual.number

    async def _whole_journey(self, due_ns: int) -> None:
        assert self._account is not None
        recorder = self._recorder
        failed = False
        try:
            await self._journey(self._client, self._account.virtual)
        except asyncio.CancelledError:
            if self._closing:
                raise
            # Of something that it awaited: a cancelled journey would go unnoticed.
            raise RuntimeError("the journey was cancelled by itself") from None
        except BaseException as error:
            problems = _leaves(error)
            if not all(isinstance(one, _Stopped) for one in problems) and not recorder.asked:
                raise  # Without an answer there is none to blame.
            for one in problems:
                if not self._explained(one):
                    raise
                failed = failed or isinstance(one, (httpx.TransportError, TimeoutError))
        recorder.flush()
        failed = failed or recorder.unanswered
        # In a turn of its own: the next journey's task shall not begin within this one's.
        ended_ns = max(clock(), due_ns)
        asyncio.get_running_loop().call_soon(self._end, ended_ns, failed)

    def _explained(self, problem: BaseException) -> bool:
        """Record a journey's exception as an error of the last answer; whether it is one."""
        blame = self._recorder.blame
        match problem:
            case _Stopped():
                pass
            case _Judged(judgement=judgement):
                blame(judgement.error, judgement.message)
            case httpx.TransportError() if not self._recorder.has_answered(problem):
                pass  # Recorded where it happened.
            case TimeoutError():
                self._recorder.given_up()
            case httpx.HTTPStatusError():
                blame(*_status_problem(problem.response))
            case httpx.DecodingError():
                blame(ErrorKind.WRONG_ANSWER, f"unusable body: {problem!r}")
            case httpx.HTTPError() | httpx.InvalidURL():  # The latter of a redirect.
                blame(ErrorKind.PROTOCOL, str(problem))
            case WrongAnswer() | AssertionError():
                what = str(problem) or "an assertion of the journey failed"
                blame(ErrorKind.WRONG_ANSWER, what)
            case _ if isinstance(problem, UNUSABLE):
                blame(ErrorKind.WRONG_ANSWER, f"unusable body: {problem!r}")
            case _:
                return False
        return True

    def _end(self, ended_ns: int, failed: bool) -> None:  # noqa: FBT001 - as `OnEnd` has it
        self.on_end(self, ended_ns, failed)


class _RecordingTransport(httpx.AsyncBaseTransport):
    """Records each request; the last one only when the journey can no longer judge it."""

    def __init__(self, inner: LoadTransport, recording: Recording) -> None:
        self._inner = inner
        self._recording = recording
        self._pending: _Request | None = None
        self._steps: set[str] = set()
        self._due_ns = 0
        self._stop_ns = NEVER_NS
        self._under_way = 0
        self._quiet = asyncio.Event()
        self.user = 0
        self.asked = False
        self.unanswered = False

    def begin(self, due_ns: int, stop_ns: int) -> None:
        """Start a journey whose first request was due at this time."""
        self._due_ns = due_ns
        self._stop_ns = stop_ns
        self.asked = False
        self.unanswered = False

    def blame(self, error: str, message: str) -> None:
        """Mark the last answer as wrong; the first reason counts."""
        if self._pending is not None:
            if self._pending.error:
                return
            self._pending.error = error
        status = 0 if self._pending is None else self._pending.status
        self._recording.explain(error, message, status)

    def has_answered(self, problem: httpx.TransportError) -> bool:
        """Whether the client raised this for the last answer, such as an invalid redirect."""
        try:
            timing = problem.request.extensions["timing"]
        except (RuntimeError, KeyError):  # Of no request, or of one that another client sent.
            return False
        return self._pending is not None and timing is self._pending.timing

    def given_up(self) -> None:
        """The last request exceeded the journey's own time limit."""
        if self._pending is not None and self._pending.error == ErrorKind.ABANDONED:
            self._pending.error = ErrorKind.TIMEOUT
            message = "no complete answer within the limit of the journey"
            self._recording.explain(ErrorKind.TIMEOUT, message)

    def forget(self) -> None:
        """Do not record the last request."""
        self._pending = None

    def flush(self) -> None:
        """Record the last request."""
        pending, self._pending = self._pending, None
        if pending is not None:
            self._add(pending)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.flush()
        due_ns = self._due_ns or clock()
        if not self._due_ns and due_ns >= self._stop_ns:
            # A task group would cancel what runs beside this, and that is to be finished.
            await self._quiet.wait()
            raise _Stopped
        self._due_ns = 0
        self.asked = True
        step = self._step(request)
        timing = Timing()
        request.extensions["timing"] = timing
        self._under_way += 1
        self._quiet.clear()
        try:
            response = await self._inner.handle_async_request(request)
        except httpx.TransportError as error:
            kind = next(k for t, k in _KINDS if isinstance(error, t))
            self.unanswered = True
            self._recording.explain(kind, str(error))
            self._add(_Request(step, due_ns, timing, error=kind))
            raise
        except asyncio.CancelledError:
            timing.done_ns = clock()
            self._pending = _Request(step, due_ns, timing, error=ErrorKind.ABANDONED)
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()
        self.unanswered = False
        self.flush()  # Of a request that ran beside this one.
        status = response.status_code
        self._pending = pending = _Request(step, due_ns, timing, status)
        assert isinstance(response.stream, httpx.ByteStream)
        pending.body_bytes = sum(len(part) for part in response.stream)
        if status in SERVER_ERRORS and status != request.extensions.get("expect"):
            response.request = request
            self.blame(*_status_problem(response))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _step(self, request: httpx.Request) -> str:
        step = request.extensions.get("step")
        if not isinstance(step, str):
            step = f"{request.method} {_IDENTIFIER.sub('{id}', request.url.path)}"
        if step in self._steps or len(self._steps) < MAX_STEPS:
            self._steps.add(step)
            return step
        return OTHER_STEP

    def _add(self, request: _Request) -> None:
        timing = request.timing
        self._recording.add(
            sample(
                user=self.user,
                step=request.step,
                due_ns=request.due_ns,
                sent_ns=timing.sent_ns,
                connected_ns=timing.connected_ns,
                first_byte_ns=timing.first_byte_ns,
                done_ns=timing.done_ns or clock(),
                status=request.status,
                body_bytes=request.body_bytes,
                error=request.error,
            )
        )


@dataclass(slots=True)
class _Request:
    """A finished request, and the verdict so far."""

    step: str
    due_ns: int
    timing: Timing
    status: int = 0
    body_bytes: int = 0
    error: str = ""


_KINDS: tuple[tuple[type[httpx.TransportError], str], ...] = (
    (httpx.ConnectError, ErrorKind.CONNECT),
    (httpx.ConnectTimeout, ErrorKind.CONNECT),
    (httpx.TimeoutException, ErrorKind.TIMEOUT),
    (httpx.NetworkError, ErrorKind.RESET),
    (httpx.TransportError, ErrorKind.PROTOCOL),
)


def _leaves(problem: BaseException) -> list[BaseException]:
    """The exceptions of a group, or the exception itself."""
    if isinstance(problem, BaseExceptionGroup):
        return [leaf for one in problem.exceptions for leaf in _leaves(one)]
    return [problem]


def _status_problem(response: httpx.Response) -> tuple[str, str]:
    status = response.status_code
    kind = ErrorKind.SERVER_ERROR if status in SERVER_ERRORS else ErrorKind.WRONG_STATUS
    return kind, f"{response.request.method} {response.request.url.path} answered {status}"
