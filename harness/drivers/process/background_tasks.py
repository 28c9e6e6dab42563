"""Tasks that nobody awaits, whose failures are heard all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


def start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Start a task; what it raises goes to the event loop's exception handler at once.

    Left alone, asyncio would tell of it only when the task is collected as garbage, and whoever
    waits for what it should have done would wait for ever.
    """
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(_tell)
    return task


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        context = {"message": "a task failed", "exception": problem, "task": task}
        task.get_loop().call_exception_handler(context)
