"""The async variant: `async def` handlers on the event loop, AsyncSession on asyncpg.

The same steps in the same order as the sync variant, in the same sessions: one for the
authentication, one for the handler.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
from anyio.to_thread import current_default_thread_limiter
from fastapi import APIRouter, Depends, FastAPI, Request
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from targets import contract, loop_lag, queries, schema
from targets.settings import Settings


async def session_factory(request: Request) -> async_sessionmaker[AsyncSession]:
    """Return the application's session factory."""
    factory: async_sessionmaker[AsyncSession] = request.state.sessions
    return factory


Sessions = Annotated[async_sessionmaker[AsyncSession], Depends(session_factory)]


async def authenticate(credentials: contract.Credentials, sessions: Sessions) -> int:
    """Return the id of the active user behind the bearer token."""
    async with sessions() as session:
        result = await session.execute(queries.caller(credentials.credentials))
    found = result.one_or_none()
    if found is None:
        raise contract.UNAUTHENTICATED.exception()
    caller_id, is_active = found
    if not is_active:
        raise contract.INACTIVE.exception()
    return caller_id


CallerId = Annotated[int, Depends(authenticate)]

public = APIRouter()
private = APIRouter(dependencies=[Depends(authenticate)])


@contract.READY.on(public)
async def ready(request: Request, sessions: Sessions) -> contract.Ready:
    """Ask the database for a sign of life."""
    try:
        async with sessions() as session:
            await session.execute(queries.ping())
    except (SQLAlchemyError, OSError) as error:
        raise contract.DATABASE_SILENT.exception(error) from error
    return contract.Ready(instance=request.state.instance)


@contract.CREATE_RESOURCE.on(private)
async def create_resource(
    data: contract.ResourceData, caller_id: CallerId, sessions: Sessions
) -> contract.ResourceCreated:
    """Get or create in one transaction."""
    try:
        async with sessions.begin() as session:
            created = False
            resource = await session.scalar(queries.resource(data.id))
            if resource is None:
                resource = await session.scalar(queries.insert_resource(data, caller_id))
                created = resource is not None
            if resource is None:
                resource = (await session.scalars(queries.resource(data.id))).one()
            return contract.ResourceCreated(
                created=created, resource=contract.Resource.model_validate(resource)
            )
    except IntegrityError as error:
        # The caller was deleted after the token was looked up.
        raise contract.UNAUTHENTICATED.exception() from error


@contract.LIST_USERS.on(private)
async def list_users(
    sessions: Sessions,
    limit: contract.PageLimit = contract.DEFAULT_PAGE,
    after: contract.PageAfter = 0,
) -> contract.UserPage:
    """Select one page."""
    async with sessions() as session:
        users = await session.scalars(queries.users(after, limit))
        return contract.UserPage(users=[contract.User.model_validate(user) for user in users])


@contract.CREATE_USER.on(private)
async def create_user(data: contract.UserData, sessions: Sessions) -> contract.User:
    """Insert, and let the unique constraints decide who was first."""
    user = schema.User(**data.model_dump())
    try:
        async with sessions.begin() as session:
            session.add(user)
    except IntegrityError as error:
        raise contract.USER_TAKEN.exception() from error
    return contract.User.model_validate(user)


@contract.GET_USER.on(private)
async def get_user(user_id: contract.UserId, sessions: Sessions) -> contract.User:
    """Select by id."""
    async with sessions() as session:
        user = await session.scalar(queries.user(user_id))
    if user is None:
        raise contract.USER_ABSENT.exception()
    return contract.User.model_validate(user)


@contract.UPDATE_USER.on(private)
async def update_user(
    user_id: contract.UserId, changes: contract.UserChanges, sessions: Sessions
) -> contract.User:
    """Load, set attributes, commit."""
    try:
        async with sessions.begin() as session:
            user = await session.scalar(queries.user(user_id))
            if user is None:
                raise contract.USER_ABSENT.exception()
            for name, value in changes.items():
                setattr(user, name, value)
    except IntegrityError as error:
        raise contract.EMAIL_TAKEN.exception() from error
    return contract.User.model_validate(user)


@contract.DELETE_USER.on(private)
async def delete_user(user_id: contract.UserId, sessions: Sessions) -> None:
    """Delete by statement."""
    try:
        async with sessions.begin() as session:
            deleted = await session.scalar(queries.delete_user(user_id))
    except IntegrityError as error:
        raise contract.USER_OWNS.exception() from error
    if deleted is None:
        raise contract.USER_ABSENT.exception()


@contract.WAIT.on(public)
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
        try:
            async with loop_lag.recorded(settings.loop_lag_file):
                yield {"sessions": sessions, "instance": settings.instance}
        finally:
            await engine.dispose()

    return contract.application(lifespan, public, private)
