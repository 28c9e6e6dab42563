"""Background tasks whose exceptions are reported."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


def start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    """Start a task whose exceptions go to the event loop's exception handler at once.

    By default asyncio reports it only when the task is garbage-collected, and code that waits for
    the task's effect would never continue.
    """
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(_tell)
    return task


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        context = {"message": "a task failed", "exception": problem, "task": task}
        task.get_loop().call_exception_handler(context)
