"""The async-plain variant: events and uploads as tutorials of the frameworks have them.

Events go through `send_text` and python-socketio's own `emit`, uploads through `UploadFile`. What
waits for a client of Socket.IO is not bounded, as python-socketio does not bound it.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiofiles
import engineio
import socketio
from fastapi import APIRouter, BackgroundTasks, FastAPI, Request
from socketio.exceptions import ConnectionRefusedError as Refusal
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from loopmark.targets import async_app, async_uploads, contract, event_service, file_contract
from loopmark.targets.async_files import TheWorkplace
from loopmark.targets.async_sessions import Sessions, identified
from loopmark.targets.emitter import AwaitedMailbox, Emitter
from loopmark.targets.event_contract import Identify
from loopmark.targets.events import RESOURCES, Event, user_room
from loopmark.targets.file_names import fault
from loopmark.targets.settings import Settings
from loopmark.targets.socketio_server import NAMESPACE, OriginsOfTheTarget, user_of
from loopmark.targets.upload_stream import FIELD, PIECE_BYTES, StoredFile, log_refused
from loopmark.targets.websocket import Listener, listen
from loopmark.targets.workplace import Workplace

logger = logging.getLogger(__name__)
router = APIRouter()


# ---- events ----


class TextListener(Listener):
    """A client of a plain WebSocket, to whom each event is a text of its own."""

    def _mailbox(self) -> AwaitedMailbox:
        return AwaitedMailbox(self._emitter)

    async def _greet(self, greeting: Event) -> None:
        await self._websocket.send_text(greeting.text)

    async def listen(self) -> None:
        """Serve the client until its connection ends."""
        sending = asyncio.create_task(self._send())
        try:
            await super().listen()
        finally:
            sending.cancel()

    async def _send(self) -> None:
        mailbox = self._queue
        assert isinstance(mailbox, AwaitedMailbox)
        # Its end is told to who receives.
        with suppress(WebSocketDisconnect, RuntimeError):
            while True:
                for event in await mailbox.taken():
                    await self._websocket.send_text(event.text)
                    mailbox.sent(1)


class _EngineServer(OriginsOfTheTarget, engineio.AsyncServer):  # type: ignore[misc] # untyped
    """Engine.IO as it is, but for whose pages may connect."""


class PlainServer(socketio.AsyncServer):  # type: ignore[misc] # python-socketio has no types
    """Sends the events of an emitter with `emit`; the arguments are those of `EventServer`."""

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
            ping_interval=ping_interval_s,
            ping_timeout=ping_timeout_s,
            cors_credentials=False,
        )
        self.eio.allowed_origins = allowed_origins
        self._emitter = emitter
        self._identify = identify
        self._sending: dict[str, asyncio.Task[None]] = {}
        self.on("connect", self._on_connect)
        self.on("disconnect", self._on_disconnect)

    async def _on_connect(self, sid: str, environ: dict[str, Any], auth: object = None) -> None:
        user_id = await user_of(self._identify, environ, auth)
        engine = self.eio.sockets.get(self.manager.eio_sid_from_sid(sid, NAMESPACE))
        if engine is None or engine.closed:
            raise Refusal("The client has left.")
        # Once the client is told that it is connected.
        self._sending[sid] = self.start_background_task(self._send, sid, user_id)

    async def _on_disconnect(self, sid: str, *_reason: object) -> None:
        if sending := self._sending.pop(sid, None):
            sending.cancel()

    async def _send(self, sid: str, user_id: int) -> None:
        mailbox = AwaitedMailbox(self._emitter)
        greeting = {"user_id": user_id, "queue": self._emitter.limit}
        await self.emit("connected", greeting, to=sid)
        self._emitter.connect(mailbox, (RESOURCES, user_room(user_id)))
        try:
            while True:
                for event in await mailbox.taken():
                    await self.emit(event.name, event.data, to=sid)
                    mailbox.sent(1)
        finally:
            self._emitter.disconnect(mailbox)

    def _engineio_server_class(self) -> type[_EngineServer]:
        return _EngineServer


# ---- uploads ----


@file_contract.UPLOAD.on(router)
async def upload(
    request: Request,
    sessions: Sessions,
    credentials: contract.Credentials,
    workplace: TheWorkplace,
    background: BackgroundTasks,
) -> file_contract.Uploaded:
    """Let the framework parse the form, copy the file from its temporary one, answer."""
    user_id = await identified(sessions, credentials)
    try:
        async with _parsed(request) as form:
            stored = await _stored(form, workplace)
    except file_contract.RefusalError as error:
        raise log_refused(error, user_id) from error
    return await async_uploads.accepted(
        stored, user_id, sessions, workplace, background, request.state.emitter
    )


file_contract.GET_UPLOAD.on(router)(async_uploads.get_upload)


@asynccontextmanager
async def _parsed(request: Request) -> AsyncIterator[FormData]:
    """Parse the form, and close its files at the end.

    Raises:
        RefusalError: It is malformed.
    """
    try:
        form = await request.form(max_files=1, max_fields=0)
    except HTTPException as error:
        reason = error.detail.rstrip(".")
        raise file_contract.RefusalError(file_contract.MALFORMED, reason) from error
    try:
        yield form
    finally:
        await form.close()


async def _stored(form: FormData, workplace: Workplace) -> StoredFile:
    """Copy the file of a form.

    Raises:
        RefusalError: There is none, or its name or its size is not acceptable.
    """
    file = form.get(FIELD)
    if not isinstance(file, UploadFile):
        raise _unusable(f"It has no file named {FIELD!r}")
    name = file.filename or ""
    if reason := fault(name):
        raise _unusable(f"The file's name {name[:100]!r}: {reason}")
    upload_id = uuid4()
    path = workplace.uploads() / f"{upload_id}.upload"
    try:
        size, digest = await _copied(file, path, workplace.settings.max_upload_bytes)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return StoredFile(upload_id, name, path, size, digest)


async def _copied(file: UploadFile, path: Path, largest: int) -> tuple[int, str]:
    """Write it here; returns its size and its digest."""
    digest, size = hashlib.sha256(), 0
    async with aiofiles.open(path, "xb") as copy:
        while piece := await file.read(PIECE_BYTES):
            size += len(piece)
            if size > largest:
                what = f"More than {largest} bytes are not taken"
                raise file_contract.RefusalError(file_contract.TOO_LARGE, what)
            digest.update(piece)
            await copy.write(piece)
    if not size:
        raise _unusable("The file is empty")
    return size, digest.hexdigest()


def _unusable(reason: str) -> file_contract.RefusalError:
    return file_contract.RefusalError(file_contract.UPLOAD_UNUSABLE, reason)


def build(settings: Settings) -> FastAPI:
    """Return the application."""
    route = WebSocketRoute("/ws", partial(listen, kind=TextListener))
    delivery = event_service.EventDelivery(route, PlainServer)
    return async_app.build(settings, async_app.Parts(uploads=router, events=delivery))
