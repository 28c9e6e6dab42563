"""The async variant: `async def` handlers on the event loop, AsyncSession on asyncpg.

The same steps in the same order as the sync variant: one transaction per request, on one
connection.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field

import asyncpg
import httpx
from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from loopmark.targets import (
    async_files,
    async_rows,
    async_uploads,
    async_upstream,
    contract,
    event_contract,
    event_service,
    loop_lag,
    queries,
    upstream_contract,
    warm_pools,
)
from loopmark.targets.async_sessions import Sessions, identified
from loopmark.targets.emitter import Emitter
from loopmark.targets.operation import Operation
from loopmark.targets.settings import Settings

router = APIRouter()


@asynccontextmanager
async def nothing_more(_settings: Settings) -> AsyncIterator[Mapping[str, object]]:
    """Open nothing."""
    yield {}


@dataclass(frozen=True, slots=True)
class Parts:
    """What variants of this one put in another's place.

    Attributes:
        rows: The handlers of resources and users.
        files: The handlers of files.
        uploads: The handlers of uploads.
        events: How events are sent.
        more: Opens what else handlers need, for as long as the application runs, and yields it by
            its name in the state of requests.
    """

    rows: APIRouter = field(default_factory=lambda: async_rows.router)
    files: APIRouter = field(default_factory=lambda: async_files.router)
    uploads: APIRouter = field(default_factory=lambda: async_uploads.router)
    events: event_service.EventDelivery = event_service.PREPARED_FRAMES
    more: Callable[[Settings], AbstractAsyncContextManager[Mapping[str, object]]] = nothing_more


@contract.READY.on(router)
async def ready(request: Request, sessions: Sessions) -> contract.Ready:
    """Ask the database for a sign of life."""
    try:
        async with sessions() as session:
            await session.execute(queries.ping())
    except (SQLAlchemyError, OSError) as error:
        raise contract.DATABASE_SILENT.exception(error) from error
    return contract.Ready(instance=request.state.instance)


@contract.WAIT.on(router)
async def wait(
    sessions: Sessions,
    seconds: contract.WaitSeconds = 0.5,
    on: contract.WaitTarget = contract.WaitOn.TIMER,
) -> contract.Waited:
    """Suspend this request, and on the database hold a connection too."""
    if on is contract.WaitOn.TIMER:
        await asyncio.sleep(seconds)
    else:
        async with sessions() as session:
            await session.execute(queries.sleep(seconds))
    return contract.Waited(waited_s=seconds, on=on)


@contract.REPORT.on(router)
async def report(rows: contract.ReportRows = 5000) -> contract.Report:
    """Make the rows on the event loop, where the framework writes them as JSON as well."""
    return contract.report_of(rows)


@event_contract.PROCESS.on(router)
async def process(
    job: event_contract.Job,
    request: Request,
    sessions: Sessions,
    credentials: contract.Credentials,
) -> event_contract.Processed:
    """Do the work step by step, emitting events; the connection is back in the pool meanwhile."""
    emitter: Emitter = request.state.emitter
    operation = Operation(await identified(sessions, credentials), job)
    emitter.emit(operation.started())
    for step in range(1, job.steps + 1):
        await asyncio.sleep(job.step_s)
        for event in operation.after(step):
            emitter.emit(event)
    return operation.answer()


@event_contract.EMITTER.on(router)
async def emitter_counts(request: Request) -> event_contract.EmitterCounts:
    """Read the totals."""
    emitter: Emitter = request.state.emitter
    return event_contract.EmitterCounts(clients=emitter.clients, **asdict(emitter.totals))


def build(settings: Settings, parts: Parts | None = None) -> FastAPI:
    """Return the application.

    It connects to the database when the first request needs it; with `warm_pools` at its start.

    Args:
        settings: Of the target.
        parts: Those of another variant.
    """

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(settings.database_url, timeout=settings.pool_timeout_s)

    return on_driver(settings, "asyncpg", connect, parts or Parts())


def on_driver(
    settings: Settings,
    driver: str,
    connect: Callable[[], Awaitable[object]],
    parts: Parts,
) -> FastAPI:
    """Return the application on one of SQLAlchemy's asynchronous drivers.

    Args:
        settings: Of the target.
        driver: SQLAlchemy's name of it.
        connect: Opens a connection of the driver.
        parts: Those that differ between variants.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, object]]:
        current_default_thread_limiter().total_tokens = settings.worker_threads
        engine = create_async_engine(
            f"postgresql+{driver}://",
            async_creator=connect,
            pool_size=settings.pool_size,
            max_overflow=settings.max_overflow,
            pool_pre_ping=settings.pool_pre_ping,
            pool_timeout=settings.pool_timeout_s,
        )
        # What a commit leaves in an object is what the answer needs: no reload.
        sessions = async_sessionmaker(engine, expire_on_commit=False)

        async def identify(token: str) -> int:
            return await identified(sessions, contract.bearer(token))

        try:
            async with (
                loop_lag.recorded(settings.loop_lag_file),
                event_service.running(settings, identify, parts.events) as event_state,
                async_uploads.opened(settings, sessions) as workplace,
                httpx.AsyncClient(**upstream_contract.client_options(settings)) as upstream,
                parts.more(settings) as more_state,
            ):
                if settings.warm_pools:
                    await warm_pools.start_threads(settings.worker_threads)
                    await warm_pools.connect_async(engine, settings.pool_size)
                yield {
                    "sessions": sessions,
                    "instance": settings.instance,
                    "workplace": workplace,
                    "upstream": upstream,
                    "upstream_call_timeout_s": settings.upstream_call_timeout_s,
                    **event_state,
                    **more_state,
                }
        finally:
            await engine.dispose()

    routers = (router, parts.rows, async_upstream.router, parts.files, parts.uploads)
    app = contract.application(lifespan, *routers)
    return event_service.connect(app, settings, parts.events)
