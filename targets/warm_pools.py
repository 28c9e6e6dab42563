"""Fills pools before the first request, which would pay for them otherwise."""

import threading
from contextlib import AsyncExitStack, ExitStack
from functools import partial

import anyio
from anyio import to_thread
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

START_S = 30.0
"""Time limit for the threads to start."""


async def start_threads(count: int) -> None:
    """Start so many threads of the pool that runs `def` handlers.

    Raises:
        BrokenBarrierError: They cannot be started.
    """
    # Each waits for the others: none is used twice.
    together = threading.Barrier(count)
    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(partial(to_thread.run_sync, together.wait, START_S))


async def connect_async(engine: AsyncEngine, count: int) -> None:
    """Open so many connections, and leave them in the engine's pool."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(engine.connect())


def connect(engine: Engine, count: int) -> None:
    """Open so many connections, and leave them in the engine's pool."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(engine.connect())
