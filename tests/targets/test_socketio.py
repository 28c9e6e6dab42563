"""Socket.IO: the same events as on a plain WebSocket, for its own clients."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any

import httpx
import pytest
import socketio
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from loopmark.targets.socketio_server import engine_packet_type, is_client_packet
from tests.hang_limit import HANG_S
from tests.targets.conftest import (
    TOKENS,
    ServedTarget,
    StartTarget,
    first_answer,
    serving,
)
from tests.targets.raw_websocket import RawWebSocket, raw_websocket
from tests.targets.test_serve import NOWHERE

CREATE = "/api/v2/resource/create"
PROCESS = "/api/v2/process"
AUTH = {"Authorization": f"Bearer {TOKENS[0]}"}
TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]
PATH = "/socket.io/?EIO=4&transport="
RECORD_SEPARATOR = "\x1e"


class Client:
    """python-socketio's client, and what it has heard."""

    def __init__(self) -> None:
        self.socket = socketio.AsyncClient(reconnection=False)
        self.heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.refused: list[Any] = []
        self.socket.on("*", self._hear)
        self.socket.on("connect_error", self._refuse)

    async def _hear(self, name: str, *arguments: object) -> None:
        (data,) = arguments
        await self.heard.put((name, data))

    async def _refuse(self, data: object) -> None:
        self.refused.append(data)

    async def hear(self) -> tuple[str, Any]:
        return await asyncio.wait_for(self.heard.get(), HANG_S)


@asynccontextmanager
async def connected(
    url: str, transports: list[str], user: int = 1, headers: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    client = Client()
    auth = None if headers else {"token": TOKENS[user - 1]}
    await client.socket.connect(url, transports=transports, headers=headers or {}, auth=auth)
    try:
        assert await client.hear() == ("connected", {"user_id": user, "queue": 256})
        yield client
    finally:
        await client.socket.disconnect()


@contextmanager
def engine(url: str) -> Iterator[ClientConnection]:
    """An Engine.IO connection on a WebSocket, whose packets the test writes itself."""
    with connect(url.replace("http", "ws", 1) + PATH + "websocket", compression=None) as connection:
        assert str(connection.recv(HANG_S)).startswith('0{"sid":')
        yield connection


@contextmanager
def raw(url: str, user: int = 1, queue: int = 256) -> Iterator[ClientConnection]:
    """An Engine.IO connection that has joined the namespace."""
    with engine(url) as connection:
        connection.send(f'40{{"token":"{TOKENS[user - 1]}"}}')
        assert str(connection.recv(HANG_S)).startswith('40{"sid":')
        greeting = {"user_id": user, "queue": queue}
        assert json.loads(str(connection.recv(HANG_S))[2:]) == ["connected", greeting]
        yield connection


@contextmanager
def stalling(url: str) -> Iterator[RawWebSocket]:
    """A connection that has joined the namespace and stops reading."""
    with raw_websocket(url, PATH + "websocket") as connection:
        connection.send(f'40{{"token":"{TOKENS[0]}"}}'.encode())
        connection.read_until(b'"connected"')
        yield connection


def heard(connection: ClientConnection) -> tuple[str, dict[str, Any]]:
    packet = str(connection.recv(HANG_S))
    assert packet.startswith("42"), packet
    name, data = json.loads(packet[2:])
    return name, data


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counts(url: str) -> dict[str, int]:
    answer: dict[str, int] = httpx.get(f"{url}/api/v2/emitter", verify=False).json()
    return answer


# ---- what clients hear ----


@pytest.mark.anyio
@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_events_come_in_order_and_to_whom_they_concern(
    served: ServedTarget, transports: list[str]
) -> None:
    async with (
        connected(served.url, transports) as mine,
        connected(served.url, transports, user=2) as other,
        httpx.AsyncClient(base_url=served.url, headers=AUTH, verify=False) as http,
    ):
        job = {"data": "a b", "steps": 40, "step_s": 0.001}
        body = (await http.post(PROCESS, json=job)).json()
        await http.post(CREATE, json={"id": "after", "name": "n"})
        events = [await mine.hear() for _ in range(44)]
        assert (await other.hear())[0] == "resource_created"
    assert [name for name, _ in events] == [
        *["progress_update"] * 41,
        "log_entry",
        "operation_complete",
        "resource_created",
    ]
    progress = [data["progress"] for _, data in events[:41]]
    assert progress == [100 * n // 40 for n in range(41)]
    assert {data["operation_id"] for _, data in events[:41]} == {body["operation_id"]}
    emitted = [data["emitted_ns"] for _, data in events]
    assert emitted == sorted(emitted)
    assert events[42][1]["result"] == body["result"]


@pytest.mark.anyio
async def test_rooms_are_left_and_entered_with_an_acknowledgement(served: ServedTarget) -> None:
    async with (
        connected(served.url, ["websocket"]) as client,
        httpx.AsyncClient(base_url=served.url, headers=AUTH, verify=False) as http,
    ):
        room = {"room": "resources"}
        assert await client.socket.call("unsubscribe", room) == {"status": "ok"} | room
        await http.post(CREATE, json={"id": "unheard", "name": "n"})
        assert await client.socket.call("subscribe", room) == {"status": "ok"} | room
        await http.post(CREATE, json={"id": "heard", "name": "n"})
        name, data = await client.hear()
        assert (name, data["resource_id"]) == ("resource_created", "heard")


@pytest.mark.anyio
async def test_what_cannot_be_asked_is_acknowledged_with_an_error(served: ServedTarget) -> None:
    async with (
        connected(served.url, ["websocket"]) as client,
        httpx.AsyncClient(base_url=served.url, headers=AUTH, verify=False) as http,
    ):
        call = client.socket.call
        for name in ("subscribe", "unsubscribe"):
            for room in ("user:2", "attic", ""):
                answer = await call(name, {"room": room})
                detail = "There is no such room for this user."
                assert answer == {"status": "error", "detail": detail}
            for data in (None, "resources", 1, {}, {"room": 1}, [1], ("resources", 2)):
                assert (await call(name, data))["status"] == "error"
        assert (await call("shout", "x"))["status"] == "error"
        # It hears on as if nothing had been asked.
        await http.post(CREATE, json={"id": "heard", "name": "n"})
        assert (await client.hear())[0] == "resource_created"


# ---- who may connect ----


@pytest.mark.anyio
@pytest.mark.parametrize("transports", [["websocket"], ["polling"]], ids="-".join)
async def test_the_token_decides(served: ServedTarget, transports: list[str]) -> None:
    async with connected(served.url, transports, user=2, headers=served.auth(2)):
        pass
    tokens: list[dict[str, Any]] = [
        {},
        {"auth": {"token": "nobody's"}},
        {"auth": {"token": 1}},
        {"auth": {"other": "x"}},
        {"auth": {"token": "\ud800"}},
        {"auth": {"token": "nobody's"}, "headers": AUTH},
        {"headers": {"Authorization": "Basic dXNlcjo="}},
    ]
    for options in tokens:
        client = Client()
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.socket.connect(served.url, transports=transports, **options)
        assert client.refused == [{"message": "A valid bearer token is required."}], options


@pytest.mark.anyio
async def test_where_it_is_started_so_nobody_needs_a_token(start_target: StartTarget) -> None:
    target = start_target("async", ANONYMOUS_LISTENERS="1")
    client = Client()
    await client.socket.connect(target.url)
    assert await client.hear() == ("connected", {"user_id": 0, "queue": 256})
    async with httpx.AsyncClient(base_url=target.url, headers=AUTH, verify=False) as http:
        await http.post(PROCESS, json={"data": "x", "step_s": 0})
        await http.post(CREATE, json={"id": "new", "name": "n"})
    name, data = await client.hear()
    assert (name, data["resource_id"]) == ("resource_created", "new")
    await client.socket.disconnect()
    refused = Client()
    with pytest.raises(socketio.exceptions.ConnectionError):
        await refused.socket.connect(target.url, auth={"token": "nobody's"})


@pytest.mark.anyio
async def test_an_inactive_user_is_refused(served: ServedTarget) -> None:
    async with httpx.AsyncClient(base_url=served.url, headers=AUTH, verify=False) as client:
        await client.patch("/api/v2/users/2", json={"is_active": False})
    refused = Client()
    with pytest.raises(socketio.exceptions.ConnectionError):
        await refused.socket.connect(
            served.url, auth={"token": TOKENS[1]}, transports=["websocket"]
        )
    assert refused.refused == [{"message": "The user of this token is inactive."}]


def test_who_connects_twice_is_told_so_and_hears_everything_once(
    served: ServedTarget, blocking_client: httpx.Client
) -> None:
    with raw(served.url) as connection:
        connection.send(f'40{{"token":"{TOKENS[1]}"}}')
        assert connection.recv(HANG_S) == '44"Unable to connect"'
        blocking_client.post(CREATE, json={"id": "first", "name": "n"})
        blocking_client.post(CREATE, json={"id": "second", "name": "n"})
        assert [heard(connection)[1]["resource_id"] for _ in range(2)] == ["first", "second"]
        before = counts(served.url)["clients"]
        # It may go and come back on the same connection, as somebody else.
        connection.send("41")
        until(lambda: counts(served.url)["clients"] == before - 1)
        connection.send(f'40{{"token":"{TOKENS[1]}"}}')
        assert str(connection.recv(HANG_S)).startswith('40{"sid":')
        assert heard(connection) == ("connected", {"user_id": 2, "queue": 256})


# ---- other origins ----


def test_pages_of_other_origins_need_the_setting(start_target: StartTarget) -> None:
    listed, unlisted = "http://pages.example:3000", "http://elsewhere.example"
    strict = start_target("async")
    open_to = start_target("sync", ALLOWED_ORIGINS=f"{listed}, https://other.example")
    path = PATH + "polling"
    for target, origin, allowed in (
        (strict, strict.url, True),
        (strict, listed, False),
        (open_to, open_to.url, True),
        (open_to, listed, True),
        (open_to, unlisted, False),
    ):
        answer = httpx.get(target.url + path, headers={"Origin": origin}, verify=False)
        assert answer.status_code == (200 if allowed else 400), (target.url, origin)
        if allowed and origin == listed:
            assert answer.headers.get_list("Access-Control-Allow-Origin") == [origin]
        url = target.url.replace("http", "ws", 1) + PATH + "websocket"
        refused: list[int] = []
        try:
            with connect(url, origin=Origin(origin)):
                pass
        except InvalidStatus as status:
            refused.append(status.response.status_code)
        assert refused == ([] if allowed else [400])
    preflight = {
        "Origin": listed,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    answer = httpx.options(open_to.url + PROCESS, headers=preflight, verify=False)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == listed
    assert httpx.options(strict.url + PROCESS, headers=preflight, verify=False).status_code == 405


# ---- bad input ----

ENGINE_ERROR = "Not an Engine.IO packet that could come here."
SOCKET_ERROR = "Not a Socket.IO packet of a client."
BAD_INPUT: list[tuple[str | bytes, int, str]] = [
    ("x", 1007, ENGINE_ERROR),
    ("", 1007, ENGINE_ERROR),
    ("9", 1007, ENGINE_ERROR),
    ("2probe", 1007, ENGINE_ERROR),
    ("5", 1007, ENGINE_ERROR),
    ("bAAEC", 1007, ENGINE_ERROR),
    ("4" + "[" * 60_000, 1007, ENGINE_ERROR),
    (b"\x00\x01", 1003, "Binary messages are not understood."),
    ("4", 1007, SOCKET_ERROR),
    ("4x", 1007, SOCKET_ERROR),
    ("42", 1007, SOCKET_ERROR),
    ("42{}", 1007, SOCKET_ERROR),
    ("42[]", 1007, SOCKET_ERROR),
    ("42[[]]", 1007, SOCKET_ERROR),
    ('42["connect",{"HTTP_AUTHORIZATION":"Bearer token-2"}]', 1007, SOCKET_ERROR),
    ('42["disconnect"]', 1007, SOCKET_ERROR),
    ("40[]", 1007, SOCKET_ERROR),
    ('44"x"', 1007, SOCKET_ERROR),
    ('451-["x",{"_placeholder":true,"num":0}]', 1007, SOCKET_ERROR),
    ('4{"json":1}', 1007, SOCKET_ERROR),
    ("4" + "x" * 64 * 1024, 1009, ""),
    ("4" + "x" * 10_000_000, 1009, ""),
]


@pytest.mark.parametrize("variant", ["sync", "async"])
def test_bad_input_ends_its_own_connection_and_is_one_line_of_the_log(
    start_target: StartTarget, variant: str
) -> None:
    target = start_target(variant)
    with (
        raw(target.url, 2) as other,
        httpx.Client(base_url=target.url, headers=AUTH, verify=False) as client,
    ):
        for number, (message, code, reason) in enumerate(BAD_INPUT):
            with raw(target.url) as connection:
                with suppress(ConnectionClosed):
                    connection.send(message)
                with suppress(ConnectionClosed):
                    while True:
                        connection.recv(HANG_S)
                closed = connection.protocol.close_rcvd
                assert closed is not None, message[:50]
                assert (closed.code, closed.reason.startswith(reason)) == (code, True), message[:50]
            client.post(CREATE, json={"id": f"after-{number}", "name": "n"})
            assert heard(other)[1]["resource_id"] == f"after-{number}"
        until(lambda: counts(target.url)["clients"] == 1)
    log = target.ended()
    assert len(log) == len(BAD_INPUT), "\n".join(log)
    for line, (_, code, reason) in zip(log, BAD_INPUT, strict=True):
        assert line.startswith("/socket.io: 127.0.0.1:")
        assert f"closed with {code}: {reason}" in line


@pytest.mark.parametrize("variant", ["sync", "async"])
def test_polling_requests_that_make_no_sense_are_400_and_one_line_of_the_log(
    start_target: StartTarget, variant: str
) -> None:
    target = start_target(variant)
    path = PATH + "polling"
    bodies: list[bytes] = [
        b"x",
        b"9",
        b"\xff",
        b"2" + RECORD_SEPARATOR.encode() + b"x",
        b"d=",
        b"bAAEC",
        (RECORD_SEPARATOR.join("3" * 17)).encode(),
        b"4" + b"[" * 60_000,
        b"4" + b"x" * 64 * 1024,
    ]
    with httpx.Client(base_url=target.url, timeout=HANG_S, verify=False) as client:
        for body in bodies:
            opened = json.loads(client.get(path).text[1:])
            assert opened["maxPayload"] == 64 * 1024
            session = f"{path}&sid={opened['sid']}"
            assert client.post(session, content=body).status_code == 400, body[:20]
            # The session is over.
            assert client.get(session).status_code == 400, body[:20]
        opened = json.loads(client.get(path).text[1:])
        client.post(f"{path}&sid={opened['sid']}", content="42[]")
        assert client.get(f"{path}&sid={opened['sid']}").status_code == 400
        for wrong in (
            "/socket.io/",
            "/socket.io/?EIO=3&transport=polling",
            "/socket.io/?EIO=4&transport=pigeon",
            f"{path}&sid=nobody",
        ):
            assert client.get(wrong).status_code == 400, wrong
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(target.url.replace("http", "ws", 1) + PATH + "websocket&sid=nobody"),
        ):
            pass
        assert refused.value.response.status_code == 400
    log = target.ended()
    assert len(log) == 2 * len(bodies) + 2 + 4 + 1, "\n".join(log)
    assert all(line.startswith("/socket.io: 127.0.0.1:") for line in log)


def test_packets_of_a_client_are_told_from_others() -> None:
    for data in ("0", '0{"token":"x"}', "1", '2["x"]', '212["x",1]', "31[]"):
        assert is_client_packet(data), data
    others: list[object] = [None, 1, [], {}, "", "x", "7", "2", "2x", "2{", "3{}", "2[1]"]
    for other in others:
        assert not is_client_packet(other), other
    kinds = {"3": 3, "4x": 4, "6": 6, "7": None, "": None, "b": None}
    assert {encoded: engine_packet_type(encoded) for encoded in kinds} == kinds


# ---- clients that do not read ----


@pytest.mark.parametrize("variant", ["sync", "async"])
def test_clients_that_stop_reading_delay_nobody_and_lose_the_oldest(
    start_target: StartTarget, variant: str
) -> None:
    queue, stalled = 16, 20
    target = start_target(variant, EVENT_QUEUE=str(queue))
    with ExitStack() as stack:
        slow = [stack.enter_context(stalling(target.url)) for _ in range(stalled)]
        reader = stack.enter_context(raw(target.url, queue=queue))
        http = stack.enter_context(
            httpx.Client(base_url=target.url, headers=AUTH, timeout=HANG_S, verify=False)
        )
        late_s, told = 0.0, 0
        deadline = time.monotonic() + 2 * HANG_S
        while counts(target.url)["dropped"] < stalled * queue:
            assert time.monotonic() < deadline
            http.post(PROCESS, json={"data": "x", "steps": 100, "step_s": 0})
            progress = []
            for _ in range(103):
                name, data = heard(reader)
                late_s = max(late_s, time.monotonic() - data["emitted_ns"] / 1e9)
                if name == "progress_update":
                    progress.append(data["progress"])
            assert progress == list(range(101))
            told += 103
        after = counts(target.url)
        assert late_s < 5
        assert after["queued"] == told * (stalled + 1)
        waiting = after["queued"] - after["delivered"] - after["dropped"]
        assert 0 < waiting <= queue * stalled
        # One that asks and asks and reads no answer is not fed for ever.
        with suppress(ConnectionError):
            for number in range(1000):
                slow[0].send(f'42{number}["subscribe",{{"room":"resources"}}]'.encode())
        until(lambda: counts(target.url)["clients"] == stalled)
    until(lambda: counts(target.url)["clients"] == 0)
    log = target.ended()
    assert len(log) == 1
    assert log[0].endswith("closed with 1008: Too many answers wait to be read.")


def test_a_client_that_polls_gets_at_most_what_its_queue_holds(start_target: StartTarget) -> None:
    target = start_target("async", EVENT_QUEUE="20")
    path = PATH + "polling"
    with httpx.Client(base_url=target.url, headers=AUTH, timeout=HANG_S, verify=False) as client:
        session = f"{path}&sid={json.loads(client.get(path).text[1:])['sid']}"
        assert client.post(session, content=f'40{{"token":"{TOKENS[0]}"}}').status_code == 200
        connected_packets = client.get(session).text.split(RECORD_SEPARATOR)
        assert [packet[:2] for packet in connected_packets] == ["40", "42"]
        client.post(PROCESS, json={"data": "x", "steps": 100, "step_s": 0})
        packets: list[str] = []
        while len(packets) < 20:
            answer = client.get(session).text.split(RECORD_SEPARATOR)
            # More in one answer than python-socketio's client would take.
            assert len(answer) <= 16
            packets += answer
        names = [json.loads(packet[2:])[0] for packet in packets]
        assert names == ["progress_update"] * 18 + ["log_entry", "operation_complete"]
        totals = counts(target.url)
        assert (totals["queued"], totals["delivered"], totals["dropped"]) == (103, 20, 83)


def test_who_answers_no_ping_is_disconnected(start_target: StartTarget) -> None:
    target = start_target("async", PING_INTERVAL_S="1", PING_TIMEOUT_S="1")
    with raw(target.url, 2) as alive, raw(target.url), engine(target.url) as nobody:
        deadline = time.monotonic() + HANG_S
        while counts(target.url)["clients"] > 1:
            assert time.monotonic() < deadline
            # The library answers the pings of the WebSocket; those of Engine.IO are for us.
            if alive.recv(HANG_S) == "2":
                alive.send("3")
        httpx.post(
            target.url + CREATE, json={"id": "still", "name": "n"}, headers=AUTH, verify=False
        )
        while (packet := str(alive.recv(HANG_S))) == "2":
            alive.send("3")
        assert json.loads(packet[2:])[0] == "resource_created"
        # Nor is a connection kept for which nobody has said who it is.
        with suppress(ConnectionClosed):
            while True:
                nobody.recv(HANG_S)
        assert nobody.protocol.close_rcvd is not None
        assert nobody.protocol.close_rcvd.code == 1008
    (line,) = target.ended()
    assert line.endswith("closed with 1008: Nobody has connected.")


def test_what_comes_behind_a_clients_own_close_is_no_traceback(
    start_target: StartTarget,
) -> None:
    target = start_target("async")
    path = PATH + "polling"
    with httpx.Client(base_url=target.url, timeout=HANG_S, verify=False) as client:
        for behind in ("4x", "40{}", "42[]"):
            session = f"{path}&sid={json.loads(client.get(path).text[1:])['sid']}"
            client.post(session, content=f"1{RECORD_SEPARATOR}{behind}")
            assert client.get("/ready").status_code == 200, behind
    assert not any("Traceback" in line for line in target.ended())


@pytest.mark.parametrize("variant", ["sync", "async"])
def test_without_its_database_a_target_refuses_and_keeps_nobody(variant: str) -> None:
    with (
        serving(variant, {"DATABASE_URL": NOWHERE}) as process,
        httpx.Client(base_url=process.url, timeout=HANG_S, verify=False) as client,
    ):
        assert first_answer(process).status_code == 503
        path = PATH + "polling"
        session = f"{path}&sid={json.loads(client.get(path).text[1:])['sid']}"
        client.post(session, content='40{"token":"x"}')
        answer = client.get(session).text
        assert answer.startswith("44")
        assert "could not be looked up" in answer
        process.running.terminate()
        process.running.wait(HANG_S)
        log = process.log()
        assert "Traceback" not in log
        assert "nobody could be identified" in log
