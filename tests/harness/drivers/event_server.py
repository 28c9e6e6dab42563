"""A small target that tells events, over each protocol, and what it does to them when asked to.

A real one: Starlette and python-socketio on uvicorn, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import socketio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

Message = dict[str, Any]
Fault = Callable[[int, int, Message], list[Message]]
"""From a client's number, the event's and the event to what that client is told instead."""


def told_as_it_is(_client: int, _number: int, message: Message) -> list[Message]:
    return [message]


class EventServer:
    """Tells every client of each resource that is created.

    Attributes:
        fault: What becomes of an event on its way to a client.
        greets: Whether clients are greeted.
        refused: Tokens that are refused.
        status: Of the answers to creations.
        closes: Numbers of clients that are closed at the next event.
        connections: How many clients have connected, by token.
        requests: How many came, by path.
        has_emitter: Whether it tells of its emitter.
        answers_first: Whether it tells of a creation only after the answer.
        tells_after_s: How long after it.
        delay_s: Before a creation.
        certificate: Files of its chain and key, for TLS.
        lingers_s: Between telling of it and the answer.
    """

    def __init__(self) -> None:
        self.fault: Fault = told_as_it_is
        self.greets = True
        self.refused: set[str] = set()
        self.status = 200
        self.closes: set[int] = set()
        self.connections: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.has_emitter = True
        self.answers_first = False
        self.delay_s = 0.0
        self.lingers_s = 0.0
        self.tells_after_s = 0.02
        self.certificate: tuple[Path, Path] | None = None
        self.port = 0
        self._emitted = 0
        self._sockets: dict[int, WebSocket] = {}
        self._sids: dict[int, str] = {}
        self._streams: dict[int, asyncio.Queue[Message | None]] = {}
        self._sio = socketio.AsyncServer(async_mode="asgi", ping_interval=0.5, ping_timeout=5)
        self._sio.on("connect", self._connect)
        self._sio.on("disconnect", self._disconnect)

    @property
    def url(self) -> str:
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self.port}"

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._sockets) + len(self._sids) + len(self._streams)

    @contextmanager
    def running(self) -> Iterator[str]:
        routes = [
            Route("/warm", self._answer),
            Route("/publish", self._publish, methods=["POST"]),
            Route("/process", self._process, methods=["POST"]),
            Route("/api/v2/users/{number}", self._user, methods=["GET", "PATCH"]),
            Route("/api/v2/emitter", self._emitter),
            Route("/events", self._events),
            WebSocketRoute("/ws", self._websocket),
        ]
        app = socketio.ASGIApp(self._sio, Starlette(routes=routes))
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="critical",
            lifespan="off",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
            **self._tls(),
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.005)
            self.port = server.servers[0].sockets[0].getsockname()[1]
            yield self.url
        finally:
            server.should_exit = True
            thread.join()

    def _tls(self) -> dict[str, Any]:
        if self.certificate is None:
            return {}
        chain, key = self.certificate
        return {"ssl_certfile": str(chain), "ssl_keyfile": str(key)}

    # ---- HTTP ----

    async def _answer(self, request: Request) -> JSONResponse:
        self.requests[request.url.path] += 1
        return JSONResponse({"n": 1})

    async def _publish(self, request: Request) -> JSONResponse:
        self.requests[request.url.path] += 1
        await asyncio.sleep(self.delay_s)
        if self.status != 200:
            return JSONResponse({}, self.status)
        key = (await request.json())["id"]
        telling = self._tell("resource_created", {"resource_id": key, "user_id": 1})
        if self.answers_first:
            loop = asyncio.get_running_loop()
            loop.call_later(self.tells_after_s, lambda: asyncio.ensure_future(telling))
        else:
            await telling
            await asyncio.sleep(self.lingers_s)
        return JSONResponse({"id": key})

    async def _process(self, request: Request) -> JSONResponse:
        steps = (await request.json())["steps"]
        operation = f"op-{self.requests['/process']}"
        self.requests["/process"] += 1
        for number in range(steps + 1):
            data = {"operation_id": operation, "progress": 100 * number // steps}
            await self._tell("progress_update", data)
        await self._tell("operation_complete", {"operation_id": operation, "result": {}})
        return JSONResponse({"operation_id": operation})

    async def _user(self, request: Request) -> JSONResponse:
        self.requests["users"] += 1
        number = int(request.path_params["number"])
        changes = await request.json() if request.method == "PATCH" else {}
        return JSONResponse({"id": number, "username": f"user-{number}"} | changes)

    async def _emitter(self, _request: Request) -> JSONResponse:
        if not self.has_emitter:
            return JSONResponse({}, 404)
        counts = {"clients": self.clients, "emitted": self._emitted}
        return JSONResponse(counts | dict.fromkeys(("queued", "delivered", "dropped"), 0))

    # ---- events ----

    async def _tell(self, event: str, data: Message) -> None:
        number, self._emitted = self._emitted, self._emitted + 1
        message = {"event": event, "data": data | {"emitted_ns": time.monotonic_ns()}}
        for client in [*self._sockets, *self._sids, *self._streams]:
            if client in self.closes:
                self.closes.discard(client)
                await self._close(client)
                continue
            for one in self.fault(client, number, message):
                await self._send(client, one)

    async def _send(self, client: int, message: Message) -> None:
        with suppress(RuntimeError, WebSocketDisconnect):
            if client in self._sockets:
                text = message.get("text") or json.dumps(message)
                await self._sockets[client].send_text(text)
            elif client in self._sids:
                name, data = message.get("event", "garbage"), message.get("data")
                await self._sio.emit(name, data, to=self._sids[client])
            elif client in self._streams:
                self._streams[client].put_nowait(message)

    async def _close(self, client: int) -> None:
        if client in self._sockets:
            await self._sockets.pop(client).close(1011, "enough of it")
        elif client in self._streams:
            self._streams.pop(client).put_nowait(None)
        else:
            await self._sio.disconnect(self._sids.pop(client))

    def _number(self, token: str) -> int:
        self.connections[token] += 1
        return sum(self.connections.values()) - 1

    async def _websocket(self, socket: WebSocket) -> None:
        token = socket.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or token in self.refused:
            await socket.send_denial_response(JSONResponse({"detail": "no"}, 401))
            return
        await socket.accept()
        number = self._number(token)
        if self.greets:
            await socket.send_json({"event": "connected", "data": {"user_id": 1, "queue": 256}})
        self._sockets[number] = socket
        with suppress(WebSocketDisconnect):
            while True:
                await socket.receive_text()
        self._sockets.pop(number, None)

    async def _events(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or token in self.refused:
            return JSONResponse({"detail": "no"}, 401)
        number = self._number(token)
        events = self._streams[number] = asyncio.Queue()
        if self.greets:
            events.put_nowait({"event": "connected", "data": {"user_id": 1, "queue": 256}})
        return StreamingResponse(self._stream(number, events), media_type="text/event-stream")

    async def _stream(
        self, number: int, events: asyncio.Queue[Message | None]
    ) -> AsyncIterator[str]:
        try:
            while (message := await events.get()) is not None:
                data = json.dumps(message.get("data"))
                yield message.get("text") or f"event: {message['event']}\ndata: {data}\n\n"
        finally:
            self._streams.pop(number, None)

    async def _connect(self, sid: str, _environ: Message, auth: Message | None) -> None:
        token = (auth or {}).get("token", "")
        if not token or token in self.refused:
            raise socketio.exceptions.ConnectionRefusedError("Could not validate credentials")
        number = self._number(token)
        self._sids[number] = sid
        if self.greets:
            # Once the client is told that it is connected.
            self._sio.start_background_task(
                self._sio.emit, "connected", {"user_id": 1, "queue": 256}, to=sid
            )

    async def _disconnect(self, sid: str, _reason: str) -> None:
        self._sids = {number: one for number, one in self._sids.items() if one != sid}


@asynccontextmanager
async def running(server: EventServer) -> AsyncIterator[str]:
    """The same for a test on an event loop, which goes on meanwhile."""
    context = server.running()
    yield await asyncio.to_thread(context.__enter__)
    await asyncio.to_thread(context.__exit__, None, None, None)
