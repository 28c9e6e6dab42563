"""The sync-depends variant: session, transaction and caller come to handlers as dependencies.

The transaction ends when the handler has returned, and before the response is sent. Each dependency
is a hop of its own into the thread pool, and a connection is held between them. With as many
requests at once as there are threads and connections together, those that hold a connection can
wait for a thread while all threads wait for a connection, until the pool's timeout; with more of
them once for each wave, and so for longer.
"""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, Request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from loopmark.targets import contract, events, queries, schema, sync_app
from loopmark.targets.emitter import Emitter
from loopmark.targets.settings import Settings
from loopmark.targets.sync_sessions import Sessions, authenticate

router = APIRouter()


def open_session(sessions: Sessions) -> Iterator[Session]:
    """Open a session for as long as the request takes."""
    with sessions() as session:
        yield session


def begin(
    session: Annotated[Session, Depends(open_session)],
) -> Iterator[Session]:
    """Commit when the handler has returned, or roll back if it raised."""
    with session.begin():
        yield session


Transaction = Annotated[Session, Depends(begin, scope="function")]


def identify(session: Transaction, credentials: contract.Credentials) -> int:
    """Return the id of the active user behind the bearer token."""
    return authenticate(session, credentials)


Caller = Annotated[int, Depends(identify)]


@contract.CREATE_RESOURCE.on(router)
def create_resource(
    data: contract.ResourceData,
    request: Request,
    session: Transaction,
    caller_id: Caller,
    after: BackgroundTasks,
) -> contract.ResourceCreated:
    """Get or create; the event follows the commit."""
    created = False
    resource = session.scalar(queries.resource(data.id))
    try:
        if resource is None:
            resource = session.scalar(queries.insert_resource(data, caller_id))
            created = resource is not None
    except IntegrityError as error:
        # The caller was deleted between the look-up of the token and the insert.
        raise contract.UNAUTHENTICATED.exception() from error
    if resource is None:
        resource = session.scalars(queries.resource(data.id)).one()
    if created:
        after.add_task(emit_created, request.state.emitter, caller_id, data.id)
    return contract.ResourceCreated(
        created=created, resource=contract.Resource.model_validate(resource)
    )


async def emit_created(emitter: Emitter, caller_id: int, resource_id: str) -> None:
    """Tell everybody. A coroutine, to spare a hop into a thread."""
    emitter.emit(events.resource_created(caller_id, resource_id))


@contract.LIST_USERS.on(router)
def list_users(
    session: Transaction,
    _caller_id: Caller,
    limit: contract.PageLimit = contract.DEFAULT_PAGE,
    after: contract.PageAfter = 0,
) -> contract.UserPage:
    """Select one page."""
    users = session.scalars(queries.users(after, limit))
    return contract.UserPage(users=[contract.User.model_validate(user) for user in users])


@contract.CREATE_USER.on(router)
def create_user(data: contract.UserData, session: Transaction, _caller_id: Caller) -> contract.User:
    """Insert, and let the unique constraints decide who was first."""
    user = schema.User(**data.model_dump())
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise contract.USER_TAKEN.exception() from error
    return contract.User.model_validate(user)


@contract.OPEN_ACCOUNT.on(router)
def open_account(
    data: contract.AccountData, session: Transaction, _caller_id: Caller
) -> contract.AccountOpened:
    """Insert both; a resource that exists rolls back."""
    user = schema.User(**data.user.model_dump())
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise contract.USER_TAKEN.exception() from error
    resource = session.scalar(queries.insert_resource(data.resource, user.id))
    if resource is None:
        raise contract.RESOURCE_TAKEN.exception()
    return contract.AccountOpened(
        user=contract.User.model_validate(user),
        resource=contract.Resource.model_validate(resource),
    )


@contract.GET_USER.on(router)
def get_user(user_id: contract.UserId, session: Transaction, _caller_id: Caller) -> contract.User:
    """Select by id."""
    user = session.scalar(queries.user(user_id))
    if user is None:
        raise contract.USER_ABSENT.exception()
    return contract.User.model_validate(user)


@contract.UPDATE_USER.on(router)
def update_user(
    user_id: contract.UserId,
    changes: contract.UserChanges,
    session: Transaction,
    _caller_id: Caller,
) -> contract.User:
    """Load, set attributes, flush."""
    user = session.scalar(queries.user(user_id))
    if user is None:
        raise contract.USER_ABSENT.exception()
    for name, value in changes.items():
        setattr(user, name, value)
    try:
        session.flush()
    except IntegrityError as error:
        raise contract.EMAIL_TAKEN.exception() from error
    return contract.User.model_validate(user)


@contract.DELETE_USER.on(router)
def delete_user(user_id: contract.UserId, session: Transaction, _caller_id: Caller) -> None:
    """Delete by statement."""
    try:
        deleted = session.scalar(queries.delete_user(user_id))
    except IntegrityError as error:
        raise contract.USER_OWNS.exception() from error
    if deleted is None:
        raise contract.USER_ABSENT.exception()


def build(settings: Settings) -> FastAPI:
    """Return the application."""
    return sync_app.build(settings, router)
