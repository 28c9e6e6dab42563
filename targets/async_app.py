"""The async variant: `async def` handlers on the event loop, AsyncSession on asyncpg.

The same steps in the same order as the sync variant: one transaction per request, on one
connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import asyncpg
from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from loopmark.targets import (
    async_files,
    async_uploads,
    contract,
    event_contract,
    event_service,
    events,
    loop_lag,
    queries,
    schema,
)
from loopmark.targets.async_sessions import Sessions, identified, transaction
from loopmark.targets.emitter import Emitter
from loopmark.targets.operation import Operation
from loopmark.targets.settings import Settings

router = APIRouter()


@contract.READY.on(router)
async def ready(request: Request, sessions: Sessions) -> contract.Ready:
    """Ask the database for a sign of life."""
    try:
        async with sessions() as session:
            await session.execute(queries.ping())
    except (SQLAlchemyError, OSError) as error:
        raise contract.DATABASE_SILENT.exception(error) from error
    return contract.Ready(instance=request.state.instance)


@contract.CREATE_RESOURCE.on(router)
async def create_resource(
    data: contract.ResourceData,
    request: Request,
    sessions: Sessions,
    credentials: contract.Credentials,
) -> contract.ResourceCreated:
    """Get or create in one transaction."""
    try:
        async with transaction(sessions, credentials) as (session, caller_id):
            created = False
            resource = await session.scalar(queries.resource(data.id))
            if resource is None:
                resource = await session.scalar(queries.insert_resource(data, caller_id))
                created = resource is not None
            if resource is None:
                resource = (await session.scalars(queries.resource(data.id))).one()
            answer = contract.ResourceCreated(
                created=created, resource=contract.Resource.model_validate(resource)
            )
    except IntegrityError as error:
        # The caller was deleted between the look-up of the token and the insert.
        raise contract.UNAUTHENTICATED.exception() from error
    if created:
        emitter: Emitter = request.state.emitter
        emitter.emit(events.resource_created(caller_id, data.id))
    return answer


@contract.LIST_USERS.on(router)
async def list_users(
    sessions: Sessions,
    credentials: contract.Credentials,
    limit: contract.PageLimit = contract.DEFAULT_PAGE,
    after: contract.PageAfter = 0,
) -> contract.UserPage:
    """Select one page."""
    async with transaction(sessions, credentials) as (session, _):
        users = await session.scalars(queries.users(after, limit))
        return contract.UserPage(users=[contract.User.model_validate(user) for user in users])


@contract.CREATE_USER.on(router)
async def create_user(
    data: contract.UserData, sessions: Sessions, credentials: contract.Credentials
) -> contract.User:
    """Insert, and let the unique constraints decide who was first."""
    user = schema.User(**data.model_dump())
    try:
        async with transaction(sessions, credentials) as (session, _):
            session.add(user)
    except IntegrityError as error:
        raise contract.USER_TAKEN.exception() from error
    return contract.User.model_validate(user)


@contract.GET_USER.on(router)
async def get_user(
    user_id: contract.UserId, sessions: Sessions, credentials: contract.Credentials
) -> contract.User:
    """Select by id."""
    async with transaction(sessions, credentials) as (session, _):
        user = await session.scalar(queries.user(user_id))
    if user is None:
        raise contract.USER_ABSENT.exception()
    return contract.User.model_validate(user)


@contract.UPDATE_USER.on(router)
async def update_user(
    user_id: contract.UserId,
    changes: contract.UserChanges,
    sessions: Sessions,
    credentials: contract.Credentials,
) -> contract.User:
    """Load, set attributes, commit."""
    try:
        async with transaction(sessions, credentials) as (session, _):
            user = await session.scalar(queries.user(user_id))
            if user is None:
                raise contract.USER_ABSENT.exception()
            for name, value in changes.items():
                setattr(user, name, value)
    except IntegrityError as error:
        raise contract.EMAIL_TAKEN.exception() from error
    return contract.User.model_validate(user)


@contract.DELETE_USER.on(router)
async def delete_user(
    user_id: contract.UserId, sessions: Sessions, credentials: contract.Credentials
) -> None:
    """Delete by statement."""
    try:
        async with transaction(sessions, credentials) as (session, _):
            deleted = await session.scalar(queries.delete_user(user_id))
    except IntegrityError as error:
        raise contract.USER_OWNS.exception() from error
    if deleted is None:
        raise contract.USER_ABSENT.exception()


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


def build(settings: Settings) -> FastAPI:
    """Return the application. It connects to the database when the first request needs it."""

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(settings.database_url, timeout=settings.pool_timeout_s)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, object]]:
        current_default_thread_limiter().total_tokens = settings.worker_threads
        engine = create_async_engine(
            "postgresql+asyncpg://",
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
                event_service.running(settings, identify) as event_state,
                async_uploads.opened(settings, sessions) as workplace,
            ):
                yield {
                    "sessions": sessions,
                    "instance": settings.instance,
                    "workplace": workplace,
                    **event_state,
                }
        finally:
            await engine.dispose()

    app = contract.application(lifespan, router, async_files.router, async_uploads.router)
    return event_service.connect(app, settings)
