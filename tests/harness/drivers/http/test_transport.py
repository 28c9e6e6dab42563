"""The load transport in a client of httpx, against a real server and small ones made by hand."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn

from loopmark.harness.drivers.http.exchange import CLOSING_RACE_NS
from loopmark.harness.drivers.http.transport import LoadTransport, Timing
from loopmark.harness.vocabulary.job import Timeouts
from tests.hang_limit import HANG_S
from tests.harness.drivers.conftest import Certificate
from tests.harness.drivers.driving import PATIENT, ok

pytestmark = pytest.mark.anyio

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Page = tuple[int, bytes, list[tuple[bytes, bytes]]]
TEXT = "plain ä" * 100


@asynccontextmanager
async def served(
    handler: Handler, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[str]:
    """A TCP server on a free loopback port; yields its base URL."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, host, 0, ssl=tls)
    try:
        port = server.sockets[0].getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        yield f"http{'s' if tls else ''}://{shown}:{port}"
    finally:
        server.close()


def client(timeouts: Timeouts = PATIENT, tls: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=LoadTransport(timeouts, tls), trust_env=False)


async def request_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def always_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await request_head(reader):
        writer.write(ok(b"ok"))
        await writer.drain()


# ---- a real server ----


def page(path: str, headers: dict[bytes, bytes], body: bytes) -> Page:
    text = TEXT.encode()
    sized = (b"x-length", headers.get(b"content-length", b"none"))
    pages: dict[str, Page] = {
        "/old": (302, b"", [(b"location", b"/cookies"), (b"set-cookie", b"seen=1")]),
        "/cookies": (200, headers.get(b"cookie", b"none"), []),
        "/gzip": (200, gzip.compress(text), [(b"content-encoding", b"gzip")]),
        "/deflate": (200, zlib.compress(text), [(b"content-encoding", b"deflate")]),
        "/204": (204, b"", []),
        "/304": (304, b"", []),
        "/echo": (200, body, [(b"x-type", headers.get(b"content-type", b"")), sized]),
    }
    return pages.get(path, (200, text, []))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """What a web framework does, in little."""
    assert scope["type"] == "http"
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    status, answer, more = page(scope["path"], dict(scope["headers"]), body)
    chunked = scope["path"] in {"/chunked", "/gzip"}
    if not chunked and status not in {204, 304}:
        more.append((b"content-length", str(len(answer)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": more})
    parts = [answer[at : at + 50] for at in range(0, len(answer), 50)] if chunked else [answer]
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(params=["h11", "httptools"])
async def uvicorn_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    config = uvicorn.Config(app, http=request.param, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server._serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = server.force_exit = True  # It would wait for requests cut short.
        await running


async def test_a_client_has_all_of_httpx(uvicorn_url: str) -> None:
    """One client throughout, so that nothing of an answer is left for the next."""

    async def stream() -> AsyncIterator[bytes]:
        for part in (b"one ", b"two ", b"three"):
            yield part

    async with client() as user:
        for path in ("/plain", "/gzip", "/deflate", "/chunked"):
            assert (await user.get(uvicorn_url + path)).text == TEXT, path
        redirected = await user.get(f"{uvicorn_url}/old", follow_redirects=True)
        assert redirected.text == "seen=1"
        assert [one.status_code for one in redirected.history] == [302]
        assert (await user.get(f"{uvicorn_url}/cookies")).text == "seen=1"
        for status in (204, 304):
            empty = await user.get(f"{uvicorn_url}/{status}")
            assert (empty.status_code, empty.content) == (status, b"")
        head = await user.head(f"{uvicorn_url}/plain")
        assert head.headers["content-length"] == str(len(TEXT.encode()))
        assert head.content == b""
        echoed = await user.post(f"{uvicorn_url}/echo", content=stream())
        assert (echoed.text, echoed.headers["x-length"]) == ("one two three", "none")
        form = await user.post(f"{uvicorn_url}/echo", data={"a": "b c"})
        assert (form.text, form.headers["x-type"]) == (
            "a=b+c",
            "application/x-www-form-urlencoded",
        )
        upload = await user.post(f"{uvicorn_url}/echo", files={"f": ("n.txt", b"content")})
        assert b'filename="n.txt"' in upload.content
        assert b"content" in upload.content
        large = bytes(range(256)) * 20_000
        assert (await user.post(f"{uvicorn_url}/echo", content=large)).content == large
        async with user.stream("GET", f"{uvicorn_url}/plain") as streamed:
            assert b"".join([part async for part in streamed.aiter_bytes()]) == TEXT.encode()


async def test_concurrent_requests_of_one_client_all_get_their_own_answer(
    uvicorn_url: str,
) -> None:
    async with client() as user:
        for _ in range(3):
            posts = [user.post(f"{uvicorn_url}/echo", content=str(n).encode()) for n in range(40)]
            answers = await asyncio.gather(*posts)
            assert [one.text for one in answers] == [str(n) for n in range(40)]


# ---- connections ----


async def test_one_connection_serves_all_requests_of_a_user() -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await always_ok(reader, writer)

    async with served(handler) as url, client() as user:
        for _ in range(5):
            response = await user.get(url)
            assert (response.status_code, response.text) == (200, "ok")
        await asyncio.gather(user.get(url), user.get(url), user.get(url))
        assert connections == 3
        await asyncio.gather(user.get(url), user.get(url), user.get(url))
    assert connections == 3


async def test_the_moments_of_a_request_are_in_order() -> None:
    async with served(always_ok) as url, client() as user:
        first, second = Timing(), Timing()
        await user.get(url, extensions={"timing": first})
        await user.get(url, extensions={"timing": second})
    assert 0 < first.sent_ns <= first.connected_ns <= first.first_byte_ns <= first.done_ns
    assert second.connected_ns == 0, "the connection was open"
    assert first.done_ns <= second.sent_ns <= second.first_byte_ns <= second.done_ns


async def test_an_answer_without_length_ends_with_its_connection() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    async with served(handler) as url, client() as user:
        for _ in range(2):
            assert (await user.get(url)).text == "until the end"


async def test_a_request_that_a_server_held_and_dropped_is_an_error() -> None:
    """It had the request, so it is not to be sent again, safe or not."""
    heads = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heads
        await request_head(reader)
        writer.write(ok())
        await request_head(reader)
        heads += 1
        await asyncio.sleep(2 * CLOSING_RACE_NS / 1e9)

    async with served(handler) as url, client() as user:
        await user.get(url)
        with pytest.raises(httpx.ReadError, match="before an answer came"):
            await user.get(url)
    assert heads == 1


async def test_a_new_connection_that_is_closed_is_no_race() -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await request_head(reader)

    async with served(handler) as url, client() as user:
        with pytest.raises(httpx.ReadError, match="before an answer came"):
            await user.get(url)
    assert connections == 1


async def test_no_listener_is_a_connect_error() -> None:
    async with served(always_ok) as url:
        pass
    async with client() as user:
        with pytest.raises(httpx.ConnectError, match=r"no connection to 127\.0\.0\.1"):
            await user.get(url)


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("http://127.0.0.1:99999/", httpx.ConnectError),
        (f"http://{'a' * 70}.invalid/", httpx.ConnectError),
        ("ftp://127.0.0.1/", httpx.UnsupportedProtocol),
        ("http://[/", httpx.ConnectError),
        ("/", httpx.TooManyRedirects),
    ],
)
async def test_a_redirect_to_nowhere_is_an_error(location: str, error: type[Exception]) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await request_head(reader):
            writer.write(ok(b"", "302 Found", f"location: {location}"))

    async with served(handler) as url, client() as user, asyncio.timeout(HANG_S):
        with pytest.raises(error):
            await user.get(url, follow_redirects=True)


class Holding:
    """Answers `/slow` never, and says when it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await request_head(reader):
            if b"/slow" in head:
                self.asked.set()
            else:
                writer.write(ok(b"ok"))


async def test_a_cancelled_request_leaves_no_half_used_connection() -> None:
    holding = Holding()
    async with served(holding) as url, client() as user:
        assert (await user.get(url)).text == "ok"
        task = asyncio.create_task(user.get(f"{url}/slow"))
        await holding.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await user.get(url)).text == "ok"


async def test_closing_the_client_fails_what_is_under_way() -> None:
    holding = Holding()
    async with served(holding) as url, asyncio.timeout(HANG_S):
        user = client()
        task = asyncio.create_task(user.get(f"{url}/slow"))
        await holding.asked.wait()
        await user.aclose()
        with pytest.raises(httpx.ReadError, match="the client was closed"):
            await task


# ---- TLS ----


@pytest.fixture
def server_tls(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


@pytest.fixture
def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.chain))


async def test_tls_with_a_trusted_certificate(
    server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    large = b"x" * 3_000_000

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await request_head(reader)).lower():
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            writer.write(ok(await reader.readexactly(length)))
            await writer.drain()

    async with served(handler, server_tls) as url, client(tls=trusting) as user:
        for content in (b"small", large, b"small again"):
            timing = Timing()
            answer = await user.post(url, content=content, extensions={"timing": timing})
            assert answer.content == content
        assert timing.connected_ns == 0, "the connection was kept"


async def test_a_certificate_that_is_not_trusted_is_a_connect_error(
    server_tls: ssl.SSLContext,
) -> None:
    async with served(always_ok, server_tls) as url, client() as user:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await user.get(url)


async def test_a_certificate_of_another_host_is_a_connect_error(
    server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with served(always_ok, server_tls) as url, client(tls=trusting) as user:
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            await user.get(url.replace("127.0.0.1", "localhost"))


async def test_plain_http_where_tls_is_expected_is_a_connect_error(
    trusting: ssl.SSLContext,
) -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(ok())

    async with served(handler) as url, client(tls=trusting) as user:
        with pytest.raises(httpx.ConnectError, match="no connection to"):
            await user.get(url.replace("http:", "https:"))


async def test_a_handshake_that_never_ends_is_a_connect_error(trusting: ssl.SSLContext) -> None:
    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with served(handler) as url, client(Timeouts(0.2, 5.0, 5.0), trusting) as user:
        with pytest.raises(httpx.ConnectError, match=r"within 0\.2 s"):
            await user.get(url.replace("http:", "https:"))
