"""The load transport against servers that answer rightly, oddly, and not at all."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from harness.drivers import transport
from harness.drivers.transport import LoadTransport, Timing

pytestmark = pytest.mark.anyio

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """A TCP server on a free loopback port; yields its base URL."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.close()


def client(timeout_s: float = 5.0) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=LoadTransport(timeout_s), trust_env=False)


async def request_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def always(*parts: bytes, close: bool = False) -> Handler:
    """A server that answers every request with these bytes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_head(reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
            if close:
                return

    return handler


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def test_one_connection_serves_all_requests_of_a_user() -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await always(OK)(reader, writer)

    async with served(handler) as url, client() as user:
        for _ in range(5):
            response = await user.get(url)
            assert (response.status_code, response.text) == (200, "ok")
    assert connections == 1


async def test_concurrent_requests_of_one_user_take_a_connection_each() -> None:
    arrived = asyncio.Barrier(3)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        await arrived.wait()
        writer.write(OK)
        await writer.drain()

    async with served(handler) as url, client() as user:
        responses = await asyncio.gather(*(user.get(url) for _ in range(3)))
    assert [response.text for response in responses] == ["ok"] * 3


async def test_the_request_arrives_as_httpx_made_it() -> None:
    seen = b""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen = await request_head(reader) + await reader.readexactly(7)
        writer.write(OK)
        await writer.drain()

    async with served(handler) as url, client() as user:
        await user.post(f"{url}/a b", json={"n": 1}, params={"q": "ä"}, headers={"X-Y": "z"})
    head, _, body = seen.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /a%20b?q=%c3%a4 http/1.1"
    assert b"content-length: 7" in lines
    assert b"x-y: z" in lines
    assert body == b'{"n":1}'


async def test_moments_are_in_order() -> None:
    async with served(always(OK)) as url, client() as user:
        timing = Timing()
        await user.get(url, extensions={"timing": timing})
    assert 0 < timing.sent_ns <= timing.first_byte_ns <= timing.done_ns


async def test_chunked_body_in_pieces() -> None:
    parts = (
        b"HTTP/1.1 200 OK\r\ntransfer-enc",
        b"oding: chunked\r\n\r\n5\r\nhel",
        b"lo\r\n3\r\n me\r\n0\r\n\r\n",
    )
    async with served(always(*parts)) as url, client() as user:
        assert (await user.get(url)).text == "hello me"
        assert (await user.get(url)).text == "hello me"


async def test_compressed_body_is_decoded() -> None:
    body = gzip.compress(b"plain" * 100)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with served(always(head + body)) as url, client() as user:
        assert (await user.get(url)).text == "plain" * 100


async def test_body_that_ends_with_the_connection() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\nuntil the end"
    async with served(always(answer, close=True)) as url, client() as user:
        assert (await user.get(url)).text == "until the end"
        assert (await user.get(url)).text == "until the end"


async def test_head_no_content_and_early_hints() -> None:
    answers = iter(
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK,
        )
    )

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request_head(reader)
            writer.write(next(answers))
            await writer.drain()

    async with served(handler) as url, client() as user:
        head = await user.head(url)
        assert (head.status_code, head.headers["content-length"]) == (200, "1000")
        assert (await user.get(url)).status_code == 204
        hinted = await user.get(url)
        assert (hinted.status_code, hinted.text) == (200, "ok")
        assert "link" not in hinted.headers


async def test_redirects_and_cookies_are_httpx_s_own() -> None:
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await request_head(reader)
            seen.append(head)
            if head.startswith(b"GET /old"):
                writer.write(
                    b"HTTP/1.1 302 Found\r\nlocation: /new\r\nset-cookie: a=1\r\n"
                    b"content-length: 0\r\n\r\n"
                )
            else:
                writer.write(OK)
            await writer.drain()

    async with served(handler) as url, client() as user:
        response = await user.get(f"{url}/old", follow_redirects=True)
    assert response.text == "ok"
    assert seen[1].startswith(b"GET /new")
    assert b"a=1" in seen[1]


async def test_a_connection_that_the_server_closed_while_idle_costs_no_request() -> None:
    closed = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(OK)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with served(handler) as url, client() as user:
        for _ in range(3):
            closed.clear()
            assert (await user.get(url)).text == "ok"
            await closed.wait()


async def test_a_request_that_met_the_closing_is_repeated_only_when_that_is_safe() -> None:
    """The second request on each connection is read and answered with a closed connection."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(OK)
        await writer.drain()
        await request_head(reader)

    async with served(handler) as url, client() as user:
        assert (await user.get(url)).text == "ok"
        assert (await user.get(url)).text == "ok"
        with pytest.raises(httpx.ReadError, match="before an answer came"):
            await user.post(url, content=b"")


async def test_a_request_that_a_server_held_and_dropped_is_an_error() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(OK)
        await writer.drain()
        await request_head(reader)
        await asyncio.sleep(2 * transport.CLOSING_RACE_NS / 1e9)

    async with served(handler) as url, client() as user:
        assert (await user.get(url)).text == "ok"
        with pytest.raises(httpx.ReadError, match="before an answer came"):
            await user.get(url)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (b"220 smtp.example.com\r\n\r\n", httpx.RemoteProtocolError, "not HTTP"),
        (b"\x16\x03\x01\x00\xff" * 20, httpx.RemoteProtocolError, "not HTTP"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n",
            httpx.RemoteProtocolError,
            "not HTTP",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", httpx.ReadError, "within the answer"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab",
            httpx.ReadError,
            "within",
        ),
        (b"HTTP/1.1 20", httpx.ReadError, "within the answer"),
        (b"", httpx.ReadError, "before an answer came"),
    ],
)
async def test_a_broken_answer_is_a_named_error(
    answer: bytes, error: type[Exception], message: str
) -> None:
    async with served(always(answer, close=True)) as url, client() as user:
        with pytest.raises(error, match=message):
            await user.get(url)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"])
async def test_silence_ends_with_the_timeout(answer: bytes) -> None:
    async with served(always(answer)) as url, client(timeout_s=0.05) as user:
        with pytest.raises(httpx.ReadTimeout, match=r"no complete answer within 0\.05 s"):
            await user.get(url)


async def test_headers_without_end_are_refused() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"x-filler: " + b"a" * 8000 + b"\r\n")
            await writer.drain()

    async with served(handler) as url, client() as user:
        with pytest.raises(httpx.RemoteProtocolError):
            await user.get(url)


async def test_a_body_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1_000_000)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"a" * 65536)
            await writer.drain()

    async with served(handler) as url, client() as user:
        with pytest.raises(httpx.RemoteProtocolError, match="a body of more than"):
            await user.get(url)


async def test_an_answer_nobody_asked_for_ends_the_connection() -> None:
    async with served(always(OK + OK)) as url, client() as user:
        assert (await user.get(url)).text == "ok"
        assert (await user.get(url)).text == "ok"


async def test_no_listener_is_a_connect_error() -> None:
    async with served(always(OK)) as url:
        pass
    async with client() as user:
        with pytest.raises(httpx.ConnectError, match=r"no connection to 127\.0\.0\.1"):
            await user.get(url)


async def test_a_cancelled_request_leaves_no_half_used_connection() -> None:
    asked = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await request_head(reader)
            if b"/slow" in head:
                asked.set()
                await reader.read()
                return
            writer.write(OK)
            await writer.drain()

    async with served(handler) as url, client() as user:
        task = asyncio.create_task(user.get(f"{url}/slow"))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await user.get(url)).text == "ok"
