"""One job on an asyncio event loop of its own: ended by SIGTERM, and by a callback that fails."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop

from loopmark.harness.vocabulary.job import DriverReport


def run_job(work: Coroutine[None, None, DriverReport]) -> DriverReport | None:
    """Run a job on uvloop; returns None if SIGTERM ended it, with the samples kept.

    Raises:
        Exception: Whatever the job or a callback raised.
    """
    gc.unfreeze()
    try:
        return uvloop.run(to_its_end(work))
    except asyncio.CancelledError:
        return None


async def to_its_end(work: Coroutine[None, None, DriverReport]) -> DriverReport:
    """Run it until SIGTERM, or until a callback fails, which would go unnoticed otherwise.

    Raises:
        asyncio.CancelledError: By SIGTERM.
        Exception: Whatever the job or a callback raised.
    """
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
