"""The sync variant: plain `def` handlers in the thread pool, Session on psycopg."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import psycopg
from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from loopmark.targets import (
    contract,
    event_contract,
    event_service,
    loop_lag,
    queries,
    sync_files,
    sync_rows,
    sync_uploads,
    sync_upstream,
    warm_pools,
)
from loopmark.targets.emitter import Emitter
from loopmark.targets.operation import Operation
from loopmark.targets.settings import Settings
from loopmark.targets.sync_sessions import Sessions, identified

router = APIRouter()


@contract.READY.on(router)
def ready(request: Request, sessions: Sessions) -> contract.Ready:
    """Ask the database for a sign of life."""
    try:
        with sessions() as session:
            session.execute(queries.ping())
    except (SQLAlchemyError, OSError) as error:
        raise contract.DATABASE_SILENT.exception(error) from error
    return contract.Ready(instance=request.state.instance)


@contract.WAIT.on(router)
def wait(
    sessions: Sessions,
    seconds: contract.WaitSeconds = 0.5,
    on: contract.WaitTarget = contract.WaitOn.TIMER,
) -> contract.Waited:
    """Block a worker thread, and on the database a connection too."""
    if on is contract.WaitOn.TIMER:
        time.sleep(seconds)
    else:
        with sessions() as session:
            session.execute(queries.sleep(seconds))
    return contract.Waited(waited_s=seconds, on=on)


@contract.REPORT.on(router)
def report(rows: contract.ReportRows = 5000) -> contract.Report:
    """Make the rows on a worker thread; the framework writes them as JSON on the event loop."""
    return contract.report_of(rows)


@event_contract.PROCESS.on(router)
def process(
    job: event_contract.Job,
    request: Request,
    sessions: Sessions,
    credentials: contract.Credentials,
) -> event_contract.Processed:
    """Do the work step by step, emitting events; the connection is back in the pool meanwhile."""
    emitter: Emitter = request.state.emitter
    operation = Operation(identified(sessions, credentials), job)
    emitter.emit_from_thread(operation.started())
    for step in range(1, job.steps + 1):
        time.sleep(job.step_s)
        for event in operation.after(step):
            emitter.emit_from_thread(event)
    return operation.answer()


@event_contract.EMITTER.on(router)
def emitter_counts(request: Request) -> event_contract.EmitterCounts:
    """Read the totals."""
    emitter: Emitter = request.state.emitter
    return event_contract.EmitterCounts(clients=emitter.clients, **asdict(emitter.totals))


def create_pool(settings: Settings) -> Engine:
    """Return an engine whose pool has the settings' size; it connects when it is first used."""

    def connect() -> psycopg.Connection:
        return psycopg.connect(settings.database_url, connect_timeout=settings.pool_timeout_s)

    return create_engine(
        "postgresql+psycopg://",
        creator=connect,
        pool_size=settings.pool_size,
        max_overflow=settings.max_overflow,
        pool_pre_ping=settings.pool_pre_ping,
        pool_timeout=settings.pool_timeout_s,
    )


def session_factory(engine: Engine) -> sessionmaker[Session]:
    """Return what opens sessions on an engine."""
    # What a commit leaves in an object is what the answer needs: no reload.
    return sessionmaker(engine, expire_on_commit=False)


def build(settings: Settings, rows: APIRouter = sync_rows.router) -> FastAPI:
    """Return the application.

    It connects to the database when the first request needs it; with `warm_pools` at its start.

    Args:
        settings: Of the target.
        rows: The handlers of resources and users.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, object]]:
        current_default_thread_limiter().total_tokens = settings.worker_threads
        engine = create_pool(settings)
        sessions = session_factory(engine)

        async def identify(token: str) -> int:
            return await run_in_threadpool(identified, sessions, contract.bearer(token))

        try:
            async with (
                loop_lag.recorded(settings.loop_lag_file),
                event_service.running(settings, identify) as event_state,
                sync_uploads.opened(settings, sessions) as workplace,
                sync_upstream.opened(settings) as upstream,
            ):
                if settings.warm_pools:
                    await warm_pools.start_threads(settings.worker_threads)
                    await run_in_threadpool(warm_pools.connect, engine, settings.pool_size)
                yield {
                    "sync_sessions": sessions,
                    "instance": settings.instance,
                    "workplace": workplace,
                    "upstream": upstream,
                    "upstream_call_timeout_s": settings.upstream_call_timeout_s,
                    **event_state,
                }
        finally:
            engine.dispose()

    routers = (router, rows, sync_upstream.router, sync_files.router, sync_uploads.router)
    app = contract.application(lifespan, *routers)
    return event_service.connect(app, settings)
