"""A round on asyncio, for all kinds of users: warming up, the load, closing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

from loopmark.harness.drivers.pacing.load_models import UserPool, begin
from loopmark.harness.drivers.pacing.loop import AsyncioLoop
from loopmark.harness.drivers.pacing.user import Account, AsyncUser
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.process import background_tasks
from loopmark.harness.drivers.process.job_inputs import accounts, chance_of
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.vocabulary.flow import Request
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, Timeouts
from loopmark.harness.vocabulary.load import Load

CONNECTING_AT_ONCE = 50
"""Enough to open 1000 connections within a second, few enough not to overflow a listen queue."""


class Watched(Protocol):
    """What must be checked periodically, and closed at the end."""

    def check(self, now_ns: int) -> None:
        """Fail overdue requests."""

    async def close(self) -> None:
        """Abandon the current flow, and close the connection."""


async def drive_flows(
    job: LoadJob,
    load: Load,
    users: Sequence[AsyncUser],
    warm: Request,
    recording: Recording,
) -> DriverReport:
    """Warm the users up and drive the load to its end.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
        Exception: An exception of a flow that is not about an answer.
    """
    pool = UserPool(AsyncioLoop(), users, accounts(job), recording, chance_of(job))
    window = Window(pool.loop)
    async with watched(users, job.timeouts):
        if not await warmed(users, pool.accounts, warm):
            return unfit(window, recording)
        keep_what_exists()
        await run(load, pool, window)
        return window.report(recording)


async def run(load: Load, pool: UserPool, window: Window, start_ns: int | None = None) -> None:
    """Start a load, and wait until the last user has ended.

    Args:
        load: How flows arrive.
        pool: The users.
        window: The measured stretch.
        start_ns: When it begins (CLOCK_MONOTONIC); at once, or when the target has settled, when
            None.
    """
    ended = asyncio.Event()
    execution = begin(load, pool, window, ended.set, start_ns)
    try:
        await ended.wait()
    finally:
        execution.close()


def unfit(window: Window, recording: Recording) -> DriverReport:
    """The report for a target that failed the warm-up; samples of the failures give the reason."""
    window.open()
    window.close(window.start_ns)
    return window.report(recording)


def keep_what_exists() -> None:
    """Exclude existing objects from garbage collection: they live until the end."""
    gc.collect()
    gc.freeze()


@asynccontextmanager
async def watched(users: Sequence[Watched], timeouts: Timeouts) -> AsyncIterator[None]:
    """Check for overdue requests meanwhile, and close the users' connections at the end."""
    watch = background_tasks.start(_watch(users, timeouts.check_interval_s))
    try:
        yield
    finally:
        watch.cancel()
        for user in users:
            await user.close()


async def _watch(users: Sequence[Watched], interval_s: float) -> None:
    while True:
        await asyncio.sleep(interval_s)
        now_ns = clock()
        for user in users:
            user.check(now_ns)


async def warmed(users: Sequence[AsyncUser], accounts: Sequence[Account], request: Request) -> bool:
    """Open every user's connection; returns whether all got the right answer."""
    return await few_at_once(
        partial(user.warm, request, accounts[number % len(accounts)])
        for number, user in enumerate(users)
    )


async def few_at_once(openings: Iterable[Callable[[], Awaitable[bool]]]) -> bool:
    """Open connections, `CONNECTING_AT_ONCE` at a time; returns whether all succeeded."""
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def one(opening: Callable[[], Awaitable[bool]]) -> bool:
        async with gate:
            return await opening()

    return all(await asyncio.gather(*(one(opening) for opening in openings)))
