"""Plain WebSockets: who may connect, what they hear, and what ends a connection."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Close
from websockets.sync.client import ClientConnection, connect

from loopmark.targets.websocket import Action, RefusedMessage, parse_action
from tests.hang_limit import HANG_S
from tests.targets.conftest import TOKENS, ServedTarget, StartTarget
from tests.targets.raw_websocket import PING, RawWebSocket, raw_websocket

CREATE = "/api/v2/resource/create"
PROCESS = "/api/v2/process"
AUTH = {"Authorization": f"Bearer {TOKENS[0]}"}


def ws(url: str) -> str:
    return url.replace("http", "ws", 1) + "/ws"


def heard(connection: ClientConnection) -> tuple[str, dict[str, Any]]:
    message = json.loads(connection.recv(HANG_S))
    return message["event"], message["data"]


@contextmanager
def listening(url: str, user: int = 1, queue: int = 256) -> Iterator[ClientConnection]:
    with connect(f"{ws(url)}?token={TOKENS[user - 1]}") as connection:
        assert heard(connection) == ("connected", {"user_id": user, "queue": queue})
        yield connection


def end(connection: ClientConnection) -> Close:
    """Read until the target closes the connection, and return what it says."""
    with suppress(ConnectionClosed):
        while True:
            connection.recv(HANG_S)
    closed = connection.protocol.close_rcvd
    assert closed is not None
    return closed


def ask(connection: ClientConnection, action: str, room: str) -> None:
    connection.send(json.dumps({"action": action, "room": room}))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counts(url: str) -> dict[str, int]:
    answer: dict[str, int] = httpx.get(f"{url}/api/v2/emitter", verify=False).json()
    return answer


# ---- the handshake ----


def test_a_token_comes_in_the_header_or_in_the_query(served: ServedTarget) -> None:
    with connect(ws(served.url), additional_headers=served.auth(2)) as connection:
        assert heard(connection) == ("connected", {"user_id": 2, "queue": 256})
    with listening(served.url, 3):
        pass


NO_VALID_TOKEN: list[tuple[str, dict[str, str]]] = [
    ("", {}),
    ("?token=", {}),
    ("?token=nobody%27s%00%F0", {}),
    ("", {"Authorization": "Bearer nobody's"}),
    ("", {"Authorization": "Basic dXNlcjo="}),
    # What is said in the header counts.
    (f"?token={TOKENS[0]}", {"Authorization": "Bearer nobody's"}),
]


def test_without_a_valid_token_the_handshake_is_401(served: ServedTarget) -> None:
    for query, headers in NO_VALID_TOKEN:
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(ws(served.url) + query, additional_headers=headers),
        ):
            pass
        response = refused.value.response
        assert response.status_code == 401, (query, headers)
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert json.loads(response.body) == {"detail": "A valid bearer token is required."}


def test_an_inactive_user_is_403(served: ServedTarget, blocking_client: httpx.Client) -> None:
    blocking_client.patch("/api/v2/users/2", json={"is_active": False})
    with pytest.raises(InvalidStatus) as refused, listening(served.url, 2):
        pass
    assert refused.value.response.status_code == 403
    detail = {"detail": "The user of this token is inactive."}
    assert json.loads(refused.value.response.body) == detail


def test_messages_are_not_compressed(served: ServedTarget) -> None:
    with listening(served.url) as connection:
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


# ---- rooms ----


def test_a_client_leaves_and_enters_its_rooms(
    served: ServedTarget, blocking_client: httpx.Client
) -> None:
    with listening(served.url) as connection:
        for room, path, body in (
            ("resources", CREATE, {"id": "{}", "name": "n"}),
            ("user:1", PROCESS, {"data": "x", "step_s": 0}),
        ):
            for action in ("unsubscribe", "unsubscribe", "subscribe", "subscribe"):
                ask(connection, action, room)
                assert heard(connection) == (f"{action}d", {"room": room})
                named = {k: str(v).format(action + room[:4]) for k, v in body.items()}
                blocking_client.post(path, json=body | named)
                if action == "subscribe":
                    name, data = heard(connection)
                    assert name == ("resource_created" if path == CREATE else "progress_update")
                    break
        assert data["progress"] == 0


NO_ACTIONS = [
    "",
    "x",
    "null",
    "[]",
    "{}",
    '{"action": "subscribe"}',
    '{"action": "subscribe", "room": 1}',
    '{"action": "shout", "room": "resources"}',
    '{"action": "subscribe", "room": "resources", "more": 1}',
    "[" * 60_000,
]


def test_what_is_no_action_is_refused() -> None:
    for text in NO_ACTIONS:
        with pytest.raises(RefusedMessage) as refused:
            parse_action(text)
        assert refused.value.code == 1007, text[:50]
        # What a close frame can carry.
        assert len(refused.value.reason.encode()) <= 123


@given(st.text() | st.lists(st.none() | st.text()).map(json.dumps))
@settings(max_examples=50, deadline=None)
def test_no_text_surprises_the_parser(text: str) -> None:
    with pytest.raises(RefusedMessage):
        parse_action(text)


@given(st.sampled_from(["subscribe", "unsubscribe"]), st.text())
@settings(max_examples=50, deadline=None)
def test_an_action_is_read(name: str, room: str) -> None:
    assert parse_action(json.dumps({"action": name, "room": room})) == Action(name, room)


# ---- bad input ----

BAD_INPUT: list[tuple[str | bytes, int, str]] = [
    ("{", 1007, "Not JSON."),
    ('{"action": "dance", "room": "resources"}', 1007, "Expected"),
    ("[" * 60_000, 1007, "Not JSON."),
    (b"\x00\x01", 1003, "Binary messages are not understood."),
    ("x" * (64 * 1024 + 1), 1009, ""),
    ("x" * 10_000_000, 1009, ""),
    ('{"action": "subscribe", "room": "user:2"}', 1008, "There is no such room"),
    ('{"action": "unsubscribe", "room": "user:2"}', 1008, "There is no such room"),
    ('{"action": "subscribe", "room": "attic"}', 1008, "There is no such room"),
]


@pytest.mark.parametrize("variant", ["sync", "async"])
def test_bad_input_ends_its_own_connection_and_is_one_line_of_the_log(
    start_target: StartTarget, variant: str
) -> None:
    target = start_target(variant)
    with (
        listening(target.url, 2) as other,
        httpx.Client(base_url=target.url, headers=AUTH, verify=False) as client,
    ):
        for number, (message, code, reason) in enumerate(BAD_INPUT):
            with listening(target.url) as connection:
                # The target may have closed before the end of a long message.
                with suppress(ConnectionClosed):
                    connection.send(message)
                closed = end(connection)
                assert closed.code == code, message[:50]
                assert closed.reason.startswith(reason)
            client.post(CREATE, json={"id": f"after-{number}", "name": "n"})
            assert heard(other)[1]["resource_id"] == f"after-{number}"
        with raw_client(target.url) as broken:
            # Not UTF-8: no client library would send it.
            broken.send(b"\xff\xfe")
            assert broken.close_code() == 1007
        with raw_client(target.url) as hasty:
            # At once, before the first of it is answered.
            hasty.send(b'{"action": "unsubscribe", "room": "resources"}')
            hasty.send(b'{"action": "subscribe", "room": "resources"}')
            hasty.send(b"\xff\xfe")
            hasty.send(b"ping", PING)
            assert hasty.close_code() == 1007
        with pytest.raises(InvalidStatus), connect(ws(target.url)):
            pass
        until(lambda: counts(target.url)["clients"] == 1)
    log = target.ended()
    codes = [code for _, code, _ in BAD_INPUT] + [1007, 1007]
    assert len(log) == len(codes) + 1, "\n".join(log)
    for line, code in zip(log, codes, strict=False):
        assert line.startswith("/ws: user 1 (127.0.0.1:")
        assert f"closed with {code}: " in line
    assert log[-1].endswith("refused: A valid bearer token is required.")


# ---- clients that do not read ----


@contextmanager
def raw_client(url: str) -> Iterator[RawWebSocket]:
    with raw_websocket(url, f"/ws?token={TOKENS[0]}") as connection:
        connection.read_until(b'"connected"')
        yield connection


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize("variant", ["sync", "async"])
def test_clients_that_stop_reading_delay_nobody_and_cost_little(
    start_target: StartTarget, variant: str
) -> None:
    stalled, requests, steps = 100, 30, 100
    told = requests * (steps + 4 - 1)
    target = start_target(variant, EVENT_QUEUE="64")
    with ExitStack() as stack:
        for _ in range(stalled):
            stack.enter_context(raw_client(target.url))
        reader = stack.enter_context(listening(target.url, queue=64))
        client = stack.enter_context(
            httpx.Client(base_url=target.url, headers=AUTH, timeout=HANG_S, verify=False)
        )
        before = resident_mib(target.process.pid)
        late_s = 0.0
        numbers: list[tuple[str, int]] = []
        for _ in range(requests):
            body = {"data": "x" * 1000, "steps": steps, "step_s": 0}
            assert client.post(PROCESS, json=body).status_code == 200
            for _ in range(steps + 4 - 1):
                name, data = heard(reader)
                late_s = max(late_s, time.monotonic() - data["emitted_ns"] / 1e9)
                if name == "progress_update":
                    numbers.append((data["operation_id"], data["progress"]))
        grown_mib = resident_mib(target.process.pid) - before
        after = counts(target.url)
        # The one that reads missed nothing, in order, and in no time that could be called waiting.
        operations = list(dict.fromkeys(operation for operation, _ in numbers))
        assert numbers == [(o, n) for o in operations for n in range(steps + 1)]
        assert late_s < 5
        assert after["clients"] == stalled + 1
        assert after["queued"] == told * (stalled + 1)
        waiting = after["queued"] - after["delivered"] - after["dropped"]
        assert after["dropped"] > 0
        assert waiting == 64 * stalled
        assert grown_mib < 50
    until(lambda: counts(target.url)["clients"] == 0)
    assert target.ended() == []


def test_of_a_client_that_reads_again_the_oldest_events_are_gone(
    start_target: StartTarget,
) -> None:
    target = start_target("async", EVENT_QUEUE="8")
    with (
        raw_client(target.url) as slow,
        httpx.Client(base_url=target.url, headers=AUTH, verify=False) as client,
    ):
        while not counts(target.url)["dropped"]:
            client.post(PROCESS, json={"data": "x" * 1000, "steps": 100, "step_s": 0})
        client.post(CREATE, json={"id": "newest", "name": "n"})
        held = counts(target.url)
        received = b""
        while b'"newest"' not in received:
            received += slow.socket.recv(65536)
        assert received.count(b'"emitted_ns"') == held["queued"] - held["dropped"]
        until(lambda: counts(target.url)["delivered"] == held["queued"] - held["dropped"])


def test_who_answers_no_ping_is_closed_with_1011(start_target: StartTarget) -> None:
    target = start_target("async", PING_INTERVAL_S="1", PING_TIMEOUT_S="1", EVENT_QUEUE="8")
    with (
        listening(target.url, 2, queue=8) as alive,
        raw_client(target.url) as deaf,
        raw_client(target.url) as stalled,
        httpx.Client(base_url=target.url, headers=AUTH, verify=False) as client,
    ):
        # What the stalled one does not read fills every buffer: no ping and no close gets through.
        while not counts(target.url)["dropped"]:
            client.post(PROCESS, json={"data": "x" * 1000, "steps": 100, "step_s": 0})
            deaf.drain()
        assert deaf.close_code() == 1011
        until(lambda: counts(target.url)["clients"] == 1)
        # Its connection is not left to hang either: nothing more can be sent to it.
        until(stalled.is_reset)
        client.post(CREATE, json={"id": "still", "name": "n"})
        assert heard(alive)[1]["resource_id"] == "still"
    log = target.ended()
    assert len(log) == 2
    assert all(line.endswith("closed with 1011: keepalive ping timeout") for line in log)


def test_a_signal_ends_the_target_in_spite_of_its_clients(start_target: StartTarget) -> None:
    target = start_target("async", EVENT_QUEUE="8")
    with (
        raw_client(target.url),
        listening(target.url, queue=8) as connection,
        httpx.Client(base_url=target.url, headers=AUTH, verify=False) as client,
    ):
        while not counts(target.url)["dropped"]:
            client.post(PROCESS, json={"data": "x" * 1000, "steps": 100, "step_s": 0})
            for _ in range(103):
                heard(connection)
        target.process.running.terminate()
        assert end(connection).code == 1012
        log = target.ended()
    assert not [line for line in log if "Traceback" in line], log
