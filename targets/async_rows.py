"""Resources and users in the async variant: one transaction on one connection for each request."""

from fastapi import APIRouter, Request
from sqlalchemy.exc import IntegrityError

from loopmark.targets import contract, events, queries, schema
from loopmark.targets.async_sessions import Sessions, transaction
from loopmark.targets.emitter import Emitter

router = APIRouter()


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


@contract.OPEN_ACCOUNT.on(router)
async def open_account(
    data: contract.AccountData, sessions: Sessions, credentials: contract.Credentials
) -> contract.AccountOpened:
    """Insert both in one transaction, which a resource that exists rolls back."""
    user = schema.User(**data.user.model_dump())
    try:
        async with transaction(sessions, credentials) as (session, _):
            session.add(user)
            await session.flush()
            resource = await session.scalar(queries.insert_resource(data.resource, user.id))
            if resource is None:
                raise contract.RESOURCE_TAKEN.exception()
    except IntegrityError as error:
        raise contract.USER_TAKEN.exception() from error
    return contract.AccountOpened(
        user=contract.User.model_validate(user),
        resource=contract.Resource.model_validate(resource),
    )


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
