"""The missing-await variant: the documented pitfall of a forgotten await.

Fault: `GET /api/v2/users/{id}` calls its query and does not await it. Symptom: what it takes for a
user is a coroutine, the request fails with status 500, the query is never sent, and Python warns of
a coroutine that was never awaited. Cure: await it, and let tests fail on that warning. A strict
type checker is silent here: what takes the coroutine takes anything.
"""

from fastapi import FastAPI

from loopmark.targets import async_app, async_rows, contract, queries
from loopmark.targets.async_sessions import Sessions, transaction
from loopmark.targets.settings import Settings


async def get_user(
    user_id: contract.UserId, sessions: Sessions, credentials: contract.Credentials
) -> contract.User:
    """Select by id, or so it says."""
    async with transaction(sessions, credentials) as (session, _):
        user = session.scalar(queries.user(user_id))
    if user is None:
        raise contract.USER_ABSENT.exception()
    return contract.User.model_validate(user)


def build(settings: Settings) -> FastAPI:
    """Return the application."""
    handlers = contract.handlers_of(async_rows.router) | {"get_user": get_user}
    return async_app.build(settings, async_app.Parts(rows=contract.served_by(handlers)))
