"""A request that asks another service: its answers, also when that one is down, slow or wrong."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from loopmark.targets.upstream_contract import MAX_BYTES
from tests.hang_limit import HANG_S
from tests.targets.conftest import SERVERS, LocalTarget, Surroundings, local_client, running

pytestmark = pytest.mark.anyio

PATH = "/api/v2/upstream"
TIMEOUT_S = 2.0
"""Of a target that meets an upstream which does not answer."""

CALL_S = 3.0
"""And that goes on answering."""

PIECE_S = 0.1
CONNECTIONS = 4
AT_ONCE = 12
"""More than there are connections: one that is lost would be missed."""


def http(body: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, size, body)


SILENT, RESET, ENDLESS = b"", b"reset", b"endless"
SLOW_HEAD, SLOW_BODY = b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"
"""What begins like this goes on byte by byte."""

TIMED_OUT = (SILENT, SLOW_HEAD, SLOW_BODY)
TOO_LARGE = f"more than {MAX_BYTES} bytes"
RIGHT = http(b'{"waited_s": 0}')
# What it sends, and the answer to that.
WRONG = {
    "500": (http(b"", b"500 Oh"), 502, "status 500"),
    "another place": (http(b"", b"302 Found\r\nLocation: /delay"), 502, "status 302"),
    "no JSON": (http(b"<html>"), 502, "Delayed"),
    "another JSON": (http(b'{"waited_s": "soon"}'), 502, "Delayed"),
    "no HTTP": (b"hello\r\n\r\n", 502, "RemoteProtocolError"),
    "cut short": (http(b"{", length=15), 502, "RemoteProtocolError"),
    "reset": (RESET, 502, "Error"),
    "silence": (SILENT, 504, "ReadTimeout"),
    "a byte of a header now and then": (SLOW_HEAD, 504, "Timeout"),
    "a byte of the body now and then": (SLOW_BODY, 504, "Timeout"),
    "too large": (http(b"1" * (MAX_BYTES + 1)), 502, TOO_LARGE),
    "endless": (ENDLESS, 502, TOO_LARGE),
}


@dataclass
class Upstream:
    """A service that answers whatever is in `answer`."""

    url: str = ""
    answer: bytes = RIGHT
    open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                if self.answer == SILENT:
                    await reader.read()
                elif self.answer in {SLOW_HEAD, SLOW_BODY}:
                    await self.dribble(reader, writer)
                elif self.answer == ENDLESS:
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while True:
                        writer.write(b"400\r\n%b\r\n" % (b"1" * 1024))
                        await writer.drain()
                elif self.answer == RESET:
                    linger = struct.pack("ii", 1, 0)
                    connection = writer.get_extra_info("socket")
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return
                else:
                    writer.write(self.answer)
                    await writer.drain()
                    if self.answer.endswith(b"{"):
                        return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def dribble(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Go on sending a byte now and then until the other side leaves."""
        writer.write(self.answer)
        left = asyncio.ensure_future(reader.read())
        while not (await asyncio.wait({left}, timeout=PIECE_S))[0]:
            writer.write(b"1")
            await writer.drain()


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    found = Upstream()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    async with server:
        found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield found


@asynccontextmanager
async def asking(
    variant: str, url: str, surroundings: Surroundings
) -> AsyncIterator[httpx.AsyncClient]:
    _, environment = surroundings()
    limits = {
        "upstream_timeout_s": TIMEOUT_S,
        "upstream_call_timeout_s": CALL_S,
        "upstream_connections": CONNECTIONS,
    }
    async with (
        running(variant, limits, **(environment | {"UPSTREAM_URL": url})) as application,
        local_client(application, {}) as client,
    ):
        yield client


async def test_it_waits_as_long_as_asked(client: httpx.AsyncClient) -> None:
    answer = await client.get(PATH, params={"seconds": 0.05})
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "waited_s": 0.05}


async def test_seconds_that_make_no_sense_are_refused(client: httpx.AsyncClient) -> None:
    for seconds in ("-1", "nan", "inf", "31", "soon"):
        assert (await client.get(PATH, params={"seconds": seconds})).status_code == 422, seconds


async def test_without_an_upstream_it_says_how_to_get_one(
    target: LocalTarget, surroundings: Surroundings
) -> None:
    async with asking(target.name, "", surroundings) as client:
        answer = await client.get(PATH)
    assert answer.status_code == 503
    assert "UPSTREAM_URL" in answer.json()["detail"]


@pytest.mark.parametrize("variant", SERVERS)
async def test_what_fails_is_told_and_nothing_is_lost(
    variant: str, surroundings: Surroundings
) -> None:
    async with upstream() as other, asking(variant, other.url, surroundings) as client:

        async def answers() -> list[httpx.Response]:
            async with asyncio.timeout(HANG_S):
                return await asyncio.gather(*(client.get(PATH) for _ in range(AT_ONCE)))

        for manner, (wrong, status, reason) in WRONG.items():
            other.answer = wrong
            found = await answers()
            # Behind four that wait in vain the others get no connection in time.
            expected = {status, 503} if wrong in TIMED_OUT else {status}
            assert {one.status_code for one in found} <= expected, manner
            told = next(one for one in found if one.status_code == status)
            assert reason in told.json()["detail"], manner
            assert "\n" not in told.json()["detail"]
            assert not told.json()["detail"].endswith((":", ": ")), manner
            # All connections are there again. Not at once: between threads httpcore now and then
            # closes a connection that another one has just begun to use (ReadError).
            other.answer = RIGHT
            async with asyncio.timeout(HANG_S):
                while not all(one.is_success for one in await answers()):
                    pass
            assert other.open <= CONNECTIONS, manner


@pytest.mark.parametrize("variant", SERVERS)
async def test_one_that_is_down_is_told(variant: str, surroundings: Surroundings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with asking(variant, f"http://127.0.0.1:{port}", surroundings) as client:
        answer = await client.get(PATH)
    assert answer.status_code == 502
    assert "ConnectError" in answer.json()["detail"]
