"""The async-psycopg variant: the async one on the driver of the sync one.

What async costs or gains is told apart from what asyncpg does.
"""

import psycopg
from fastapi import FastAPI

from loopmark.targets import async_app
from loopmark.targets.settings import Settings


def build(settings: Settings, parts: async_app.Parts | None = None) -> FastAPI:
    """Return the application.

    Args:
        settings: Of the target.
        parts: Those of another variant.
    """

    async def connect() -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            settings.database_url, connect_timeout=settings.pool_timeout_s
        )

    return async_app.on_driver(settings, "psycopg", connect, parts or async_app.Parts())
