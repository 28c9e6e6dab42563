"""The `httpx` driver: virtual users on asyncio and uvloop, each with a connection of its own.

Flows are stepped where the answers arrive (`flow_user`), without a client in between; coroutine
functions get an httpx client on the load transport (`client_user`).

Run as `python -m harness.drivers.httpx_driver`; `job_loop` says how it is told what to drive.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import uvloop

from harness.drivers import heard_tasks
from harness.drivers.client_user import ClientUser
from harness.drivers.clock import clock
from harness.drivers.encoding import Encoder
from harness.drivers.flow_user import FlowUser
from harness.drivers.job_loop import run_jobs
from harness.drivers.line import Origin
from harness.drivers.load_models import SETTLE_S, Crew, begin
from harness.drivers.recording import Recording
from harness.drivers.samples import SampleFile
from harness.drivers.user import AsyncUser, Identity
from harness.drivers.window import Window
from harness.vocabulary.flow import Request, VirtualUser, is_client_journey
from harness.vocabulary.job import DriverReport, LoadJob
from harness.vocabulary.load import Burst, FlowLoad
from harness.vocabulary.scenario import Scenario
from scenarios.catalog import SCENARIOS

CONNECTING_AT_ONCE = 50
"""Enough to open 1000 connections within a second, few enough to overrun no listen queue."""

CHECK_INTERVAL_S = 0.05
"""How often overdue answers are looked for: one look at all users costs less than a timer for every
request."""


async def drive(job: LoadJob, scenario: Scenario) -> DriverReport:
    """Drive one round and write its samples.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
        Exception: Whatever a flow raised that is not about an answer.
    """
    with SampleFile(Path(job.samples), job.round) as samples:
        recording = Recording(samples)
        async with _users(job, scenario, recording) as users:
            loop = asyncio.get_running_loop()
            random = Random(_seed(job, "pacing"))  # noqa: S311 - no secret
            crew = Crew(loop, users, _identities(job), recording, random)
            window = Window(loop)
            if not await _warm(users, crew.identities, scenario.warm):
                # The target is not fit to be driven; the samples of the failures say why.
                window.open()
                window.close(window.start_ns)
                return window.report(recording)
            # What exists now stays until the end: the collector need not look at it again.
            gc.collect()
            gc.freeze()
            await _run(job.load, crew, window)
            return window.report(recording)


async def _run(load: FlowLoad, crew: Crew, window: Window) -> None:
    ended = asyncio.Event()
    settle_ns = round(SETTLE_S * 1e9) if isinstance(load, Burst) else 0
    course = begin(load, crew, window, clock() + settle_ns, ended.set)
    try:
        await ended.wait()
    finally:
        course.close()


@asynccontextmanager
async def _users(
    job: LoadJob, scenario: Scenario, recording: Recording
) -> AsyncIterator[Sequence[AsyncUser]]:
    origin = _origin(job.base_url)
    flow = scenario.flow
    users: list[AsyncUser] = [
        ClientUser(flow, job.base_url, job.timeouts, recording, origin.ssl_context)
        if is_client_journey(flow)
        else FlowUser(flow, origin, job.timeouts, recording)
        for _ in range(job.load.concurrency)
    ]
    watch = heard_tasks.start(_watch(users))
    try:
        yield users
    finally:
        watch.cancel()
        for user in users:
            await user.close()


async def _watch(users: Sequence[AsyncUser]) -> None:
    while True:
        await asyncio.sleep(CHECK_INTERVAL_S)
        now_ns = clock()
        for user in users:
            user.check(now_ns)


def _identities(job: LoadJob) -> list[Identity]:
    return [
        Identity(
            VirtualUser(number, token, Random(_seed(job, str(number)))),  # noqa: S311 - choices
            Encoder(job.base_url, token),
        )
        for number, token in enumerate(job.tokens)
    ]


def _seed(job: LoadJob, part: str) -> str:
    return f"{job.seed}/{job.scenario}/{job.round}/{part}"


def _origin(base_url: str) -> Origin:
    url = httpx.URL(base_url)
    if url.scheme == "https":
        return Origin(url.host, url.port or 443, httpx.create_ssl_context())
    return Origin(url.host, url.port or 80)


async def _warm(
    users: Sequence[AsyncUser], identities: Sequence[Identity], request: Request
) -> bool:
    """Open every user's connection; whether all got the right answer."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(number: int, user: AsyncUser) -> bool:
        async with gate:
            return await user.warm(request, identities[number % len(identities)])

    return all(await asyncio.gather(*(one(*numbered) for numbered in enumerate(users))))


def drive_one(job: LoadJob) -> DriverReport | None:
    """Drive a job on an event loop of its own; SIGTERM ends it, and the samples are kept."""
    gc.unfreeze()
    try:
        return uvloop.run(_guarded(drive(job, SCENARIOS[job.scenario])))
    except asyncio.CancelledError:
        return None


async def _guarded(work: Coroutine[None, None, DriverReport]) -> DriverReport:
    """Carry it out, until SIGTERM, or until a callback fails, which nobody else would notice."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    problems: list[BaseException] = []

    def failed(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        problems.append(context.get("exception") or RuntimeError(context["message"]))
        task.cancel()

    loop.set_exception_handler(failed)
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        report = await task
    except asyncio.CancelledError:
        if problems:
            raise problems[0] from None
        raise
    if problems:
        raise problems[0]
    return report


if __name__ == "__main__":
    sys.exit(run_jobs(drive_one))
