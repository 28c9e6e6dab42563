"""Adds events to a variant's application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from loopmark.targets import socketio_server, websocket
from loopmark.targets.emitter import Emitter
from loopmark.targets.event_contract import Identify
from loopmark.targets.settings import Settings


@asynccontextmanager
async def running(settings: Settings, identify: Identify) -> AsyncIterator[dict[str, object]]:
    """Deliver events to clients while the context lasts.

    Args:
        settings: Limits and times.
        identify: How the variant finds the user behind a token.

    Yields:
        The state for the application.
    """
    emitter = Emitter(settings.event_queue)
    server = socketio_server.EventServer(
        emitter,
        identify,
        ping_interval_s=settings.ping_interval_s,
        ping_timeout_s=settings.ping_timeout_s,
        allowed_origins=settings.allowed_origins,
    )
    try:
        yield {"emitter": emitter, "identify": identify, "socketio": server}
    finally:
        await server.shutdown()


def connect(app: FastAPI, settings: Settings) -> FastAPI:
    """Add the endpoints for events, and return the application."""
    app.router.routes.extend((websocket.ROUTE, socketio_server.ROUTE))
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    return app
