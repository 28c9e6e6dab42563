"""Events and uploads as tutorials have them: the same to a client that behaves."""

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio
import websockets
from socketio.exceptions import ConnectionRefusedError as Refusal

from loopmark.targets.async_plain import PlainServer
from loopmark.targets.emitter import Emitter
from tests.hang_limit import HANG_S
from tests.targets.conftest import MAX_UPLOAD_BYTES, TOKENS, StartTarget, served_client
from tests.targets.test_socketio import connected

pytestmark = pytest.mark.anyio

VARIANT = "async-plain"
CREATE = "/api/v2/resource/create"
UPLOAD = "/api/v2/upload"
AUTH = {"Authorization": f"Bearer {TOKENS[0]}"}


def has_files(folder: Path) -> bool:
    return any(folder.iterdir())


async def created(client: httpx.AsyncClient, count: int) -> list[str]:
    """Create resources; returns their ids."""
    ids = [f"new-{number}" for number in range(count)]
    for one in ids:
        assert (await client.post(CREATE, json={"id": one, "name": "n"})).is_success
    return ids


async def test_events_come_in_order_over_a_websocket(start_target: StartTarget) -> None:
    target = start_target(VARIANT)
    address = f"{target.url.replace('http', 'ws')}/ws?token={TOKENS[1]}"
    async with (
        websockets.connect(address) as listener,
        served_client(target.url, AUTH) as client,
        asyncio.timeout(HANG_S),
    ):

        async def heard() -> tuple[str, dict[str, Any]]:
            message = json.loads(await listener.recv())
            return message["event"], message["data"]

        assert await heard() == ("connected", {"user_id": 2, "queue": 256})
        ids = await created(client, 20)
        events = [await heard() for _ in ids]
        assert [data["resource_id"] for _, data in events] == ids
        await listener.send(json.dumps({"action": "unsubscribe", "room": "resources"}))
        assert await heard() == ("unsubscribed", {"room": "resources"})
    async with served_client(target.url, AUTH) as client, asyncio.timeout(HANG_S):
        while (await client.get("/api/v2/emitter")).json()["clients"]:
            await asyncio.sleep(0.02)
    assert target.ended() == []


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]])
async def test_events_come_in_order_over_socketio(
    start_target: StartTarget, transports: list[str]
) -> None:
    target = start_target(VARIANT)
    async with (
        connected(target.url, transports, user=2) as listener,
        served_client(target.url, AUTH) as client,
    ):
        ids = await created(client, 20)
        events = [await listener.hear() for _ in ids]
        assert [data["resource_id"] for _, data in events] == ids
    async with served_client(target.url, AUTH) as client, asyncio.timeout(HANG_S):
        while (await client.get("/api/v2/emitter")).json()["clients"]:
            await asyncio.sleep(0.02)


async def test_without_a_valid_token_nobody_listens(start_target: StartTarget) -> None:
    target = start_target(VARIANT)
    with pytest.raises(websockets.exceptions.InvalidStatus):
        await websockets.connect(f"{target.url.replace('http', 'ws')}/ws?token=nobody")
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(target.url, auth={"token": "nobody"})


async def test_a_client_that_has_left_meanwhile_is_not_kept() -> None:
    async def identify(_token: str) -> int:
        return 1

    emitter = Emitter(8)
    limits: dict[str, Any] = {"ping_interval_s": 20, "ping_timeout_s": 20, "allowed_origins": ()}
    server = PlainServer(emitter, identify, **limits)
    with pytest.raises(Refusal):
        await server._on_connect("gone", {"asgi.scope": {}}, {"token": "t"})
    assert emitter.clients == 0


REFUSED: dict[str, tuple[str, bytes, int, str]] = {
    "traversal": ("../../etc/passwd", b"x", 422, "path separator"),
    "blank name": ("  ", b"x", 422, "empty"),
    "long name": ("x" * 256, b"x", 422, "longer than 255 bytes"),
    "empty file": ("a.txt", b"", 422, "The file is empty"),
    "too large": ("a.txt", b"x" * (MAX_UPLOAD_BYTES + 1), 413, "not taken"),
}


async def test_an_upload_is_stored_and_one_that_is_wrong_leaves_no_file(
    start_target: StartTarget, tmp_path: Path
) -> None:
    target = start_target(VARIANT, UPLOADS=str(tmp_path), MAX_UPLOAD_BYTES=str(MAX_UPLOAD_BYTES))
    async with served_client(target.url, AUTH) as client:
        for kind, (name, content, status, reason) in REFUSED.items():
            answer = await client.post(UPLOAD, files={"file": (name, content)})
            assert answer.status_code == status, kind
            assert reason in answer.json()["detail"], kind
            assert not has_files(tmp_path), kind
        bodies: list[tuple[dict[str, Any], int]] = [
            ({"files": {"data": ("a.txt", b"x")}}, 422),
            ({"data": {"file": "x"}}, 400),
            ({"json": {}}, 422),
            ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ]
        for body, status in bodies:
            assert (await client.post(UPLOAD, **body)).status_code == status, body
        content = b"x" * MAX_UPLOAD_BYTES
        answer = await client.post(UPLOAD, files={"file": ("a.txt", content)})
        assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
    assert len(target.ended()) == len(REFUSED) + len(bodies)
