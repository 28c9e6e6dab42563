"""Database sessions and authentication of the async variant: AsyncSession on asyncpg."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from loopmark.targets import contract, queries


async def session_factory(request: Request) -> async_sessionmaker[AsyncSession]:
    """Return the application's session factory."""
    factory: async_sessionmaker[AsyncSession] = request.state.sessions
    return factory


Sessions = Annotated[async_sessionmaker[AsyncSession], Depends(session_factory)]


async def authenticate(session: AsyncSession, credentials: contract.BearerToken) -> int:
    """Return the id of the active user behind the bearer token."""
    found = (await session.execute(queries.caller(credentials.credentials))).one_or_none()
    if found is None:
        raise contract.UNAUTHENTICATED.exception()
    caller_id, is_active = found
    if not is_active:
        raise contract.INACTIVE.exception()
    return int(caller_id)


@asynccontextmanager
async def transaction(
    sessions: async_sessionmaker[AsyncSession], credentials: contract.BearerToken
) -> AsyncIterator[tuple[AsyncSession, int]]:
    """Open the one transaction of a request; it begins with the authentication.

    Yields:
        The session, and the id of the authenticated user.
    """
    async with sessions.begin() as session:
        yield session, await authenticate(session, credentials)


async def identified(
    sessions: async_sessionmaker[AsyncSession], credentials: contract.BearerToken
) -> int:
    """Return the id of the active user behind the bearer token, in a transaction of its own."""
    async with transaction(sessions, credentials) as (_, caller_id):
        return caller_id
