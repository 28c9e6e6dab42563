"""Events over Socket.IO: the server behind `/socket.io`.

python-socketio speaks the protocol. Two things are our own, by way of its hooks: what waits for a
client is bounded, and what a client sends is looked at before it reaches code that would meet it
with a traceback, or with silence.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import engineio
import socketio
from engineio.async_drivers import asgi
from engineio.exceptions import EngineIOError, SocketIsClosedError
from engineio.packet import CLOSE, MESSAGE, NOOP, PING, PONG, UPGRADE, Packet, packet_names
from engineio.payload import Payload
from fastapi import HTTPException
from socketio import packet as socketio_packet
from socketio.exceptions import ConnectionRefusedError as Refusal
from sqlalchemy.exc import SQLAlchemyError
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from loopmark.targets.emitter import Emitter, Mailbox
from loopmark.targets.event_contract import Identify
from loopmark.targets.events import RESOURCES, Event, user_room
from loopmark.targets.websocket import CLIENT_LEFT, INVALID_DATA, POLICY_VIOLATION, UNSUPPORTED_DATA
from loopmark.targets.websocket_protocol import EXTENSION, MAX_MESSAGE, WebSocketProtocol

PATH: Final = "/socket.io"
NAMESPACE: Final = "/"
POLL_PACKETS: Final = 16
"""Packets in one answer to a poll: python-socketio's own client refuses more."""

MAX_CONTROL: Final = 256
"""Packets of the protocol that may wait for one client. One that asks and asks and never reads the
answers is disconnected."""

UNTIL_UPGRADE: Final = frozenset({PING, UPGRADE})
AFTER_UPGRADE: Final = frozenset({CLOSE, PONG, MESSAGE})
"""Types of the packets that a client may send on a WebSocket."""

logger = logging.getLogger(__name__)
logger.setLevel(logging.WARNING)


class PacketQueue(Mailbox):
    """What waits for one client, with the methods of the queue that Engine.IO expects.

    Events are bounded, and the oldest is dropped. Packets of the protocol are never dropped and go
    first: openings, pings, acknowledgements, and the None that ends the connection. Engine.IO takes
    them from here and sends them. To a client on a WebSocket events are written at once, as long as
    it reads and no packet of the protocol is on its way; one that polls gets them with those.

    Args:
        emitter: Whose events these are.

    Attributes:
        socket: The Engine.IO socket that empties this queue.
        connection: Its WebSocket, if it has one.
        refusal: Close code and reason, once the client is to be disconnected for what it did.
    """

    def __init__(self, emitter: Emitter) -> None:
        super().__init__(emitter)
        self.socket: Any = None
        self.connection: WebSocketProtocol | None = None
        self.refusal: tuple[int, str] | None = None
        self._control: deque[Packet | None] = deque()
        self._getter: asyncio.Future[Packet | None] | None = None
        self._taken = 0

    def connected_over(self, connection: WebSocketProtocol) -> None:
        """Take the WebSocket to which events go, once Engine.IO says that it is to be used."""
        self.connection = connection
        connection.on_writable = self._deliver

    def get(self) -> "asyncio.Future[Packet | None]":
        """Take the next packet, or wait for it.

        It is a future and no coroutine: Engine.IO waits with a timeout, which would make a task of
        each coroutine.
        """
        getter: asyncio.Future[Packet | None] = asyncio.get_running_loop().create_future()
        self._taken = 0
        self._getter = getter
        self._deliver()
        return getter

    def get_nowait(self) -> Packet | None:
        """Take one packet more into the same answer.

        Raises:
            asyncio.QueueEmpty: There is none, or the answer is full.
        """
        if self._taken >= POLL_PACKETS or not self._has_packets():
            raise asyncio.QueueEmpty
        return self._take()

    def put_nowait(self, packet: Packet | None) -> None:
        """Let a packet of the protocol wait.

        Raises:
            SocketIsClosedError: The client has asked for too many, and read none.
        """
        asked_for = packet is not None and packet.packet_type not in {PING, CLOSE}
        if asked_for and len(self._control) >= MAX_CONTROL:
            raise SocketIsClosedError("Too many answers wait to be read.")
        self._control.append(packet)
        self._deliver()

    async def put(self, packet: Packet | None) -> None:
        """Do the same; it never waits."""
        self.put_nowait(packet)

    def end_poll(self) -> None:
        """Let the request of a client that polls be answered: there is nothing to come any more."""
        if not self._is_upgraded():
            self._control.append(Packet(NOOP))
            self._deliver()

    def task_done(self) -> None:
        """Nobody waits for the end of the work: see `join`."""

    async def join(self) -> None:
        """Do not wait until a client has read everything: it may never do so."""

    def _is_upgraded(self) -> bool:
        return self.socket is not None and bool(self.socket.upgraded)

    def _has_packets(self) -> bool:
        """Whether there is something that Engine.IO is to send."""
        return bool(self._control or (self._events and not self._is_upgraded()))

    def _take(self) -> Packet | None:
        self._taken += 1
        if self._control:
            return self._control.popleft()
        self._totals.delivered += 1
        return self._events.popleft().packet

    def _deliver(self) -> None:
        getter = self._getter
        if getter is None or getter.done():
            # Engine.IO is sending what it took before; an event must not overtake it.
            return
        if self._has_packets():
            self._getter = None
            getter.set_result(self._take())
            return
        events, connection, totals = self._events, self.connection, self._totals
        while events and connection is not None and connection.is_writable:
            connection.write_frame(events.popleft().packet_frame)
            totals.delivered += 1


class MalformedPayload(EngineIOError):  # type: ignore[misc] # noqa: N818 - it names what came
    """The body of a polling request is not a sequence of Engine.IO packets."""


def engine_packet_type(encoded: str) -> int | None:
    """Return the type of an Engine.IO packet that holds text; None when it is no such packet."""
    try:
        packet = Packet(encoded_packet=encoded)
    except (ValueError, RecursionError):
        return None
    known = not packet.binary and packet.packet_type < len(packet_names)
    return int(packet.packet_type) if known else None


def is_client_packet(data: object) -> bool:
    """Whether it can be read as a Socket.IO packet that a client may send."""
    if not isinstance(data, str):
        return False
    try:
        packet = socketio_packet.Packet(encoded_packet=data)
    except (ValueError, RecursionError):
        return False
    match packet.packet_type, packet.data:
        case (
            (socketio_packet.CONNECT, None | dict())
            | (socketio_packet.DISCONNECT, _)
            | (socketio_packet.ACK, list())
        ):
            return True
        case (socketio_packet.EVENT, [str(name), *_]):
            # These are python-socketio's own, and would reach its handlers.
            return name not in {"connect", "disconnect"}
    return False


class _PollingBody:
    """The body of a polling request, looked at before Engine.IO reads it."""

    def __init__(self, body: Any) -> None:  # noqa: ANN401 - Engine.IO's own, without a name
        self._body = body

    async def read(self, length: int) -> bytes:
        """Return the body.

        Raises:
            MalformedPayload: It is none.
        """
        content: bytes = await self._body.read(length)
        try:
            text = content.decode()
            Payload(encoded_payload=text)
        except (ValueError, LookupError, RecursionError):
            raise MalformedPayload from None
        if any(engine_packet_type(packet) is None for packet in text.split("\x1e") if text):
            raise MalformedPayload
        return content


async def _translated_request(scope: Scope, receive: Receive, send: Send) -> dict[str, Any]:
    environ: dict[str, Any] = await asgi.translate_request(scope, receive, send)
    if environ:
        environ["wsgi.input"] = _PollingBody(environ["wsgi.input"])
    return environ


async def _respond(
    status: str, headers: list[tuple[str, str]], payload: bytes, environ: dict[str, Any]
) -> None:
    """Answer, also a handshake that is refused, and log what went wrong."""
    code, scope = int(status[:3]), environ["asgi.scope"]
    if code >= 400:  # noqa: PLR2004 - where HTTP's errors begin
        logger.warning("%s: %s: refused: %d %s", PATH, _peer(scope), code, payload.decode())
    if code == 200 or scope["type"] != "websocket":  # noqa: PLR2004
        await asgi.make_response(status, headers, payload, environ)
        return
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await environ["asgi.send"](
        {"type": "websocket.http.response.start", "status": code, "headers": encoded}
    )
    await environ["asgi.send"]({"type": "websocket.http.response.body", "body": payload})


def _peer(scope: Scope) -> str:
    """Return the client's address for a line of the log."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else "unknown"


async def _disconnect(socket: Any, scope: Scope, code: int, reason: str) -> None:  # noqa: ANN401
    """End a client's connection for what it did, and send it nothing more until then."""
    logger.warning("%s: %s: closed with %d: %s", PATH, _peer(scope), code, reason)
    socket.queue.refusal = (code, reason)
    await socket.close(wait=False, reason=reason)


class _WebSocket(asgi.WebSocket):  # type: ignore[misc] # Engine.IO has no types
    """Engine.IO's connection, which closes with a code and a reason on bad input."""

    def __init__(self, handler: Any, server: Any) -> None:  # noqa: ANN401
        super().__init__(handler, server)
        self._socket = handler.__self__
        self._scope: Scope = {}

    async def __call__(self, environ: dict[str, Any]) -> str:
        self._scope = environ["asgi.scope"]
        self._socket.queue.connected_over(self._scope["extensions"][EXTENSION])
        answer: str = await super().__call__(environ)
        return answer

    async def wait(self) -> str:
        """Return what the client sends next.

        Raises:
            OSError: The connection ends here.
        """
        if self._socket.closed:
            raise OSError
        event = await self.asgi_receive()
        if event["type"] != "websocket.receive":
            if event["code"] not in CLIENT_LEFT:
                await self._refuse(event["code"], event.get("reason") or "")
            raise OSError
        if self._socket.closed:
            # While it waited: pings were not answered.
            raise OSError
        text: str | None = event.get("text")
        if text is None:
            await self._refuse(UNSUPPORTED_DATA, "Binary messages are not understood.")
            raise OSError
        packet_type = engine_packet_type(text)
        accepted = AFTER_UPGRADE if self._socket.upgraded else UNTIL_UPGRADE
        if packet_type not in accepted:
            await self._refuse(INVALID_DATA, "Not an Engine.IO packet that could come here.")
            raise OSError
        return text

    async def close(self) -> None:
        """Close the connection, and say why if there is a reason."""
        code, reason = self._socket.queue.refusal or (1000, "")
        # It may be closed already.
        with suppress(OSError, RuntimeError):
            await self.asgi_send({"type": "websocket.close", "code": code, "reason": reason})

    async def _refuse(self, code: int, reason: str) -> None:
        await _disconnect(self._socket, self._scope, code, reason)


class OriginsOfTheTarget:
    """The part of an Engine.IO server that says whose pages may connect.

    Attributes:
        allowed_origins: Beside those of this server; "*" is any.
    """

    allowed_origins: tuple[str, ...]

    def _cors_allowed_origins(self, environ: dict[str, Any]) -> list[str] | None:
        if "*" in self.allowed_origins:
            return None
        own: list[str] = super()._cors_allowed_origins(environ)  # type: ignore[misc]
        return [*own, *self.allowed_origins]

    def _cors_headers(self, _environ: dict[str, Any]) -> list[tuple[str, str]]:
        """Leave them to the application's middleware: browsers refuse an answer with two of one."""
        return []


class _EngineServer(OriginsOfTheTarget, engineio.AsyncServer):  # type: ignore[misc] # untyped
    """Engine.IO with bounded queues and checked input."""

    emitter: Emitter

    def __init__(self, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._async = asgi._async | {  # noqa: SLF001 - how Engine.IO is told of its surroundings
            "translate_request": _translated_request,
            "make_response": _respond,
            "websocket": _WebSocket,
        }

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one for a session that has ended finds none, whatever its method."""
        for sid in parse_qs(scope["query_string"].decode("latin-1")).get("sid", ()):
            if sid in self.sockets and self.sockets[sid].closed:
                del self.sockets[sid]
        await super().handle_request(scope, receive, send)

    def create_queue(self, *_args: object, **_options: object) -> PacketQueue:
        """Return the queue of a new client."""
        return PacketQueue(self.emitter)

    def _log_error_once(self, message: str, message_key: str) -> None:
        """Leave it to `_respond`, which logs every refusal, and not the first alone."""


class EventServer(socketio.AsyncServer):  # type: ignore[misc] # python-socketio has no types
    """Sends the events of an emitter to clients.

    Args:
        emitter: Whose events.
        identify: Finds the user behind a token.
        ping_interval_s: How often a client must show that it is there, in seconds.
        ping_timeout_s: How long it may take to do so, in seconds.
        allowed_origins: Of pages that may connect beside those of this server; "*" is any.
    """

    def __init__(
        self,
        emitter: Emitter,
        identify: Identify,
        *,
        ping_interval_s: int,
        ping_timeout_s: int,
        allowed_origins: tuple[str, ...],
    ) -> None:
        super().__init__(
            async_mode="asgi",
            # In the order in which the client sent them, and no more than one at a time.
            async_handlers=False,
            ping_interval=ping_interval_s,
            ping_timeout=ping_timeout_s,
            max_http_buffer_size=MAX_MESSAGE,
            http_compression=False,
            cors_credentials=False,
            logger=logger,
            engineio_logger=logger,
        )
        self.eio.emitter = emitter
        self.eio.allowed_origins = allowed_origins
        self._emitter = emitter
        self._identify = identify
        self._accepted: dict[str, int] = {}
        self._listeners: dict[str, _Listener] = {}
        self._deadlines: set[asyncio.Task[None]] = set()
        self.on("connect", self._on_connect)
        self.on("disconnect", self._on_disconnect)
        self.on("subscribe", self._on_subscribe)
        self.on("unsubscribe", self._on_unsubscribe)
        self.on("*", self._on_other)

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        self._accepted[sid] = await user_of(self._identify, environ, auth)

    async def _on_disconnect(self, sid: str, *_reason: object) -> None:
        listener = self._listeners.pop(sid, None)
        if listener is not None:
            self._emitter.disconnect(listener.queue)

    async def _on_subscribe(self, sid: str, *arguments: object) -> dict[str, str]:
        return self._moved(sid, arguments, self._emitter.enter)

    async def _on_unsubscribe(self, sid: str, *arguments: object) -> dict[str, str]:
        return self._moved(sid, arguments, self._emitter.leave)

    async def _on_other(self, event: str, sid: str, *_arguments: object) -> dict[str, str]:
        return self._refused(sid, f"There is no event {event[:64]!r} for clients to send.")

    def _moved(
        self, sid: str, arguments: tuple[object, ...], move: Callable[[Mailbox, str], None]
    ) -> dict[str, str]:
        """Move a client into a room or out of it, and return the acknowledgement."""
        match arguments:
            case ({"room": str(room)},):
                pass
            case _:
                return self._refused(sid, 'Expected {"room": "..."}.')
        listener = self._listeners.get(sid)
        if listener is None or room not in listener.rooms:
            return self._refused(sid, "There is no such room for this user.")
        move(listener.queue, room)
        return {"status": "ok", "room": room}

    def _refused(self, sid: str, detail: str) -> dict[str, str]:
        environ = self.get_environ(sid)
        peer = _peer(environ["asgi.scope"]) if environ else "unknown"
        logger.warning("%s: %s: %s", PATH, peer, detail)
        return {"status": "error", "detail": detail}

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        """Send a client events only after its connection was acknowledged."""
        await super()._handle_connect(eio_sid, namespace, data)
        sid = self.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
        user_id = self._accepted.pop(sid, None)
        if user_id is None:
            return
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closed:
            # It went away while the database was asked who it is.
            await self.manager.disconnect(sid, NAMESPACE)
            return
        greeting = Event("connected", {"user_id": user_id, "queue": self._emitter.limit})
        socket.queue.put_nowait(greeting.packet)
        listener = _Listener(socket.queue, (RESOURCES, user_room(user_id)))
        self._listeners[sid] = listener
        self._emitter.connect(listener.queue, listener.rooms)

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        socket = self.eio.sockets[eio_sid]
        socket.queue.socket = socket
        # A connection without a user would be kept for as long as it answers pings.
        deadline = asyncio.create_task(self._expect_user(eio_sid), name="expect a user")
        self._deadlines.add(deadline)
        deadline.add_done_callback(self._deadlines.discard)

    async def _expect_user(self, eio_sid: str) -> None:
        """Disconnect whoever has not said in time who it is."""
        await asyncio.sleep(self.eio.ping_timeout)
        if self.manager.sid_from_eio_sid(eio_sid, NAMESPACE) is None:
            await self._refuse(eio_sid, POLICY_VIOLATION, "Nobody has connected.")

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """Leave no poll open: its client would wait for the end of it before it goes."""
        await super()._handle_eio_disconnect(eio_sid, reason)
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            socket.queue.end_poll()

    async def _handle_eio_message(self, eio_sid: str, data: object) -> None:
        """Refuse what is no packet of a client, and who asks without reading the answers."""
        if eio_sid not in self.environ:
            return  # It came behind the client's own CLOSE.
        if not is_client_packet(data):
            await self._refuse(eio_sid, INVALID_DATA, "Not a Socket.IO packet of a client.")
            return
        try:
            await super()._handle_eio_message(eio_sid, data)
        except SocketIsClosedError as error:
            await self._refuse(eio_sid, POLICY_VIOLATION, str(error))

    async def _refuse(self, eio_sid: str, code: int, reason: str) -> None:
        socket, environ = self.eio.sockets.get(eio_sid), self.environ.get(eio_sid)
        if socket is not None and environ is not None:
            await _disconnect(socket, environ["asgi.scope"], code, reason)

    def _engineio_server_class(self) -> type[_EngineServer]:
        return _EngineServer


@dataclass(frozen=True, slots=True)
class _Listener:
    """One connected client: its queue, and the rooms that are open to it."""

    queue: PacketQueue
    rooms: tuple[str, ...]


async def user_of(identify: Identify, environ: dict[str, Any], auth: object) -> int:
    """Find the user of a client that connects.

    Args:
        identify: How the variant finds the user behind a token.
        environ: Of the connection.
        auth: What came with the CONNECT packet.

    Raises:
        Refusal: There is none, or the database cannot be asked.
    """
    try:
        return await identify(_token(environ, auth))
    except HTTPException as refusal:
        logger.warning("%s: %s: refused: %s", PATH, _peer(environ["asgi.scope"]), refusal.detail)
        raise Refusal(refusal.detail) from None
    except (SQLAlchemyError, OSError) as error:
        # Else python-socketio would answer nothing, and keep the client as half connected.
        peer, cause = _peer(environ["asgi.scope"]), str(error).partition("\n")[0]
        logger.warning("%s: %s: nobody could be identified: %s", PATH, peer, cause)
        raise Refusal("The token could not be looked up; try again.") from None


def _token(environ: dict[str, Any], auth: object) -> str:
    """Return the token of a client: from its CONNECT packet, else from the HTTP header."""
    match auth:
        case {"token": str(token)}:
            # JSON can hold halves of characters, which have no encoding; no token does.
            return token if token.isprintable() else ""
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def _serve(scope: Scope, receive: Receive, send: Send) -> None:
    await scope["state"]["socketio"].handle_request(scope, receive, send)


ROUTE = Mount(PATH, app=_serve)
