"""How every implementation uses its database: connections, tests of connections, threads."""

import asyncio

import anyio
import httpx
import pytest
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import QueuePool, text

from loopmark.targets.catalog import VARIANTS
from tests.hang_limit import HANG_S
from tests.targets.conftest import CONCURRENT, LocalTarget, local_client, running, with_marks

pytestmark = pytest.mark.anyio

USERS = "/api/v2/users"
CREATE = "/api/v2/resource/create"
WAIT = "/api/v2/wait"
POOL_SIZE, MAX_OVERFLOW = 20, 10


def sessions(target: LocalTarget, condition: str = "true") -> int:
    """Connections of a target, as its database sees them."""
    query = text(
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name = :name AND {condition}"
    )
    with target.database.connect() as connection:
        return int(connection.scalar(query, {"name": target.instance}) or 0)


@pytest.mark.parametrize("target", [*map(with_marks, CONCURRENT)], indirect=True)
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
        "sync-threads-100": 100,
        "sync-no-ping": 40,
        "sync-depends": 40,
        "async": 40,
        "async-no-ping": 40,
        "async-depends": 40,
        "async-psycopg": 40,
        "async-middleware": 40,
        "async-plain": 40,
        "blocking-db": 40,
        "blocking-io": 40,
        "missing-await": 40,
        "manual-commit": 40,
        "forgotten-commit": 40,
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
