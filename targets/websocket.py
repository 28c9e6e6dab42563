"""Events over a plain WebSocket: the endpoint `/ws`."""

import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from fastapi import HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute

from loopmark.targets.emitter import Emitter, Mailbox
from loopmark.targets.event_contract import Identify
from loopmark.targets.events import RESOURCES, Event, user_room
from loopmark.targets.websocket_protocol import EXTENSION, WebSocketProtocol

INVALID_DATA: Final = 1007
UNSUPPORTED_DATA: Final = 1003
POLICY_VIOLATION: Final = 1008

CLIENT_LEFT: Final = frozenset({1000, 1001, 1005, 1006, 1012})
"""Close codes that are not errors."""

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


def bearer_token(connection: HTTPConnection) -> str:
    """Return the token of a client: from its header, else from its query; or an empty string."""
    scheme, _, token = connection.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return connection.query_params.get("token", "")


class FrameQueue(Mailbox):
    """The events that wait for one client of a plain WebSocket: none while the client reads.

    Args:
        emitter: The emitter of the events.
        connection: Where they go.
    """

    def __init__(self, emitter: Emitter, connection: WebSocketProtocol) -> None:
        super().__init__(emitter)
        self._connection = connection
        connection.on_writable = self._deliver

    def _deliver(self) -> None:
        events, connection, totals = self._events, self._connection, self._totals
        while events and connection.is_writable:
            connection.write_frame(events.popleft().frame)
            totals.delivered += 1


class Listener:
    """One connected client.

    Args:
        websocket: Its connection.
        emitter: The emitter of its events.
        user_id: Its user.
    """

    def __init__(self, websocket: WebSocket, emitter: Emitter, user_id: int) -> None:
        self._websocket = websocket
        self._emitter = emitter
        self._rooms = (RESOURCES, user_room(user_id))
        self._user_id = user_id
        self._queue = self._mailbox()

    def _mailbox(self) -> Mailbox:
        return FrameQueue(self._emitter, self._websocket.scope["extensions"][EXTENSION])

    async def _greet(self, greeting: Event) -> None:
        connection: WebSocketProtocol = self._websocket.scope["extensions"][EXTENSION]
        # It may have gone already.
        if connection.is_writable:
            connection.write_frame(greeting.frame)

    async def listen(self) -> None:
        """Serve the client until its connection ends."""
        await self._greet(
            Event("connected", {"user_id": self._user_id, "queue": self._emitter.limit})
        )
        self._emitter.connect(self._queue, self._rooms)
        try:
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
        # No mailbox may drop the answer. A client that does not read it waits for its next one.
        answer = Event(ACTIONS[action.name], {"room": action.room})
        # If the connection has ended, what is received next says how.
        with suppress(WebSocketDisconnect):
            await self._websocket.send_text(answer.text)

    def _log(self, code: int, reason: str) -> None:
        logger.warning(
            "/ws: user %d (%s): closed with %d: %s",
            self._user_id,
            peer(self._websocket),
            code,
            reason,
        )


def peer(connection: HTTPConnection) -> str:
    """Return the client's address for a line of the log."""
    client = connection.client
    return f"{client.host}:{client.port}" if client else "unknown"


async def listen(websocket: WebSocket, kind: type[Listener] = Listener) -> None:
    """Authenticate a client as HTTP does, and send it events.

    Args:
        websocket: Its connection.
        kind: How events are sent.
    """
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
        await kind(websocket, emitter, user_id).listen()


ROUTE = WebSocketRoute("/ws", listen)
