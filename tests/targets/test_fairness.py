"""Variants ask the same of the same database through the same pool, but for what they declare.

Seen from outside while they run: statements and round trips by a proxy before the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.util import LRUCache

from loopmark.harness.drivers.journey import RIGHT, Journey
from loopmark.harness.vocabulary.flow import VirtualUser
from loopmark.harness.vocabulary.scenario import is_plain_flow
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.scenarios.flows import SEEDED_ACCOUNTS
from loopmark.targets import async_sessions, contract, file_contract, schema
from loopmark.targets.catalog import VARIANTS
from tests.targets.conftest import (
    IMPLEMENTATIONS,
    SEEDS,
    TOKENS,
    WRAPPED,
    Application,
    Surroundings,
    local_client,
    running,
)
from tests.targets.counting_proxy import counting, counting_apart
from tests.targets.database_work import REQUESTS
from tests.targets.endpoints import ENDPOINTS

pytestmark = pytest.mark.anyio

UNTESTED = tuple(name for name, row in VARIANTS.items() if not row.pool_pre_ping)

SETTLED_AFTER = 7
"""Requests of a kind until drivers have prepared its statements: psycopg does so at the sixth."""

POOL: Mapping[str, Any] = {
    "connections": 20,
    "overflow": 10,
    "wait for a connection, s": 30,
    "age of a connection, s": -1,
    "test of connections": True,
    "threads": 40,
    "compiled statements": 500,
    "isolation": "READ COMMITTED",
    "reload after a commit": False,
}


def pool_of(application: Application) -> Mapping[str, Any]:
    """What its code shares with other variants'; it must have answered a request."""
    pool = application.engine.pool
    assert isinstance(pool, QueuePool)
    compiled = application.engine._compiled_cache
    assert isinstance(compiled, LRUCache)
    return {
        "connections": pool.size(),
        "overflow": pool._max_overflow,
        "wait for a connection, s": pool._timeout,
        "age of a connection, s": pool._recycle,
        "test of connections": pool._pre_ping,
        "threads": current_default_thread_limiter().total_tokens,
        "compiled statements": compiled.capacity,
        "isolation": application.engine.dialect.default_isolation_level,
        "reload after a commit": application.expires,
    }


async def unfairness(
    variant: str, surroundings: Surroundings, changes: Mapping[str, Any] | None = None
) -> list[str]:
    """In what a variant differs from what it declares.

    Args:
        variant: Its name.
        surroundings: Make its tables and folders.
        changes: Settings that it is not served with.
    """
    fields, environment = surroundings()
    with fields["database"].begin() as connection:
        schema.reset(connection, TOKENS, SEEDS)
    row = VARIANTS[variant]
    found = []
    async with (
        counting_apart(environment["DATABASE_URL"]) as (url, work),
        running(variant, changes or {}, **(environment | {"DATABASE_URL": url})) as application,
        local_client(application, {"Authorization": f"Bearer {TOKENS[0]}"}) as client,
    ):
        upload_id = ""
        left_out = row.fault.shows_in if row.fault else frozenset[str]()
        for endpoint, path, options, expected, _ in REQUESTS:
            if endpoint.operation_id in left_out:
                continue
            for number in range(SETTLED_AFTER + 1):
                work.clear()
                of_number = path.format(upload_id=upload_id, new_user=SEEDS + 1 + number)
                answer = await client.request(endpoint.method, of_number, **options(number))
            assert answer.is_success, (endpoint, answer.text)
            declared = expected.replace("BEGIN", f"{row.connection_test} BEGIN").split()
            asked = [one.split()[0].rstrip(";") or ";" for one in work.statements]
            if asked != declared:
                found.append(f"{path} asks {' '.join(asked)}")
            elif work.round_trips != len(declared):
                found.append(f"{path} takes {work.round_trips} round trips")
            if endpoint is file_contract.UPLOAD:
                upload_id = answer.json()["upload_id"]
        declared_pool = {
            **POOL,
            "test of connections": row.pool_pre_ping,
            "threads": row.worker_threads,
        }
        pool = pool_of(application)
        found += [name for name, value in declared_pool.items() if pool[name] != value]
    return found


@pytest.mark.parametrize("variant", [*IMPLEMENTATIONS, *WRAPPED, *UNTESTED])
async def test_a_variant_does_and_has_what_it_declares(
    variant: str, surroundings: Surroundings
) -> None:
    assert await unfairness(variant, surroundings) == []


def test_every_endpoint_is_looked_at() -> None:
    looked_at = {endpoint.operation_id for endpoint, *_ in REQUESTS}
    assert looked_at == {endpoint.operation_id for endpoint in ENDPOINTS}


PLAIN = {name: one for name, one in SCENARIOS.items() if is_plain_flow(one.flow, one)}
DIFFERENT = {str(one.statements): name for name, one in reversed(PLAIN.items())}.values()
"""Of the scenarios that ask the same one is enough."""

PASSES = {"read-mostly": 40, "beside-report": 20, "open-account": 60, "beside-files": 20}
"""Where some step is rare. Elsewhere three: the first finds out what the server can do."""


@pytest.mark.parametrize("name", DIFFERENT)
async def test_a_scenario_says_what_its_requests_ask(name: str, surroundings: Surroundings) -> None:
    fields, environment = surroundings()
    tokens = [f"token-{number}" for number in range(SEEDED_ACCOUNTS)]
    with fields["database"].begin() as connection:
        schema.reset(connection, tokens, SEEDED_ACCOUNTS)
    asked: dict[str, str] = {}
    async with (
        counting(environment["DATABASE_URL"]) as (url, work),
        running("async-no-ping", {}, **(environment | {"DATABASE_URL": url})) as application,
        local_client(application, {"Authorization": f"Bearer {tokens[0]}"}) as client,
    ):
        for number in range(PASSES.get(name, 3)):
            user = VirtualUser(number, tokens[number], Random(number))
            flow = PLAIN[name].flow
            assert is_plain_flow(flow, PLAIN[name])
            journey = Journey(flow, user)
            while (request := journey.request) is not None:
                work.clear()
                answer = await client.request(
                    request.method, request.path, params=request.params, json=request.json
                )
                asked[request.step] = " ".join(
                    one.split()[0].rstrip(";") for one in work.statements
                )
                assert journey.receive(answer) == RIGHT
    assert asked == PLAIN[name].statements


def test_every_scenario_says_what_it_asks() -> None:
    assert [name for name, one in SCENARIOS.items() if not one.statements] == []


# ---- what it would notice ----


async def test_half_a_pool_would_be_noticed(surroundings: Surroundings) -> None:
    assert await unfairness("async", surroundings, {"pool_size": 10}) == ["connections"]


async def test_a_test_of_connections_that_is_off_would_be_noticed(
    surroundings: Surroundings,
) -> None:
    found = await unfairness("sync", surroundings, {"pool_pre_ping": False})
    assert found[0] == "/ready asks BEGIN SELECT ROLLBACK"
    assert found[-1] == "test of connections"


async def test_one_more_query_would_be_noticed(
    surroundings: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticate = async_sessions.authenticate

    async def twice(session: AsyncSession, credentials: contract.BearerToken) -> int:
        await authenticate(session, credentials)
        return await authenticate(session, credentials)

    monkeypatch.setattr(async_sessions, "authenticate", twice)
    found = await unfairness("async", surroundings)
    assert "/api/v2/users/2 asks BEGIN ; ROLLBACK BEGIN SELECT SELECT SELECT COMMIT" in found
