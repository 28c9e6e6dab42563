"""Uploads are stored as they come, answered at once, analysed once, and leave nothing behind."""

import asyncio
import hashlib
import json
import os
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from starlette.datastructures import Headers

from loopmark.targets import schema
from loopmark.targets.file_contract import RefusalError
from loopmark.targets.file_names import fault
from loopmark.targets.upload_stream import PIECE_BYTES, BodyPieces, UploadedFile
from tests.hang_limit import HANG_S
from tests.targets.conftest import (
    MAX_UPLOAD_BYTES,
    SEEDS,
    SERVERS,
    STREAMING,
    TOKENS,
    LocalTarget,
    ServedProcess,
    ServedTarget,
    first_answer,
    served_client,
    serving,
    tables,
)

pytestmark = pytest.mark.anyio

UPLOAD = "/api/v2/upload"
BOUNDARY = "limit"
CONTENT = "Grüße an alle\nund ein zweites Mal\nohne Ende".encode()


def part(
    content: bytes = CONTENT,
    *,
    disposition: bytes = b'form-data; name="file"; filename="a.txt"',
) -> bytes:
    return (
        b"--limit\r\nContent-Disposition: "
        + disposition
        + b"\r\nContent-Type: text/plain\r\n\r\n"
        + content
        + b"\r\n"
    )


def named(name: bytes) -> bytes:
    return part(disposition=b'form-data; name="file"; filename="' + name + b'"')


END = b"--limit--\r\n"
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


async def send(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str] | None = None
) -> httpx.Response:
    return await client.post(
        UPLOAD, content=body, headers=MULTIPART if headers is None else headers
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_S):
        while not condition():
            await asyncio.sleep(0.01)


async def finished(client: httpx.AsyncClient, upload_id: str) -> dict[str, Any]:
    """Poll until an upload is neither accepted nor being analysed."""
    async with asyncio.timeout(HANG_S):
        while True:
            answer = await client.get(f"/api/v2/uploads/{upload_id}")
            assert answer.status_code == 200
            status: dict[str, Any] = answer.json()
            if status["state"] not in {"accepted", "analysing"}:
                return status
            await asyncio.sleep(0.02)


async def cut(body: bytes, size: int) -> AsyncIterator[bytes]:
    for begin in range(0, len(body), size):
        yield body[begin : begin + size]


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test does with a target, no file of it stays."""
    names = {"target", "served"} & set(request.fixturenames)
    uploads = [request.getfixturevalue(name).uploads for name in names]
    yield
    deadline = time.monotonic() + HANG_S
    while left := [path.name for folder in uploads for path in folder.iterdir()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)


# ---- what goes well ----


async def test_an_upload_is_answered_analysed_once_and_removed(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    answer = await client.post(UPLOAD, files={"file": ("Bericht 'ß'.txt", CONTENT)})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert body.keys() == {"status", "upload_id", "file_path", "bytes", "sha256"}
    assert body["status"] == "uploaded"
    assert uuid.UUID(body["upload_id"]).version == 4
    assert body["bytes"] == len(CONTENT)
    assert body["sha256"] == digest
    assert "Bericht" not in body["file_path"]
    assert "/" not in body["file_path"]
    assert await finished(client, body["upload_id"]) == {
        "upload_id": body["upload_id"],
        "state": "analysed",
        "analyses": 1,
        "bytes": len(CONTENT),
        "sha256": digest,
        "result": {"bytes": len(CONTENT), "lines": 3, "words": 9},
    }
    with target.database.connect() as connection:
        row = connection.execute(text("SELECT * FROM uploads")).one()
    assert row.file_name == "Bericht 'ß'.txt"
    assert row.stored_name == body["file_path"]
    assert row.owner_id == 1
    assert row.created_at <= row.finished_at


async def test_every_byte_arrives(client: httpx.AsyncClient) -> None:
    for size in (1, PIECE_BYTES - 1, PIECE_BYTES + 1, MAX_UPLOAD_BYTES):
        content = (b"--limit\r\n\r\n-- " * (size // 12 + 1))[:size]
        body = (await client.post(UPLOAD, files={"file": ("a.txt", content)})).json()
        assert (body["bytes"], body["sha256"]) == (size, hashlib.sha256(content).hexdigest())
        status = await finished(client, body["upload_id"])
        assert (status["state"], status["result"]["words"]) == ("analysed", len(content.split()))


async def test_it_does_not_matter_how_the_body_is_cut(client: httpx.AsyncClient) -> None:
    content = CONTENT + b"\r\n--limi\r\n-"
    for size in (1, 7, 4096):
        pieces = cut(part(content) + END + b"an epilogue", size)
        answer = await client.post(UPLOAD, content=pieces, headers=MULTIPART)
        assert answer.status_code == 200, answer.text
        assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest(), size
        assert (await finished(client, answer.json()["upload_id"]))["state"] == "analysed"


async def test_what_is_no_text_fails_and_says_why(client: httpx.AsyncClient) -> None:
    body = (await client.post(UPLOAD, files={"file": ("a.txt", b"\xff\xfe\x00")})).json()
    status = await finished(client, body["upload_id"])
    assert (status["state"], status["analyses"]) == ("failed", 1)
    assert status["result"] == {"error": "The file is not UTF-8."}


async def test_its_user_hears_that_it_is_done_and_no_other(served: ServedTarget) -> None:
    url = served.url.replace("http", "ws") + "/ws"
    async with (
        websockets.connect(f"{url}?token={TOKENS[0]}") as mine,
        websockets.connect(f"{url}?token={TOKENS[1]}") as other,
        served.client() as client,
    ):
        for heard in (mine, other):
            assert json.loads(await heard.recv())["event"] == "connected"
        for content, status in ((CONTENT, "analysed"), (b"\xff", "failed")):
            uploaded = (await client.post(UPLOAD, files={"file": ("a.txt", content)})).json()
            async with asyncio.timeout(HANG_S):
                event = json.loads(await mine.recv())
            assert event["event"] == "processing_complete"
            assert 0 < event["data"].pop("emitted_ns") <= time.monotonic_ns()
            stored = (await client.get(f"/api/v2/uploads/{uploaded['upload_id']}")).json()
            assert event["data"] == {
                "upload_id": uploaded["upload_id"],
                "file_path": uploaded["file_path"],
                "status": status,
                "result": stored["result"],
            }
        # The other one hears of a resource next, and so of nothing before it.
        await client.post("/api/v2/resource/create", json={"id": "next", "name": "n"})
        async with asyncio.timeout(HANG_S):
            assert json.loads(await other.recv())["event"] == "resource_created"


async def test_many_at_once_are_each_analysed_once(served: ServedTarget) -> None:
    contents = [f"{n}\n".encode() * 50_000 for n in range(20)]
    async with served.client() as client:
        answers = await asyncio.gather(
            *(
                client.post(UPLOAD, files={"file": (f"{n}.txt", content)})
                for n, content in enumerate(contents)
            )
        )
        found = {answer.json()["sha256"] for answer in answers}
        assert found == {hashlib.sha256(content).hexdigest() for content in contents}
        for answer in answers:
            status = await finished(client, answer.json()["upload_id"])
            assert (status["state"], status["analyses"]) == ("analysed", 1)
            assert status["result"]["lines"] == 50_000


async def test_only_its_owner_sees_an_upload(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    upload_id = (await client.post(UPLOAD, files={"file": ("a.txt", CONTENT)})).json()["upload_id"]
    for one, headers in ((upload_id, target.auth(2)), (uuid.uuid4(), target.auth())):
        answer = await client.get(f"/api/v2/uploads/{one}", headers=headers)
        assert answer.status_code == 404
        assert answer.json() == {"detail": "You have no upload with this id."}
    assert (await client.get("/api/v2/uploads/x")).status_code == 422
    await finished(client, upload_id)


# ---- what is refused ----

REFUSED: dict[str, tuple[bytes, int, str]] = {
    "traversal": (named(b"../../etc/passwd") + END, 422, "path separator"),
    "absolute": (named(b"/etc/passwd") + END, 422, "path separator"),
    "backslashes": (named(rb"..\..\a.txt") + END, 422, "path separator"),
    "windows path": (named(rb"C:\a.txt") + END, 422, "path separator"),
    "unc path": (named(rb"\\host\share\a.txt") + END, 422, "path separator"),
    "drive": (named(b"C:a.txt") + END, 422, "drive letter"),
    "dot": (named(b".") + END, 422, "folder"),
    "dots": (named(b"..") + END, 422, "folder"),
    "no name": (named(b"") + END, 422, "empty"),
    "blank name": (named(b"  ") + END, 422, "empty"),
    "no file name": (part(disposition=b'form-data; name="file"') + END, 422, "empty"),
    "long name": (named(b"x" * 256) + END, 422, "longer than 255 bytes"),
    "nul in name": (named(b"a\x01b.txt") + END, 422, "control"),
    "delete in name": (named(b"a\x7fb.txt") + END, 422, "control"),
    "c1 in name": (named("a\x85b.txt".encode()) + END, 422, "control"),
    "latin-1 name": (named("Grüße.txt".encode("latin-1")) + END, 422, "not UTF-8"),
    "endless name": (named(b"x" * 10_000) + END, 400, "header size"),
    "empty file": (part(b"") + END, 422, "The file is empty"),
    "no part": (END, 422, "no part at all"),
    "other field": (
        part(disposition=b'form-data; name="data"; filename="a"') + END,
        422,
        "'data'",
    ),
    "two files": (part() + part() + END, 422, "several parts"),
    "field after": (
        part() + part(disposition=b'form-data; name="comment"') + END,
        422,
        "several parts",
    ),
    "no disposition": (b"--limit\r\nX: y\r\n\r\nabc\r\n" + END, 400, "which field"),
    "attachment": (part(disposition=b'attachment; name="file"; filename="a"') + END, 400, "which"),
    "other boundary": (part().replace(b"limit", b"other") + END, 400, ""),
    "no end": (part(), 400, "ends before its last boundary"),
    "half an end": (part() + b"--limit-", 400, "ends before its last boundary"),
    "in a header": (part()[:30], 400, "ends before its last boundary"),
    "nothing": (b"", 400, "ends before its last boundary"),
    "rubbish": (b"\x00\xff" * 1000, 400, ""),
    "no colon": (b"--limit\r\nnonsense\r\n\r\nabc\r\n" + END, 400, ""),
    "too large": (part(b"x" * (MAX_UPLOAD_BYTES + 1)) + END, 413, f"{MAX_UPLOAD_BYTES} bytes"),
    "much too large": (part(b"x" * 2 * MAX_UPLOAD_BYTES) + END, 413, f"{MAX_UPLOAD_BYTES} bytes"),
    "endless epilogue": (part() + END + b"x" * (MAX_UPLOAD_BYTES + 70_000), 413, "bytes"),
    "preamble": (b"preamble\r\n" + part() + END, 400, "boundary"),
}
CONTENT_TYPES: dict[str, tuple[str, int]] = {
    "application/json": ("", 415),
    "application/x-www-form-urlencoded": ("", 415),
    "multipart/mixed; boundary=limit": ("", 415),
    "text/plain": ("", 415),
    "": ("", 415),
    "multipart/form-data": ("boundary", 400),
    "multipart/form-data; boundary=": ("boundary", 400),
    f"multipart/form-data; boundary={'x' * 257}": ("boundary", 400),
}


@pytest.mark.parametrize("target", STREAMING, indirect=True)
async def test_what_is_wrong_is_refused_and_leaves_no_file(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    for kind, (body, status, reason) in REFUSED.items():
        answer = await send(client, body)
        assert answer.status_code == status, (kind, answer.text)
        detail = answer.json()["detail"]
        assert reason in detail, kind
        assert detail.endswith("."), kind
        assert target.count("uploads") == 0, kind
        assert list(target.uploads.iterdir()) == [], kind


async def test_after_a_refusal_the_connection_serves_on(served: ServedTarget) -> None:
    async with served.client() as client:
        for kind, (body, status, _) in REFUSED.items():
            answer = await send(client, body)
            assert answer.status_code == status, (kind, answer.text)
            assert (await client.get("/ready")).status_code == 200, kind
        # The same when the body does not tell its length.
        for kind in ("much too large", "too large", "two files"):
            body, status, reason = REFUSED[kind]
            answer = await client.post(UPLOAD, content=cut(body, 100_000), headers=MULTIPART)
            assert answer.status_code == status, kind
            assert reason in answer.json()["detail"]
    assert served.count("uploads") == 0


@pytest.mark.parametrize("target", STREAMING, indirect=True)
async def test_what_is_not_multipart_is_refused(client: httpx.AsyncClient) -> None:
    for kind, (reason, status) in CONTENT_TYPES.items():
        answer = await send(client, part() + END, {"Content-Type": kind} if kind else {})
        assert answer.status_code == status, kind
        assert reason in answer.json()["detail"], kind


async def test_the_backslash_of_a_quote_is_no_separator(client: httpx.AsyncClient) -> None:
    answer = await send(client, named(rb"say \"hello\".txt") + END)
    assert answer.status_code == 200
    await finished(client, answer.json()["upload_id"])


class Wire:
    """A connection on which a test says byte by byte what is sent."""

    def __init__(self, url: str, token: str, length: int) -> None:
        place = urlsplit(url)
        self.socket = socket.create_connection((place.hostname, place.port), timeout=HANG_S)
        self.socket.sendall(
            f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {MULTIPART['Content-Type']}\r\nContent-Length: {length}\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )

    def answer(self) -> str:
        return self.socket.recv(65536).decode()


def test_who_may_not_send_is_refused_before_anything_is_sent(served: ServedTarget) -> None:
    for token, length, status in (("nobody's", 10**6, 401), (TOKENS[0], 10**12, 413)):
        wire = Wire(served.url, token, length)
        assert wire.answer().startswith(f"HTTP/1.1 {status}")
        wire.socket.close()
    wire = Wire(served.url, TOKENS[0], 1000)
    assert wire.answer().startswith("HTTP/1.1 100 Continue")
    wire.socket.close()


@pytest.mark.parametrize("abruptly", [True, False])
@pytest.mark.parametrize("sent", [10, 3 * 1024**2])
async def test_a_connection_dropped_in_the_middle_leaves_no_file(
    served: ServedTarget, sent: int, *, abruptly: bool
) -> None:
    wire = Wire(served.url, TOKENS[0], 4 * 1024**2)
    assert wire.answer().startswith("HTTP/1.1 100")
    wire.socket.sendall(part(b"x" * sent)[:-2])
    # It is written as it comes.
    await until(lambda: sent < PIECE_BYTES or any(served.uploads.iterdir()))
    if abruptly:
        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wire.socket.close()
    await until(lambda: not any(served.uploads.iterdir()))
    assert served.count("uploads") == 0
    async with served.client() as client:
        answer = await client.post(UPLOAD, files={"file": ("a.txt", CONTENT)})
        assert answer.status_code == 200
        await finished(client, answer.json()["upload_id"])


# ---- processes that end ----


@dataclass(frozen=True)
class Place:
    """A schema and a folder that outlive the processes which serve them."""

    variant: str
    database_url: str
    schema_name: str
    engine: Engine
    uploads: Path

    @asynccontextmanager
    async def served(self) -> AsyncIterator[tuple[ServedProcess, httpx.AsyncClient]]:
        environment = {
            "DATABASE_URL": self.database_url,
            "DATABASE_SCHEMA": self.schema_name,
            "UPLOADS": str(self.uploads),
        }
        with serving(self.variant, environment) as process:
            assert first_answer(process).status_code == 200
            headers = {"Authorization": f"Bearer {TOKENS[0]}"}
            async with served_client(process.url, headers) as client:
                yield process, client

    def rows(self, condition: str) -> int:
        with self.engine.connect() as connection:
            found = connection.scalar(text(f"SELECT count(*) FROM uploads WHERE {condition}"))
            return int(found or 0)


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Place]:
    with tables(database_url) as (name, engine):
        with engine.begin() as connection:
            schema.reset(connection, TOKENS, SEEDS)
        yield Place(request.param, database_url, name, engine, tmp_path)


@pytest.mark.parametrize("state", ["accepted", "analysing"])
async def test_an_upload_of_a_process_that_was_killed_is_reported_lost(
    place: Place, state: str
) -> None:
    async with place.served() as (process, client), AsyncExitStack() as stack:
        blocker = stack.enter_context(place.engine.connect())
        if state == "accepted":
            # The test stands between the answer and the analysis, which waits for this lock.
            blocker.execute(
                text(
                    "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NEW; END $$"
                )
            )
            blocker.execute(
                text(
                    "CREATE TRIGGER wait BEFORE UPDATE ON uploads"
                    " FOR EACH ROW EXECUTE FUNCTION wait()"
                )
            )
            blocker.commit()
            blocker.execute(text("SELECT pg_advisory_xact_lock(42)"))
            content = CONTENT
        else:
            content = b"word " * (8 * 1024**2)
        answer = await client.post(UPLOAD, files={"file": ("a.txt", content)})
        assert answer.status_code == 200
        upload_id = answer.json()["upload_id"]
        await until(lambda: place.rows(f"state = '{state}'") > 0)
        status = (await client.get(f"/api/v2/uploads/{upload_id}")).json()
        assert status["state"] == state
        process.running.kill()
        process.running.wait(HANG_S)
    async with place.served() as (_, client):
        status = (await client.get(f"/api/v2/uploads/{upload_id}")).json()
        assert (status["state"], status["result"]) == ("lost", None)
        assert status["analyses"] == (state == "analysing")


async def test_a_process_that_is_asked_to_end_says_which_uploads_are_lost(place: Place) -> None:
    async with place.served() as (process, client):
        content = b"word " * (12 * 1024**2)
        upload_id = (await client.post(UPLOAD, files={"file": ("a.txt", content)})).json()[
            "upload_id"
        ]
        # Another one is still coming.
        wire = Wire(process.url, TOKENS[0], 4 * 1024**2)
        wire.answer()
        wire.socket.sendall(part(b"x" * 3 * 1024**2)[:-2])
        await until(lambda: any(place.uploads.glob("*.part")))
        process.running.terminate()
        process.running.wait(HANG_S)
        wire.socket.close()
        states = {state: place.rows(f"state = '{state}'") for state in ("lost", "analysed")}
        assert sum(states.values()) == 1, "lost, unless it was fast enough"
        assert list(place.uploads.iterdir()) == []
    async with place.served() as (_, client):
        status = (await client.get(f"/api/v2/uploads/{upload_id}")).json()
        assert states[status["state"]] == 1


async def test_each_refusal_is_one_line_and_disturbs_no_other(place: Place) -> None:
    async with place.served() as (process, client):
        for kind in ("traversal", "rubbish", "other boundary", "no end", "nothing"):
            await send(client, REFUSED[kind][0])
        wire = Wire(process.url, TOKENS[0], 4 * 1024**2)
        wire.answer()
        wire.socket.sendall(part())
        wire.socket.close()
        answer = await client.post(UPLOAD, files={"file": ("a.txt", CONTENT)})
        assert (await finished(client, answer.json()["upload_id"]))["state"] == "analysed"
        process.running.terminate()
        process.running.wait(HANG_S)
        lines = process.log().splitlines()
    assert len(lines) == 6, lines
    assert all(re.match(r"upload of user 1 refused \(\d{3}\): \S", line) for line in lines)


# ---- parts on their own ----


async def forever() -> AsyncIterator[bytes]:
    yield b"begun"
    await asyncio.Event().wait()


async def test_a_client_that_sends_nothing_more_is_given_up() -> None:
    with pytest.raises(RefusalError, match=r"Nothing came for 0.05 s") as raised:
        await BodyPieces(forever(), patience_s=0.05).next()
    assert raised.value.problem.status == 408


def test_what_is_discarded_takes_nothing_more(tmp_path: Path) -> None:
    uploaded = UploadedFile(Headers(MULTIPART), tmp_path, 10_000_000)
    whole = part(b"x" * 3_000_000)
    uploaded.take(whole[:2_000_000])
    assert len(list(tmp_path.iterdir())) == 1
    uploaded.discard()
    uploaded.take(whole[2_000_000:])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_is_507(tmp_path: Path) -> None:
    uploaded = UploadedFile(Headers(MULTIPART), tmp_path / "gone", 10_000_000)
    with pytest.raises(RefusalError) as raised:
        uploaded.take(part())
    assert raised.value.problem.status == 507
    uploaded.discard()


@given(st.text(min_size=1, max_size=60))
def test_a_name_without_fault_is_one_part_of_a_path(name: str) -> None:
    if fault(name):
        return
    assert os.path.basename(name) == name  # noqa: PTH119
    assert os.path.normpath(os.path.join("/uploads", name)) == f"/uploads/{name}"  # noqa: PTH118
    assert name.encode()
