"""Adds events to a variant's application."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import socketio
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute

from loopmark.targets import event_stream, socketio_server, websocket
from loopmark.targets.emitter import Emitter
from loopmark.targets.event_contract import Identify
from loopmark.targets.settings import Settings


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """How a variant sends events.

    Attributes:
        websocket: The endpoint for plain WebSockets.
        socketio: Makes the server for Socket.IO; called as `EventServer` is.
    """

    websocket: WebSocketRoute
    socketio: Callable[..., socketio.AsyncServer]


PREPARED_FRAMES = EventDelivery(websocket.ROUTE, socketio_server.EventServer)
"""Frames made once for all clients, and written below ASGI."""


NOBODY = 0
"""The id of who has none. Nothing is emitted to its room."""


@asynccontextmanager
async def running(
    settings: Settings, identify: Identify, delivery: EventDelivery = PREPARED_FRAMES
) -> AsyncIterator[dict[str, object]]:
    """Deliver events to clients while the context lasts.

    Args:
        settings: Limits and times.
        identify: How the variant finds the user behind a token.
        delivery: How it sends them.

    Yields:
        The state for the application.
    """
    if settings.anonymous_listeners:
        identify = _anybody(identify)
    emitter = Emitter(settings.event_queue)
    server = delivery.socketio(
        emitter,
        identify,
        ping_interval_s=settings.ping_interval_s,
        ping_timeout_s=settings.ping_timeout_s,
        allowed_origins=settings.allowed_origins,
    )
    try:
        yield {
            "emitter": emitter,
            "identify": identify,
            "socketio": server,
            "pings": event_stream.Pings(settings.ping_interval_s, settings.ping_timeout_s),
        }
    finally:
        await server.shutdown()


def _anybody(identify: Identify) -> Identify:
    """Take a client without a token as well."""

    async def found(token: str) -> int:
        return await identify(token) if token else NOBODY

    return found


def connect(app: FastAPI, settings: Settings, delivery: EventDelivery = PREPARED_FRAMES) -> FastAPI:
    """Add the endpoints for events, and return the application."""
    app.router.routes.extend((delivery.websocket, socketio_server.ROUTE, event_stream.ROUTE))
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["*"],
            allow_headers=["*"],
        )
    return app
