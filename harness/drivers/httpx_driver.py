"""The `httpx` driver: virtual users on asyncio and uvloop, each with an httpx transport of its own.

Requests and responses are httpx's; between them and the transport there is no httpx client. Flows
need neither redirects nor cookies, and what the client does for them would double the time that a
user is away from the target between an answer and the next request.

Run as `python -m harness.drivers.httpx_driver`; `job_loop` says how it is told what to drive.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import uvloop

from harness.drivers.job_loop import run_jobs
from harness.drivers.loop_lag import LoopLagMeter
from harness.drivers.samples import SampleFile
from harness.drivers.transport import LoadTransport, Timing
from harness.journey import Journey
from harness.statistics import percentile
from harness.vocabulary.flow import Flow, Request, Response, VirtualUser
from harness.vocabulary.job import DriverReport, ErrorKind, LoadJob
from harness.vocabulary.load import Burst, Closed
from harness.vocabulary.scenario import Scenario
from scenarios.catalog import SCENARIOS

CONNECTING_AT_ONCE = 50
"""Enough to open 1000 connections within a second, few enough to overrun no listen queue."""

SETTLE_S = 0.2
"""Quiet between warming up and a burst, so that the target is idle when it begins."""

SENT_TOGETHER = 20
"""uvloop hands what was written to the kernel at the end of each turn of the loop: with all of a
burst in one turn, the target would wait for the last request before it sees the first."""

RAMP_SHARE = 0.5
"""Users of a closed load start over this share of the warm-up. Started at once they would stay in
step, and a first-come-first-served target would answer in waves as long as the round lasts."""

MAX_EXAMPLES = 3

_ERROR_KINDS: tuple[tuple[type[httpx.HTTPError], str], ...] = (
    (httpx.ConnectError, ErrorKind.CONNECT),
    (httpx.ConnectTimeout, ErrorKind.CONNECT),
    (httpx.TimeoutException, ErrorKind.TIMEOUT),
    (httpx.NetworkError, ErrorKind.RESET),
    (httpx.HTTPError, ErrorKind.PROTOCOL),
)

clock = time.monotonic_ns


class _User:
    """A virtual user with its connection: sends requests and records each as a sample."""

    def __init__(
        self, virtual: VirtualUser, job: LoadJob, flow: Flow, recording: _Recording
    ) -> None:
        self.virtual = virtual
        self.transport = LoadTransport(job.request_timeout_s)
        self._base_url = job.base_url
        self._headers = httpx.Headers(
            {"User-Agent": "loopmark", "Authorization": f"Bearer {virtual.token}"}
        )
        self._flow = flow
        self._recording = recording

    def begin(self) -> tuple[Journey, httpx.Request | None]:
        """Start the flow and encode its first request, without sending it."""
        journey = Journey(self._flow, self.virtual)
        return journey, self.encoded(journey.request) if journey.request is not None else None

    def encoded(self, request: Request) -> httpx.Request:
        return httpx.Request(
            request.method,
            f"{self._base_url}{request.path}",
            params=request.params,
            headers=self._headers,
            json=request.json,
        )

    async def warm(self, request: Request) -> bool:
        """Open the connection with a request; record it only when it fails, and say so."""

        def once(_user: VirtualUser) -> Generator[Request, Response, None]:
            yield request

        sample = await self._exchanged(Journey(once, self.virtual), self.encoded(request), clock())
        if sample.error:
            self._recording.add(self, sample)
        return not sample.error

    async def exchange(self, journey: Journey, message: httpx.Request, due_ns: int) -> int:
        """Send the journey's current request, judge the answer, record the sample.

        Returns:
            The moment at which it was done: the user's next request is due then.
        """
        sample = await self._exchanged(journey, message, due_ns)
        self._recording.add(self, sample)
        return sample.done_ns

    async def _exchanged(self, journey: Journey, message: httpx.Request, due_ns: int) -> _Sample:
        request = journey.request
        assert request is not None
        timing = Timing()
        message.extensions["timing"] = timing
        status = body_bytes = 0
        try:
            response = await self.transport.handle_async_request(message)
        except httpx.HTTPError as failure:
            journey.abandon()
            error = next(kind for type_, kind in _ERROR_KINDS if isinstance(failure, type_))
            explanation = str(failure)
        except asyncio.CancelledError:
            journey.abandon()
            error = ErrorKind.ABANDONED
            self._recording.add(self, _sample(request.step, due_ns, timing, error=error))
            raise
        else:
            status = response.status_code
            body_bytes = len(response.content)
            judgement = journey.receive(response)
            error, explanation = judgement.error, judgement.message
        if error:
            self._recording.explain(error, explanation)
        return _sample(
            request.step, due_ns, timing, status=status, body_bytes=body_bytes, error=error
        )


@dataclass(frozen=True, slots=True)
class _Sample:
    step: str
    due_ns: int
    sent_ns: int
    first_byte_ns: int
    done_ns: int
    status: int
    body_bytes: int
    error: str


def _sample(  # noqa: PLR0913 - the columns of a sample
    step: str, due_ns: int, timing: Timing, *, status: int = 0, body_bytes: int = 0, error: str
) -> _Sample:
    done_ns = timing.done_ns or clock()
    sent_ns = timing.sent_ns or done_ns
    first_byte_ns = timing.first_byte_ns
    return _Sample(step, due_ns, sent_ns, first_byte_ns, done_ns, status, body_bytes, error)


class _Recording:
    """Samples and error examples of one round."""

    def __init__(self, samples: SampleFile) -> None:
        self._samples = samples
        self.last_done_ns = 0
        self.examples: dict[str, list[str]] = defaultdict(list)

    @property
    def requests(self) -> int:
        return self._samples.rows

    def explain(self, error: str, explanation: str) -> None:
        examples = self.examples[error]
        if len(examples) < MAX_EXAMPLES and explanation not in examples:
            examples.append(explanation)

    def add(self, user: _User, sample: _Sample) -> None:
        self.last_done_ns = max(self.last_done_ns, sample.done_ns)
        self._samples.append(
            user=user.virtual.number,
            step=sample.step,
            due_ns=sample.due_ns,
            sent_ns=sample.sent_ns,
            first_byte_ns=sample.first_byte_ns,
            done_ns=sample.done_ns,
            status=sample.status,
            body_bytes=sample.body_bytes,
            error=sample.error,
        )


class _Window:
    """The measured stretch: the CPU time and the loop lag within it."""

    def __init__(self) -> None:
        self._lag = LoopLagMeter()
        self._cpu_at_start = 0.0
        self.start_ns = self.end_ns = 0
        self.cpu_s = 0.0

    def open(self) -> None:
        self._lag.start()
        self._cpu_at_start = time.process_time()
        self.start_ns = clock()

    def close(self, end_ns: int | None = None) -> None:
        self.end_ns = end_ns or clock()
        self.cpu_s = time.process_time() - self._cpu_at_start
        self._lag.stop()

    def report(self, recording: _Recording) -> DriverReport:
        lags = self._lag.lags_s
        return DriverReport(
            window_start_ns=self.start_ns,
            window_end_ns=self.end_ns,
            requests=recording.requests,
            cpu_s=self.cpu_s,
            loop_lag_ms_p99=percentile(lags, 0.99) * 1e3 if lags else 0.0,
            loop_lag_ms_max=max(lags) * 1e3 if lags else 0.0,
            error_examples={kind: tuple(found) for kind, found in recording.examples.items()},
        )


async def drive(job: LoadJob, scenario: Scenario) -> DriverReport:
    """Drive one round and write its samples.

    A target that fails when the connections are opened is not driven: the window is empty then.
    """
    with SampleFile(Path(job.samples), job.round) as samples:
        recording = _Recording(samples)
        async with _users(job, scenario.flow, recording) as users:
            window = _Window()
            if not await _warm(users, scenario.warm):
                # The target is not fit to be driven; the samples of the failures say why.
                window.open()
                window.close(window.start_ns)
                return window.report(recording)
            # What exists now stays until the end: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            match job.load:
                case Burst():
                    await _burst(users, recording, window)
                case Closed(duration_s=duration_s, warmup_s=warmup_s):
                    await _closed(users, window, warmup_s, duration_s)
            return window.report(recording)


async def _burst(users: list[_User], recording: _Recording, window: _Window) -> None:
    """Every user does the flow once; all first requests are due at the same moment."""
    begun = [(user, *user.begin()) for user in users]
    await asyncio.sleep(SETTLE_S)

    async def go(user: _User, journey: Journey, message: httpx.Request | None, due_ns: int) -> None:
        while message is not None:
            due_ns = await user.exchange(journey, message, due_ns)
            message = user.encoded(journey.request) if journey.request is not None else None

    async with asyncio.TaskGroup() as group:
        window.open()
        for number, one in enumerate(begun, start=1):
            group.create_task(go(*one, window.start_ns))
            if number % SENT_TOGETHER == 0:
                await asyncio.sleep(0)
    window.close(recording.last_done_ns)


async def _closed(users: list[_User], window: _Window, warmup_s: float, duration_s: float) -> None:
    """Every user repeats the flow until the window ends, then finishes the request in flight."""
    stop_ns = clock() + round((warmup_s + duration_s) * 1e9)
    pause_s = RAMP_SHARE * warmup_s / len(users)

    async def repeat(number: int, user: _User) -> None:
        await asyncio.sleep(number * pause_s)
        due_ns = clock()
        while clock() < stop_ns:
            journey, message = user.begin()
            while message is not None:
                due_ns = await user.exchange(journey, message, due_ns)
                if clock() >= stop_ns:
                    journey.abandon()
                message = user.encoded(journey.request) if journey.request is not None else None

    async with asyncio.TaskGroup() as group:
        for number, user in enumerate(users):
            group.create_task(repeat(number, user))
        await asyncio.sleep(warmup_s)
        window.open()
        await asyncio.sleep((stop_ns - clock()) / 1e9)
        window.close(stop_ns)


@asynccontextmanager
async def _users(job: LoadJob, flow: Flow, recording: _Recording) -> AsyncIterator[list[_User]]:
    async with AsyncExitStack() as stack:
        users = []
        for number, token in enumerate(job.tokens):
            seed = f"{job.seed}/{job.scenario}/{job.round}/{number}"
            virtual = VirtualUser(number, token, Random(seed))  # noqa: S311 - choices, not secrets
            user = _User(virtual, job, flow, recording)
            stack.push_async_callback(user.transport.aclose)
            users.append(user)
        yield users


async def _warm(users: list[_User], request: Request) -> bool:
    """Open every user's connection; whether all got the right answer."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(user: _User) -> bool:
        async with gate:
            return await user.warm(request)

    return all(await asyncio.gather(*(one(user) for user in users)))


def drive_one(job: LoadJob) -> DriverReport | None:
    """Drive a job on an event loop of its own; SIGTERM ends it, and the samples are kept."""
    gc.unfreeze()
    try:
        return uvloop.run(_until_told(drive(job, SCENARIOS[job.scenario])))
    except asyncio.CancelledError:
        return None


async def _until_told(work: Coroutine[None, None, DriverReport]) -> DriverReport:
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(run_jobs(drive_one))
