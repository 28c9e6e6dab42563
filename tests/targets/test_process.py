"""`process` and `resource/create` emit what is documented, in order, to whom it concerns."""

import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.hang_limit import HANG_S
from tests.targets.conftest import TOKENS, LocalTarget, ServedTarget

PROCESS = "/api/v2/process"
CREATE = "/api/v2/resource/create"
Told = tuple[str, dict[str, Any]]


def told(connection: ClientConnection) -> Told:
    message = json.loads(connection.recv(HANG_S))
    assert message.keys() == {"event", "data"}
    return message["event"], message["data"]


@contextmanager
def listening(served: ServedTarget, user: int) -> Iterator[ClientConnection]:
    url = served.url.replace("http", "ws", 1)
    with connect(f"{url}/ws?token={TOKENS[user - 1]}", compression=None) as connection:
        assert told(connection) == ("connected", {"user_id": user, "queue": 256})
        yield connection


@pytest.mark.parametrize(("steps", "running"), [(1, []), (4, [25, 50, 75])])
def test_process_tells_its_user_in_order_and_then_answers(
    served: ServedTarget, blocking_client: httpx.Client, steps: int, running: list[int]
) -> None:
    with listening(served, 1) as mine, listening(served, 2) as other:
        began_ns = time.monotonic_ns()
        answer = blocking_client.post(
            PROCESS, json={"data": "zwei Wörter", "steps": steps, "step_s": 0.01}
        )
        answered_ns = time.monotonic_ns()
        events = [told(mine) for _ in range(len(running) + 4)]
        blocking_client.post(CREATE, json={"id": "after", "name": "n"})
        # Nothing of it came to the other user before what everybody hears.
        assert told(other)[0] == "resource_created"
        assert told(mine)[0] == "resource_created"

    assert answer.status_code == 200
    body = answer.json()
    assert uuid.UUID(body["operation_id"]).version == 4
    digest = hashlib.sha256("zwei Wörter".encode()).hexdigest()
    result = {"characters": 11, "words": 2, "sha256": digest}
    assert body == {"status": "success", "operation_id": body["operation_id"], "result": result}

    emitted = [data.pop("emitted_ns") for _, data in events]
    assert emitted == sorted(emitted)
    assert began_ns < emitted[0]
    assert emitted[-1] < answered_ns
    # A timer of millisecond resolution may wake a little early.
    assert emitted[-1] - emitted[0] >= steps * 8_000_000
    operation = {"operation_id": body["operation_id"]}
    progress = [(0, "started"), *((n, "running") for n in running), (100, "completed")]
    assert events == [
        *(("progress_update", operation | {"progress": n, "status": s}) for n, s in progress),
        (
            "log_entry",
            {
                "user_id": 1,
                "tool_name": "DataProcessor",
                "status": "success",
                "result": result,
            },
        ),
        ("operation_complete", operation | {"result": result}),
    ]


@pytest.mark.anyio
async def test_process_has_defaults(client: httpx.AsyncClient) -> None:
    answer = await client.post(PROCESS, json={"data": ""})
    assert answer.status_code == 200
    assert answer.json()["result"]["words"] == 0


@pytest.mark.anyio
async def test_unusable_jobs_are_422(client: httpx.AsyncClient) -> None:
    jobs: list[object] = [
        {},
        [],
        {"data": 1},
        {"data": "x" * 10_001},
        {"data": "x", "steps": 0},
        {"data": "x", "steps": 101},
        {"data": "x", "steps": 1.5},
        {"data": "x", "step_s": -1},
        {"data": "x", "step_s": 5.1},
        {"data": "x", "step_s": "nan"},
        {"data": "x", "step": 1},
    ]
    for job in jobs:
        assert (await client.post(PROCESS, json=job)).status_code == 422, job
    # Half a character, which has no encoding.
    headers = {"Content-Type": "application/json"}
    halved = await client.post(PROCESS, content=b'{"data": "\\ud800"}', headers=headers)
    assert halved.status_code == 422


@pytest.mark.anyio
async def test_only_who_is_somebody_and_active_may_process(
    target: LocalTarget, client: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    job = {"data": "x"}
    refused = await anonymous.post(PROCESS, json=job)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    await client.patch("/api/v2/users/2", json={"is_active": False})
    answer = await client.post(PROCESS, json=job, headers=target.auth(2))
    assert answer.status_code == 403


def test_a_resource_is_told_once_and_only_by_who_created_it(
    served: ServedTarget, blocking_client: httpx.Client
) -> None:
    with listening(served, 1) as first, listening(served, 2) as second:
        blocking_client.post(CREATE, json={"id": "seed-1", "name": "was there"})
        blocking_client.post(CREATE, json={"id": "new", "name": "n"}, headers=served.auth(2))
        blocking_client.post(CREATE, json={"id": "new", "name": "again"})
        blocking_client.post(CREATE, json={"id": "newer", "name": "n"})
        for connection in (first, second):
            events = [told(connection) for _ in range(2)]
            for _, data in events:
                assert 0 < data.pop("emitted_ns") < time.monotonic_ns()
            assert events == [
                ("resource_created", {"resource_id": "new", "user_id": 2}),
                ("resource_created", {"resource_id": "newer", "user_id": 1}),
            ]
        # After the commit: whoever hears of it can get it.
        created = blocking_client.post(CREATE, json={"id": "newest", "name": "n"}).json()
        assert created["created"] is True
        assert told(first)[1]["resource_id"] == "newest"


def test_the_emitter_counts(served: ServedTarget, blocking_client: httpx.Client) -> None:
    def counts() -> dict[str, int]:
        answer = httpx.get(f"{served.url}/api/v2/emitter", verify=False)
        assert answer.status_code == 200
        read: dict[str, int] = answer.json()
        return read

    before = counts()
    with listening(served, 1) as first, listening(served, 2) as second:
        blocking_client.post(CREATE, json={"id": "counted", "name": "n"})
        blocking_client.post(PROCESS, json={"data": "x", "step_s": 0})
        for _ in range(5):
            told(first)
        told(second)
        after = counts()
        assert after["clients"] - before["clients"] == 2
        assert after["emitted"] - before["emitted"] == 5
        assert after["queued"] - before["queued"] == 6
        assert after["delivered"] - before["delivered"] == 6
        assert after["dropped"] == before["dropped"]
    deadline = time.monotonic() + HANG_S
    while counts()["clients"] != before["clients"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
