"""The manual-commit variant: the documented pitfall of sessions without a context manager.

Fault: what creates users commits by hand, each change by itself, rolls back in the one case that
was thought of, and closes the session at the end. Symptom: a request that fails in the middle
leaves half of its changes, and, if it leaves by another way than those thought of, a connection in
an open transaction until the garbage collector finds the session. Cure: `async with
session.begin()`, which commits all or nothing and gives the connection back either way.
"""

from fastapi import FastAPI
from sqlalchemy.exc import IntegrityError

from loopmark.targets import async_app, async_rows, contract, queries, schema
from loopmark.targets.async_sessions import Sessions, authenticate
from loopmark.targets.settings import Settings


async def create_user(
    data: contract.UserData, sessions: Sessions, credentials: contract.Credentials
) -> contract.User:
    """Insert and commit."""
    session = sessions()
    await authenticate(session, credentials)
    user = schema.User(**data.model_dump())
    session.add(user)
    try:
        await session.commit()
    except IntegrityError as error:
        await session.rollback()
        raise contract.USER_TAKEN.exception() from error
    await session.close()
    return contract.User.model_validate(user)


async def open_account(
    data: contract.AccountData, sessions: Sessions, credentials: contract.Credentials
) -> contract.AccountOpened:
    """Insert and commit the user, then its resource."""
    session = sessions()
    await authenticate(session, credentials)
    user = schema.User(**data.user.model_dump())
    session.add(user)
    try:
        await session.commit()
    except IntegrityError as error:
        await session.rollback()
        raise contract.USER_TAKEN.exception() from error
    resource = await session.scalar(queries.insert_resource(data.resource, user.id))
    if resource is None:
        raise contract.RESOURCE_TAKEN.exception()
    await session.commit()
    await session.close()
    return contract.AccountOpened(
        user=contract.User.model_validate(user),
        resource=contract.Resource.model_validate(resource),
    )


def build(settings: Settings) -> FastAPI:
    """Return the application."""
    handlers = contract.handlers_of(async_rows.router)
    handlers |= {"create_user": create_user, "open_account": open_account}
    return async_app.build(settings, async_app.Parts(rows=contract.served_by(handlers)))
