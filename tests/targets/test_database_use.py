"""What every implementation asks of its database: statements, connections, tests of connections."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import Engine, QueuePool, event, text

from loopmark.targets import contract, event_contract, file_contract
from loopmark.targets.catalog import VARIANTS
from tests.hang_limit import HANG_S
from tests.targets.conftest import LocalTarget, local_client, running

pytestmark = pytest.mark.anyio

USERS = "/api/v2/users"
CREATE = "/api/v2/resource/create"
WAIT = "/api/v2/wait"
POOL_SIZE, MAX_OVERFLOW = 20, 10

# In this order, on the same tables: the endpoint, path, options of httpx, and what is executed.
REQUESTS: list[tuple[contract.Endpoint, str, dict[str, Any], str]] = [
    (contract.READY, "/ready", {}, "SELECT ROLLBACK"),
    (
        contract.CREATE_RESOURCE,
        CREATE,
        {"json": {"id": "new", "name": "n"}},
        "SELECT SELECT INSERT COMMIT",
    ),
    (
        contract.CREATE_RESOURCE,
        CREATE,
        {"json": {"id": "new", "name": "n"}},
        "SELECT SELECT COMMIT",
    ),
    (contract.LIST_USERS, USERS, {}, "SELECT SELECT COMMIT"),
    (
        contract.CREATE_USER,
        USERS,
        {"json": {"username": "new", "email": "new@example.com"}},
        "SELECT INSERT COMMIT",
    ),
    (contract.GET_USER, f"{USERS}/2", {}, "SELECT SELECT COMMIT"),
    (
        contract.UPDATE_USER,
        f"{USERS}/2",
        {"json": {"full_name": "N"}},
        "SELECT SELECT UPDATE COMMIT",
    ),
    (contract.UPDATE_USER, f"{USERS}/2", {"json": {}}, "SELECT SELECT COMMIT"),
    (contract.DELETE_USER, f"{USERS}/2", {}, "SELECT DELETE COMMIT"),
    (contract.DELETE_USER, f"{USERS}/2", {}, "SELECT DELETE COMMIT"),
    (contract.WAIT, WAIT, {"params": {"seconds": 0}}, ""),
    (contract.WAIT, WAIT, {"params": {"seconds": 0, "on": "database"}}, "SELECT ROLLBACK"),
    (event_contract.PROCESS, "/api/v2/process", {"json": {"data": "x"}}, "SELECT COMMIT"),
    (event_contract.EMITTER, "/api/v2/emitter", {}, ""),
    (
        file_contract.PROCESS_FILES,
        "/api/v2/files/process",
        {"json": {"files": ["1k-000.txt", "1k-001.txt"]}},
        "SELECT COMMIT",
    ),
    # Once answered, the analysis is begun, and ended.
    (
        file_contract.UPLOAD,
        "/api/v2/upload",
        {"files": {"file": ("a.txt", b"a")}},
        "SELECT COMMIT INSERT COMMIT UPDATE COMMIT UPDATE COMMIT",
    ),
    (file_contract.GET_UPLOAD, "/api/v2/uploads/{upload_id}", {}, "SELECT SELECT COMMIT"),
]


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The first word of each statement that an engine sends."""
    sent: list[str] = []
    listeners: dict[str, Callable[..., Any]] = {
        "before_cursor_execute": lambda _c, _cursor, sql, *_: sent.append(sql.split()[0]),
        "commit": lambda _: sent.append("COMMIT"),
        "rollback": lambda _: sent.append("ROLLBACK"),
    }
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield sent
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)


async def test_every_endpoint_sends_the_same_statements_in_each_implementation(
    target: LocalTarget, client: httpx.AsyncClient
) -> None:
    upload_id = ""
    with statements(target.application.engine) as sent:
        for endpoint, path, options, expected in REQUESTS:
            sent.clear()
            answer = await client.request(
                endpoint.method, path.format(upload_id=upload_id), **options
            )
            assert answer.status_code in {200, 201, 204, 404}, (endpoint, answer.text)
            assert " ".join(sent) == expected, endpoint.operation_id
            if endpoint is file_contract.UPLOAD:
                upload_id = answer.json()["upload_id"]
    known = (*contract.ENDPOINTS, *event_contract.ENDPOINTS, *file_contract.ENDPOINTS)
    assert {endpoint.operation_id for endpoint, *_ in REQUESTS} == {
        endpoint.operation_id for endpoint in known
    }


def sessions(target: LocalTarget, condition: str = "true") -> int:
    """Connections of a target, as its database sees them."""
    query = text(
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name = :name AND {condition}"
    )
    with target.database.connect() as connection:
        return int(connection.scalar(query, {"name": target.instance}) or 0)


async def test_thirty_connections_at_most_and_twenty_are_kept(
    target: LocalTarget, client: httpx.AsyncClient
) -> None:
    requests = POOL_SIZE + 2 * MAX_OVERFLOW
    assert current_default_thread_limiter().total_tokens == requests
    with target.database.connect() as blocker:
        blocker.execute(text("LOCK TABLE users"))
        asked = [asyncio.create_task(client.get(USERS)) for _ in range(requests)]
        async with asyncio.timeout(HANG_S):
            while sessions(target, "wait_event_type = 'Lock'") < POOL_SIZE + MAX_OVERFLOW:
                await asyncio.sleep(0.01)
        # Each request has been at the pool by now, and the others wait there.
        assert sessions(target) == POOL_SIZE + MAX_OVERFLOW
        assert not any(one.done() for one in asked)
        blocker.rollback()
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}
    async with asyncio.timeout(HANG_S):
        while sessions(target) > POOL_SIZE:  # Those beyond are about to end.
            await asyncio.sleep(0.01)
    assert sessions(target) == POOL_SIZE
    pool = target.application.engine.pool
    assert isinstance(pool, QueuePool)
    assert (pool.size(), pool._max_overflow, pool._timeout) == (POOL_SIZE, MAX_OVERFLOW, 30)


async def test_a_connection_that_the_server_has_cut_fails_no_request(
    target: LocalTarget, client: httpx.AsyncClient
) -> None:
    assert (await client.get(USERS)).status_code == 200
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :n")
    with target.database.begin() as connection:
        assert connection.execute(cut, {"n": target.instance}).all()
    async with asyncio.timeout(HANG_S):
        while sessions(target):
            await asyncio.sleep(0.01)
    assert (await client.get(USERS)).status_code == 200


def test_each_variant_sets_the_number_of_its_threads(database_url: str) -> None:
    async def threads(variant: str) -> float:
        async with running(variant, DATABASE_URL=database_url):
            return current_default_thread_limiter().total_tokens

    # In event loops of their own: those that share one, in these tests, must have the same number.
    assert {name: anyio.run(threads, name) for name in VARIANTS} == {
        "sync": 40,
        "sync-one-thread": 1,
        "async": 40,
    }


@pytest.mark.parametrize("on", ["timer", "database"])
def test_with_one_thread_waits_take_turns(database_url: str, on: str) -> None:
    waits, seconds = 5, 0.1

    async def took_s() -> float:
        async with (
            running("sync-one-thread", DATABASE_URL=database_url) as application,
            local_client(application, {}) as client,
        ):
            began = anyio.current_time()
            await asyncio.gather(
                *(client.get(WAIT, params={"seconds": seconds, "on": on}) for _ in range(waits))
            )
            return anyio.current_time() - began

    # In an event loop of its own, to which the number of threads belongs.
    assert anyio.run(took_s) >= waits * seconds
