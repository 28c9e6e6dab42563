"""The forgotten-commit variant: manual-commit, with the commit forgotten.

Fault: what creates users sends the changes, for their ids, and closes the session. Symptom: the
response says that it is done, closing rolls it back, and nothing is in the database. Cure: `async
with session.begin()`, which commits at its end.
"""

from fastapi import FastAPI
from sqlalchemy.exc import IntegrityError

from loopmark.targets import async_app, async_rows, contract, queries, schema
from loopmark.targets.async_sessions import Sessions, authenticate
from loopmark.targets.settings import Settings


async def create_user(
    data: contract.UserData, sessions: Sessions, credentials: contract.Credentials
) -> contract.User:
    """Insert."""
    session = sessions()
    await authenticate(session, credentials)
    user = schema.User(**data.model_dump())
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        await session.rollback()
        raise contract.USER_TAKEN.exception() from error
    await session.close()
    return contract.User.model_validate(user)


async def open_account(
    data: contract.AccountData, sessions: Sessions, credentials: contract.Credentials
) -> contract.AccountOpened:
    """Insert the user, then its resource."""
    session = sessions()
    await authenticate(session, credentials)
    user = schema.User(**data.user.model_dump())
    session.add(user)
    try:
        await session.flush()
    except IntegrityError as error:
        await session.rollback()
        raise contract.USER_TAKEN.exception() from error
    resource = await session.scalar(queries.insert_resource(data.resource, user.id))
    if resource is None:
        raise contract.RESOURCE_TAKEN.exception()
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
