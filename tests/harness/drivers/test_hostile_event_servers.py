"""Servers of events at their worst: a named error in the row, no hang, no crash, bounded memory."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from websockets.http11 import Request as Handshake
from websockets.server import ServerProtocol

from loopmark.harness.drivers.process.run_job import to_its_end
from loopmark.harness.drivers.websocket_driver.driver import drive
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.fan_out import FanOut
from loopmark.harness.vocabulary.sample import ErrorKind
from tests.hang_limit import HANG_S
from tests.harness.drivers.driving import ok, samples_of
from tests.harness.drivers.hostile_server import never_accepting
from tests.harness.drivers.test_websocket_driver import counted, job, scenario
from tests.harness.drivers.tried_flows import connecting

pytestmark = pytest.mark.anyio

SHORT = Timeouts(connect_s=1.0, first_byte_s=0.4, response_s=0.8)
PATIENT = Timeouts(connect_s=HANG_S, first_byte_s=HANG_S, response_s=HANG_S)
"""For what must be found out before the time is over, however slow the machine is."""
USERS = 3
GREETING = json.dumps({"event": "connected", "data": {"user_id": 1}})
OPENING = '0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}'
MEBIBYTE = 1024**2


class Client:
    """The server's end of a connection whose handshake was read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = ServerProtocol()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        await asyncio.sleep(0)  # Draining need not wait, and then nobody else would have a turn.

    async def switch(self, *texts: str) -> None:
        """Answer rightly, and send these texts."""
        (handshake,) = self.protocol.events_received()
        assert isinstance(handshake, Handshake)
        self.protocol.send_response(self.protocol.accept(handshake))
        for text in texts:
            self.protocol.send_text(text.encode())
        await self.send(b"".join(self.protocol.data_to_send()))

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Behaviour = Callable[[Client], Awaitable[None]]


def answering(data: bytes, *, closing: bool = False) -> Behaviour:
    async def behave(client: Client) -> None:
        await client.send(data)
        if closing:
            client.writer.close()

    return behave


def switching(*texts: str, then: bytes = b"", closing: bool = False) -> Behaviour:
    async def behave(client: Client) -> None:
        await client.switch(*texts)
        await client.send(then)
        if closing:
            client.writer.close()

    return behave


async def saying_nothing(_client: Client) -> None:
    pass


async def resetting(client: Client) -> None:
    client.reset()


async def resetting_later(client: Client) -> None:
    await client.switch()
    client.reset()


async def dripping(client: Client) -> None:
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nx: " + b"y" * 1000:
        await client.send(bytes([byte]))
        await asyncio.sleep(0.01)


async def endless_head(client: Client) -> None:
    await client.send(b"HTTP/1.1 101 Switching Protocols\r\n")
    while True:
        await client.send(b"x-more: " + b"y" * 4000 + b"\r\n")


async def endless_line(client: Client) -> None:
    await client.send(b"HTTP/1.1 101 ")
    while True:
        await client.send(b"y" * 4000)


async def endless_body(client: Client) -> None:
    await client.send(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    while True:
        await client.send(b"y" * 64 * 1024)


async def endless_fragments(client: Client) -> None:
    await client.switch()
    client.protocol.send_text(b"{", fin=False)
    while True:
        await client.send(b"".join(client.protocol.data_to_send()))
        client.protocol.send_continuation(b" " * 4000, fin=False)


async def endless_empty_fragments(client: Client) -> None:
    await client.switch()
    client.protocol.send_text(b"", fin=False)
    while True:
        for _ in range(500):
            client.protocol.send_continuation(b"", fin=False)
        await client.send(b"".join(client.protocol.data_to_send()))


async def endless_pings(client: Client) -> None:
    await client.switch()
    while True:
        client.protocol.send_ping(b"x" * 100)
        await client.send(b"".join(client.protocol.data_to_send()))


REFUSED = "GET /ws answered"
NO_WEBSOCKET = "what came is no WebSocket"
NO_EVENT = "a message that is no event"
BEHAVIOURS: dict[str, tuple[Behaviour, str, str]] = {
    "status-401": (answering(ok(b"{}", "401 No")), ErrorKind.WRONG_STATUS, f"{REFUSED} 401"),
    "status-200": (answering(ok()), ErrorKind.WRONG_STATUS, f"{REFUSED} 200"),
    "status-302": (
        answering(ok(b"", "302 Found", "location: /elsewhere")),
        ErrorKind.WRONG_STATUS,
        f"{REFUSED} 302",
    ),
    "status-500": (answering(ok(b"", "500 Oops")), ErrorKind.SERVER_ERROR, f"{REFUSED} 500"),
    "unended-403": (
        answering(b"HTTP/1.1 403 Forbidden\r\n\r\n{}", closing=True),
        ErrorKind.WRONG_STATUS,
        f"{REFUSED} 403",
    ),
    "no-accept": (
        answering(ok(b"", "101 Switching Protocols", "upgrade: websocket", "connection: upgrade")),
        ErrorKind.PROTOCOL,
        "the handshake was not answered rightly",
    ),
    "garbage": (answering(b"\x16\x03\x01\x00\xff" * 20 + b"\n"), ErrorKind.PROTOCOL, "rightly"),
    "smtp": (answering(b"220 smtp.example.com ESMTP\r\n"), ErrorKind.PROTOCOL, "rightly"),
    "silence": (saying_nothing, ErrorKind.TIMEOUT, "was not answered within 0.4 s"),
    "half-a-head": (answering(b"HTTP/1.1 101 Sw"), ErrorKind.TIMEOUT, "no greeting within 0.8 s"),
    "drip": (dripping, ErrorKind.TIMEOUT, "no greeting within 0.8 s"),
    "no-greeting": (switching(), ErrorKind.TIMEOUT, "no greeting within 0.8 s"),
    "half-a-greeting": (
        switching(then=b"\x81\x7d" + GREETING.encode()[:20]),
        ErrorKind.TIMEOUT,
        "no greeting within 0.8 s",
    ),
    "closed": (answering(b"", closing=True), ErrorKind.RESET, "before the target had greeted"),
    "closed-in-head": (
        answering(b"HTTP/1.1 101 Sw", closing=True),
        ErrorKind.RESET,
        "before the target had greeted",
    ),
    "closed-after-head": (
        switching(closing=True),
        ErrorKind.RESET,
        "before the target had greeted",
    ),
    "closed-in-greeting": (
        switching(then=b"\x81\x7d" + GREETING.encode()[:20], closing=True),
        ErrorKind.RESET,
        "before the target had greeted",
    ),
    "close-frame": (
        switching(then=b"\x88\x06" + (1008).to_bytes(2, "big") + b"nope"),
        ErrorKind.RESET,
        "1008",
    ),
    "reset": (resetting, ErrorKind.RESET, "before the target had greeted"),
    "reset-after-head": (resetting_later, ErrorKind.RESET, "before the target had greeted"),
    "not-json": (switching("hello"), ErrorKind.WRONG_ANSWER, NO_EVENT),
    "not-utf-8": (switching(then=b"\x81\x02\xff\xfe"), ErrorKind.WRONG_ANSWER, NO_EVENT),
    "not-an-event": (switching("{}"), ErrorKind.WRONG_ANSWER, NO_EVENT),
    "deep-json": (switching("[" * 60_000), ErrorKind.WRONG_ANSWER, NO_EVENT),
    "binary": (switching(then=b"\x82\x02{}"), ErrorKind.WRONG_ANSWER, "a binary message"),
    "another-event": (
        switching('{"event": "log_entry", "data": {}}'),
        ErrorKind.WRONG_ANSWER,
        "the first event is 'log_entry'",
    ),
    "another-user": (
        switching('{"event": "connected", "data": {"user_id": 2}}'),
        ErrorKind.WRONG_ANSWER,
        "another user was greeted",
    ),
    "greeting-without-user": (
        switching('{"event": "connected", "data": {}}'),
        ErrorKind.WRONG_ANSWER,
        "unusable body",
    ),
    "bad-opcode": (switching(then=b"\x83\x00"), ErrorKind.PROTOCOL, NO_WEBSOCKET),
    "masked": (switching(then=b"\x81\x80\0\0\0\0"), ErrorKind.PROTOCOL, NO_WEBSOCKET),
    "compressed": (switching(then=b"\xc1\x01x"), ErrorKind.PROTOCOL, NO_WEBSOCKET),
    "huge-length": (
        switching(then=b"\x81\x7f" + (2**62).to_bytes(8, "big")),
        ErrorKind.PROTOCOL,
        NO_WEBSOCKET,
    ),
    "ten-megabytes": (switching("x" * 10 * MEBIBYTE), ErrorKind.PROTOCOL, NO_WEBSOCKET),
    "endless-head": (endless_head, ErrorKind.PROTOCOL, "rightly"),
    "endless-line": (endless_line, ErrorKind.PROTOCOL, "rightly"),
    "endless-body": (endless_body, ErrorKind.PROTOCOL, "rightly"),
    "endless-fragments": (endless_fragments, ErrorKind.PROTOCOL, NO_WEBSOCKET),
    "endless-empty-fragments": (endless_empty_fragments, ErrorKind.PROTOCOL, "fragments"),
    "endless-pings": (endless_pings, ErrorKind.TIMEOUT, "no greeting within 0.8 s"),
}


@asynccontextmanager
async def hostile(behaviour: Behaviour) -> AsyncIterator[str]:
    """A server that does this to every WebSocket, and answers other requests."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        client = Client(reader, writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"upgrade: websocket" not in head.lower():
                    await client.send(ok())
                    continue
                client.protocol.receive_data(head)
                await behaviour(client)
                await reader.read(-1)
                break
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize("name", BEHAVIOURS)
async def test_a_hostile_server_is_a_named_error(name: str, tmp_path: Path) -> None:
    behaviour, kind, what = BEHAVIOURS[name]
    asked = scenario("websocket", connecting, connects=True)
    async with hostile(behaviour) as url, asyncio.timeout(HANG_S):
        patience = SHORT if kind is ErrorKind.TIMEOUT else PATIENT
        given = job(url, Burst(USERS), tmp_path, patience)
        report = await to_its_end(drive(given, asked))
    samples = samples_of(given)
    assert counted(samples) == {("connect", kind): USERS}
    assert what in report.error_examples[kind][0]
    assert (samples["sent_ns"] <= samples["done_ns"]).all()
    assert (samples["connected_ns"] > 0).all()


async def test_what_never_ends_takes_bounded_memory(tmp_path: Path) -> None:
    asked = scenario("websocket", connecting, connects=True)
    for name in BEHAVIOURS:
        if not name.startswith("endless"):
            continue
        async with hostile(BEHAVIOURS[name][0]) as url, asyncio.timeout(HANG_S):
            given = job(url, Burst(1), tmp_path, SHORT)
            tracemalloc.start()
            try:
                await to_its_end(drive(given, asked))
                _, most = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert most < 16 * MEBIBYTE, name


async def test_a_target_that_never_accepts_is_a_connect_error(tmp_path: Path) -> None:
    asked = scenario("websocket", connecting, connects=True)
    limits = Timeouts(connect_s=0.2, first_byte_s=5.0, response_s=5.0)
    with never_accepting() as url:
        given = job(url, FanOut(2, 10, 1.0), tmp_path, limits)
        await to_its_end(drive(given, asked))
    assert set(samples_of(given)["error"]) == {ErrorKind.CONNECT}


async def test_socketio_without_its_packets_is_a_wrong_answer(tmp_path: Path) -> None:
    asked = scenario("socketio", connecting, connects=True)
    async with hostile(switching(GREETING)) as url, asyncio.timeout(HANG_S):
        given = job(url, Burst(2), tmp_path, SHORT)
        report = await to_its_end(drive(given, asked))
    assert counted(samples_of(given)) == {("connect", ErrorKind.WRONG_ANSWER): 2}
    assert NO_EVENT in report.error_examples[ErrorKind.WRONG_ANSWER][0]


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (b"\x88\x02" + (1012).to_bytes(2, "big"), ErrorKind.RESET),
        (b"\x83\x00", ErrorKind.PROTOCOL),
    ],
)
async def test_an_end_that_comes_with_what_wants_an_answer(
    end: bytes, kind: str, tmp_path: Path
) -> None:
    """The opening is to be answered, and the connection has ended when it is read."""

    async def behave(client: Client) -> None:
        (handshake,) = client.protocol.events_received()
        assert isinstance(handshake, Handshake)
        client.protocol.send_response(client.protocol.accept(handshake))
        client.protocol.send_text(OPENING.encode())
        await client.send(b"".join(client.protocol.data_to_send()) + end)

    asked = scenario("socketio", connecting, connects=True)
    async with hostile(behave) as url, asyncio.timeout(HANG_S):
        given = job(url, Burst(2), tmp_path, SHORT)
        await to_its_end(drive(given, asked))
    assert counted(samples_of(given)) == {("connect", kind): 2}
