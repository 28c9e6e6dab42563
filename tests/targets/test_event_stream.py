"""Server-Sent Events: who may listen, what is heard, and what ends a stream."""

import json
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.hang_limit import HANG_S
from tests.targets.conftest import TOKENS, ServedTarget, StartTarget

PATH = "/events"
PROCESS = "/api/v2/process"
CREATE = "/api/v2/resource/create"
Told = tuple[str, dict[str, Any]]


class Stream:
    """What a listener reads, block by block."""

    def __init__(self, response: httpx.Response) -> None:
        self._chunks = response.iter_text()
        self._pending = ""
        self._blocks: deque[str] = deque()

    def block(self) -> str:
        while not self._blocks:
            *blocks, self._pending = (self._pending + next(self._chunks)).split("\n\n")
            self._blocks.extend(blocks)
        return self._blocks.popleft()

    def told(self) -> Told:
        """The next event."""
        first, second = self.block().split("\n")
        data: dict[str, Any] = json.loads(second.removeprefix("data: "))
        return first.removeprefix("event: "), data


@contextmanager
def listening(url: str, user: int = 1, queue: int = 256) -> Iterator[Stream]:
    with (
        httpx.Client(base_url=url, timeout=HANG_S, verify=False) as client,
        client.stream("GET", PATH, params={"token": TOKENS[user - 1]}) as response,
    ):
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        assert "Content-Length" not in response.headers
        stream = Stream(response)
        assert stream.told() == ("connected", {"user_id": user, "queue": queue})
        yield stream


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counts(url: str) -> dict[str, int]:
    answer: dict[str, int] = httpx.get(f"{url}/api/v2/emitter", verify=False).json()
    return answer


def read_to_its_end(connection: socket.socket) -> None:
    while connection.recv(2**20):
        pass


def test_a_token_comes_in_the_header_or_in_the_query(
    served: ServedTarget, blocking_client: httpx.Client
) -> None:
    with blocking_client.stream("GET", PATH, headers=served.auth(2)) as response:
        assert Stream(response).told() == ("connected", {"user_id": 2, "queue": 256})
    with listening(served.url, 3):
        pass


def test_without_a_valid_token_it_is_refused(
    served: ServedTarget, blocking_client: httpx.Client
) -> None:
    for headers in ({"Authorization": "Bearer nobody's"}, {"Authorization": "Basic dXNlcjo="}):
        answer = blocking_client.get(PATH, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json() == {"detail": "A valid bearer token is required."}
    blocking_client.patch("/api/v2/users/2", json={"is_active": False})
    assert blocking_client.get(PATH, headers=served.auth(2)).status_code == 403


def test_everybody_hears_of_resources_and_only_its_user_of_an_operation(
    served: ServedTarget, blocking_client: httpx.Client
) -> None:
    with listening(served.url, 1) as mine, listening(served.url, 2) as other:
        blocking_client.post(PROCESS, json={"data": "x", "steps": 2, "step_s": 0})
        for number in range(30):
            blocking_client.post(CREATE, json={"id": f"new-{number}", "name": "n"})
        heard = [mine.told() for _ in range(5)]
        assert [name for name, _ in heard[:3]] == ["progress_update"] * 3
        assert [name for name, _ in heard[3:]] == ["log_entry", "operation_complete"]
        for stream in (mine, other):
            created = [stream.told() for _ in range(30)]
            assert {name for name, _ in created} == {"resource_created"}
            assert [one["resource_id"] for _, one in created] == [f"new-{n}" for n in range(30)]


def test_who_leaves_is_forgotten(served: ServedTarget) -> None:
    before = counts(served.url)["clients"]
    with listening(served.url):
        assert counts(served.url)["clients"] == before + 1
    until(lambda: counts(served.url)["clients"] == before)


@pytest.mark.parametrize("variant", ["sync", "async", "async-middleware"])
def test_a_silent_stream_is_kept_alive(variant: str, start_target: StartTarget) -> None:
    target = start_target(variant, PING_INTERVAL_S="1")
    with listening(target.url) as stream:
        assert stream.block() == ": ping"


def test_what_comes_behind_a_stream_does_not_hide_its_end(start_target: StartTarget) -> None:
    target = start_target("async")
    url = urlsplit(target.url)
    with socket.create_connection((url.hostname, url.port)) as connection:
        asked = f"GET {PATH}?token={TOKENS[0]} HTTP/1.1\r\nHost: target\r\n\r\n"
        connection.sendall(2 * asked.encode())
        until(lambda: counts(target.url)["clients"] == 1)
    until(lambda: counts(target.url)["clients"] == 0)


def test_head_is_answered_and_ends(served: ServedTarget, blocking_client: httpx.Client) -> None:
    before = counts(served.url)["clients"]
    answer = blocking_client.head(PATH)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert counts(served.url)["clients"] == before


def test_a_target_that_ends_ends_its_streams(start_target: StartTarget) -> None:
    target = start_target("async")
    with listening(target.url) as stream:
        assert target.ended() == []
        with pytest.raises((StopIteration, httpx.RemoteProtocolError, httpx.ReadError)):
            stream.block()


@pytest.mark.parametrize("variant", ["sync", "async", "async-middleware"])
def test_who_reads_no_more_is_ended_and_others_are_not(
    variant: str, start_target: StartTarget
) -> None:
    target = start_target(variant, PING_TIMEOUT_S="1", EVENT_QUEUE="8")
    url = urlsplit(target.url)
    with socket.socket() as stalled, httpx.Client(timeout=HANG_S, verify=False) as client:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        stalled.connect((url.hostname, url.port))
        asked = f"GET {PATH}?token={TOKENS[0]} HTTP/1.1\r\nHost: target\r\n\r\n"
        stalled.sendall(asked.encode())
        until(lambda: counts(target.url)["clients"] == 1)

        def is_ended() -> bool:
            body = {"data": "x", "steps": 100, "step_s": 0}
            headers = {"Authorization": f"Bearer {TOKENS[0]}"}
            assert client.post(f"{target.url}{PROCESS}", json=body, headers=headers).is_success
            return counts(target.url)["clients"] == 0

        until(is_ended)
        assert counts(target.url)["dropped"] > 0
        stalled.settimeout(HANG_S)
        read_to_its_end(stalled)
        with listening(target.url, queue=8):
            pass
    (line,) = target.ended()
    assert "/events: user 1" in line
    assert "reads no more" in line
