"""Events over a plain WebSocket: the endpoint `/ws`."""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fastapi import HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from starlette.routing import WebSocketRoute

from targets.emitter import Emitter, Mailbox
from targets.event_contract import Identify
from targets.events import RESOURCES, Event, user_room

INVALID_DATA: Final = 1007
UNSUPPORTED_DATA: Final = 1003
POLICY_VIOLATION: Final = 1008

CLIENT_LEFT: Final = frozenset({1000, 1001, 1005, 1006, 1012})
"""Codes of a connection that ended without anybody having done wrong."""

ACTIONS: Final = {"subscribe": "subscribed", "unsubscribe": "unsubscribed"}

logger = logging.getLogger(__name__)


class RefusedMessage(Exception):  # noqa: N818 - it names what happened to the message
    """A message that ends its connection, with this close code and this reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Action:
    """What a client asks for: its name, and the room."""

    name: str
    room: str


def parse_action(text: str) -> Action:
    """Read the message of a client.

    Raises:
        RefusedMessage: It is not JSON, or not an action.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise RefusedMessage(INVALID_DATA, "Not JSON.") from None
    match message:
        case {"action": ("subscribe" | "unsubscribe") as name, "room": str(room), **rest}:
            if not rest:
                return Action(name, room)
    raise RefusedMessage(
        INVALID_DATA, 'Expected {"action": "subscribe" or "unsubscribe", "room": "..."}.'
    )


def bearer_token(websocket: WebSocket) -> str:
    """Return the token of a handshake: from its header, else from its query; or an empty string."""
    scheme, _, token = websocket.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return websocket.query_params.get("token", "")


class EventQueue(Mailbox):
    """What waits for one client of a plain WebSocket; one task empties it."""

    def __init__(self, emitter: Emitter) -> None:
        super().__init__(emitter)
        self._filled: asyncio.Future[None] | None = None

    async def get(self) -> Event:
        """Wait for an event, and take the oldest."""
        while not self._events:
            self._filled = asyncio.get_running_loop().create_future()
            await self._filled
        return self._events.popleft()

    def _wake(self) -> None:
        if self._filled is not None:
            if not self._filled.done():
                self._filled.set_result(None)
            self._filled = None


class Listener:
    """One connected client.

    Args:
        websocket: Its connection.
        emitter: Whose events it hears.
        user_id: Who it is.
    """

    def __init__(self, websocket: WebSocket, emitter: Emitter, user_id: int) -> None:
        self._websocket = websocket
        self._emitter = emitter
        self._rooms = (RESOURCES, user_room(user_id))
        self._user_id = user_id
        self._queue = EventQueue(emitter)

    async def listen(self) -> None:
        """Serve the client until its connection ends."""
        # Whatever is emitted from here on waits in the mailbox until the client was greeted.
        self._emitter.connect(self._queue, self._rooms)
        writer = None
        try:
            await self._answer(
                "connected", {"user_id": self._user_id, "queue": self._emitter.limit}
            )
            writer = asyncio.create_task(self._write(), name="events")
            while True:
                await self._obey(await self._receive())
        except RefusedMessage as refused:
            self._log(refused.code, refused.reason)
            self._emitter.disconnect(self._queue)
            with suppress(WebSocketDisconnect):
                await self._websocket.close(refused.code, refused.reason)
        except WebSocketDisconnect as left:
            if left.code not in CLIENT_LEFT:
                self._log(left.code, left.reason)
        finally:
            self._emitter.disconnect(self._queue)
            if writer is not None:
                writer.cancel()
                with suppress(asyncio.CancelledError):
                    await writer

    async def _write(self) -> None:
        """Hand events to the connection, as fast as the client reads."""
        totals, get, send = self._emitter.totals, self._queue.get, self._websocket.send
        # The reader is told of the end as well.
        with suppress(WebSocketDisconnect):
            while True:
                event = await get()
                await send({"type": "websocket.send", "text": event.text})
                totals.delivered += 1

    async def _receive(self) -> str:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        text: str | None = message.get("text")
        if text is None:
            raise RefusedMessage(UNSUPPORTED_DATA, "Binary messages are not understood.")
        return text

    async def _obey(self, text: str) -> None:
        action = parse_action(text)
        if action.room not in self._rooms:
            raise RefusedMessage(POLICY_VIOLATION, "There is no such room for this user.")
        if action.name == "subscribe":
            self._emitter.enter(self._queue, action.room)
        else:
            self._emitter.leave(self._queue, action.room)
        await self._answer(ACTIONS[action.name], {"room": action.room})

    async def _answer(self, name: str, data: dict[str, object]) -> None:
        """Tell the client at once what no mailbox may drop; it is slow at its own expense."""
        await self._websocket.send({"type": "websocket.send", "text": Event(name, data).text})

    def _log(self, code: int, reason: str) -> None:
        logger.warning(
            "/ws: user %d (%s): closed with %d: %s",
            self._user_id,
            peer(self._websocket),
            code,
            reason,
        )


def peer(websocket: WebSocket) -> str:
    """Return the client's address for a line of the log."""
    return f"{websocket.client.host}:{websocket.client.port}" if websocket.client else "unknown"


async def listen(websocket: WebSocket) -> None:
    """Authenticate a client as HTTP does, and let it hear events."""
    identify: Identify = websocket.state.identify
    emitter: Emitter = websocket.state.emitter
    try:
        user_id = await identify(bearer_token(websocket))
    except HTTPException as refusal:
        logger.warning("/ws: %s: refused: %s", peer(websocket), refusal.detail)
        await websocket.send_denial_response(
            JSONResponse({"detail": refusal.detail}, refusal.status_code, refusal.headers)
        )
        return
    with suppress(WebSocketDisconnect):
        await websocket.accept()
        await Listener(websocket, emitter, user_id).listen()


ROUTE = WebSocketRoute("/ws", listen)
