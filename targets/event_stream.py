"""Events as Server-Sent Events: the endpoint `/events`."""

import asyncio
import logging
from dataclasses import dataclass

from fastapi import HTTPException
from fastapi.responses import JSONResponse, Response
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from loopmark.targets.emitter import AwaitedMailbox, Emitter
from loopmark.targets.event_contract import Identify
from loopmark.targets.events import RESOURCES, Event, user_room
from loopmark.targets.streaming_protocol import stream_of
from loopmark.targets.websocket import bearer_token, peer

PING = b": ping\n\n"
"""A comment, which clients pass over."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pings:
    """When a silent connection is tested.

    Attributes:
        interval_s: After so long without an event a comment is sent.
        timeout_s: So long may a client not read what is sent; then its connection is ended.
    """

    interval_s: float
    timeout_s: float


class EventStream(Response):
    """The answer that does not end while its client listens.

    Args:
        emitter: The emitter of the events.
        user_id: The user.
        pings: When its connection is tested.
        client: Its address, for the log.
    """

    media_type = "text/event-stream"

    def __init__(self, emitter: Emitter, user_id: int, pings: Pings, client: str) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        # It has no length.
        del self.headers["content-length"]
        self._emitter = emitter
        self._user_id = user_id
        self._pings = pings
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the client leaves, or reads no more."""
        connection = stream_of(scope)
        if connection is not None:
            connection.begin_stream()
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        events = AwaitedMailbox(self._emitter)
        sending = asyncio.create_task(self._send(events, send))
        left = _left(receive) if connection is None else connection.wait_until_lost()
        leaving = asyncio.create_task(left)
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not leaving.done():
                sending.result()
        except TimeoutError:
            logger.warning(
                "/events: user %d (%s): ended, as it reads no more", self._user_id, self._client
            )
            if connection is not None:
                connection.abort()
                # Else the server would find the answer incomplete.
                await leaving
        finally:
            self._emitter.disconnect(events)
            sending.cancel()
            leaving.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)

    async def _send(self, events: AwaitedMailbox, send: Send) -> None:
        """Send the greeting, and then every event.

        Raises:
            TimeoutError: The client reads no more.
        """
        greeting = {"user_id": self._user_id, "queue": self._emitter.limit}
        self._emitter.connect(events, (RESOURCES, user_room(self._user_id)))
        await self._write(Event("connected", greeting).block, send)
        while True:
            try:
                async with asyncio.timeout(self._pings.interval_s):
                    batch = await events.taken()
            except TimeoutError:
                await self._write(PING, send)
                continue
            await self._write(b"".join(event.block for event in batch), send)
            events.sent(len(batch))

    async def _write(self, blocks: bytes, send: Send) -> None:
        async with asyncio.timeout(self._pings.timeout_s):
            await send({"type": "http.response.body", "body": blocks, "more_body": True})


async def _left(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def listen(request: Request) -> Response:
    """Authenticate a client as other endpoints do, and send it events."""
    if request.method == "HEAD":
        return Response(media_type=EventStream.media_type)
    identify: Identify = request.state.identify
    try:
        user_id = await identify(bearer_token(request))
    except HTTPException as refusal:
        logger.warning("/events: %s: refused: %s", peer(request), refusal.detail)
        return JSONResponse({"detail": refusal.detail}, refusal.status_code, refusal.headers)
    return EventStream(request.state.emitter, user_id, request.state.pings, peer(request))


ROUTE = Route("/events", listen)
