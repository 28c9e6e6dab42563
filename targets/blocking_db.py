"""The blocking-db variant: the documented pitfall of a sync database in an async endpoint.

Fault: resources and users are the sync variant's functions, on its Session and psycopg, called
directly from `async def` handlers. Symptom: the event loop stands still until the database has
answered, so requests are served one after another, and those that ask no database wait as long.
Cure: await an AsyncSession, as the twin does on the same driver; or write the handler with `def`,
and the framework runs it on a thread.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fastapi import FastAPI

from loopmark.targets import async_app, async_psycopg, contract, sync_app, sync_rows, warm_pools
from loopmark.targets.settings import Settings

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def on_the_loop(
    function: Callable[Arguments, Answer],
) -> Callable[Arguments, Coroutine[Any, Any, Answer]]:
    """Return a handler that looks asynchronous, and calls a function that blocks."""

    @wraps(function)
    async def handler(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        return function(*args, **kwargs)

    return handler


@asynccontextmanager
async def sync_sessions(settings: Settings) -> AsyncIterator[Mapping[str, object]]:
    """Open a pool for sync sessions, beside that of the asynchronous ones."""
    engine = sync_app.create_pool(settings)
    try:
        if settings.warm_pools:
            warm_pools.connect(engine, settings.pool_size)
        yield {"sync_sessions": sync_app.session_factory(engine)}
    finally:
        engine.dispose()


def build(settings: Settings) -> FastAPI:
    """Return the application."""
    handlers = contract.handlers_of(sync_rows.router)
    blocking = contract.served_by({name: on_the_loop(one) for name, one in handlers.items()})
    return async_psycopg.build(settings, async_app.Parts(rows=blocking, more=sync_sessions))
