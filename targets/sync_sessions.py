"""Database sessions and authentication of the sync variant: Session on psycopg.

All database work of a request happens in its handler, on one thread and one connection. A session
opened by a dependency would be held across hops into the thread pool: its request would wait for a
thread while the threads wait for its connection, and with more threads than connections all of them
would deadlock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session, sessionmaker

from loopmark.targets import contract, queries


async def session_factory(request: Request) -> sessionmaker[Session]:
    """Return the application's session factory. A coroutine, to spare a hop into a thread."""
    factory: sessionmaker[Session] = request.state.sync_sessions
    return factory


Sessions = Annotated[sessionmaker[Session], Depends(session_factory)]


def authenticate(session: Session, credentials: contract.BearerToken) -> int:
    """Return the id of the active user behind the bearer token."""
    found = session.execute(queries.caller(credentials.credentials)).one_or_none()
    if found is None:
        raise contract.UNAUTHENTICATED.exception()
    caller_id, is_active = found
    if not is_active:
        raise contract.INACTIVE.exception()
    return int(caller_id)


@contextmanager
def transaction(
    sessions: sessionmaker[Session], credentials: contract.BearerToken
) -> Iterator[tuple[Session, int]]:
    """Open the one transaction of a request; it begins with the authentication.

    Yields:
        The session, and the id of the authenticated user.
    """
    with sessions.begin() as session:
        yield session, authenticate(session, credentials)


def identified(sessions: sessionmaker[Session], credentials: contract.BearerToken) -> int:
    """Return the id of the active user behind the bearer token, in a transaction of its own."""
    with transaction(sessions, credentials) as (_, caller_id):
        return caller_id
