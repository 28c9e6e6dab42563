"""Every implementation answers the whole contract, in this process and from a real database."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from loopmark.targets import contract, schema
from loopmark.targets.faults import Symptom
from tests.hang_limit import HANG_S
from tests.targets.conftest import (
    CONCURRENT,
    SEEDS,
    TOKENS,
    LocalTarget,
    Surroundings,
    fault_of,
    local_client,
    running,
    with_marks,
)
from tests.targets.database_work import ACCOUNTS, account
from tests.targets.endpoints import ENDPOINTS

pytestmark = pytest.mark.anyio

CREATE = "/api/v2/resource/create"
USERS = "/api/v2/users"
WAIT = "/api/v2/wait"

# Valid requests: the body is read before the database is asked who sent it.
SECURED: list[tuple[str, str, object]] = [
    ("POST", CREATE, {"id": "refused", "name": "n"}),
    ("GET", USERS, None),
    ("POST", USERS, {"username": "refused", "email": "refused@example.com"}),
    ("GET", f"{USERS}/1", None),
    ("POST", ACCOUNTS, account("refused", "refused")),
    ("PATCH", f"{USERS}/1", {"full_name": "refused"}),
    ("DELETE", f"{USERS}/1", None),
    ("POST", "/api/v2/files/process", {"files": ["1k-000.txt"]}),
    ("POST", "/api/v2/upload", None),
    ("GET", "/api/v2/uploads/00000000-0000-4000-8000-000000000000", None),
]

UNUSABLE_RESOURCES: list[object] = [
    [],
    {},
    {"id": "x"},
    {"id": "", "name": "n"},
    {"id": "x" * 65, "name": "n"},
    {"id": "a b", "name": "n"},
    {"id": "x\n", "name": "n"},
    {"id": "x", "name": ""},
    {"id": "x", "name": "n" * 201},
    {"id": "x", "name": "a\x00b"},
    {"id": "x", "name": "n", "description": "d" * 2001},
    {"id": "x", "name": "n", "description": None},
    {"id": "x", "name": "n", "owner_id": 2},
]
UNUSABLE_USERS: list[dict[str, Any]] = [
    {},
    {"username": "x"},
    {"username": "x y", "email": "x@y"},
    {"username": "x", "email": "no at"},
    {"username": "x", "email": "x@y", "is_active": False},
    {"username": "x", "email": "x@y", "full_name": "\x00"},
]
CHANGES: list[dict[str, Any]] = [
    {},
    {"email": "changed@example.com"},
    {"full_name": ""},
    {"is_active": False},
    {"email": "c@example.com", "full_name": "C", "is_active": True},
    {"email": "user-2@example.com"},
]
UNUSABLE_CHANGES: list[dict[str, Any]] = [
    {"email": None},
    {"full_name": None},
    {"is_active": None},
    {"email": "no at"},
    {"username": "other"},
]


def created_at(row: dict[str, Any]) -> datetime:
    assert row["created_at"].endswith("Z")
    return datetime.fromisoformat(row["created_at"])


# ---- authentication ----


async def test_no_valid_token_is_401(anonymous: httpx.AsyncClient) -> None:
    for method, path, body in SECURED:
        for header in (None, "Bearer nobody's", "Bearer", "Basic dXNlcjo="):
            headers = {"Authorization": header} if header else {}
            answer = await anonymous.request(method, path, headers=headers, json=body)
            assert answer.status_code == 401, (method, path, header)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json() == {"detail": "A valid bearer token is required."}


async def test_inactive_user_is_403(client: httpx.AsyncClient, target: LocalTarget) -> None:
    assert (await client.patch(f"{USERS}/2", json={"is_active": False})).status_code == 200
    for method, path, body in SECURED:
        answer = await client.request(method, path, headers=target.auth(2), json=body)
        assert answer.status_code == 403, (method, path)
        assert answer.json() == {"detail": "The user of this token is inactive."}


# ---- resources ----


async def test_create_then_get_resource(client: httpx.AsyncClient, target: LocalTarget) -> None:
    data = {"id": "a_B-9", "name": "Ärger 🎈", "description": "d"}
    first = await client.post(CREATE, json=data, headers=target.auth(2))
    assert first.status_code == 200
    body = first.json()
    assert body["status"] == "success"
    assert body["created"] is True
    resource = body["resource"]
    assert abs((datetime.now(UTC) - created_at(resource)).total_seconds()) < 60
    del resource["created_at"]
    assert resource == {**data, "owner_id": 2}

    # Another caller with other data gets what is stored.
    second = (await client.post(CREATE, json={"id": "a_B-9", "name": "other"})).json()
    assert second["created"] is False
    assert second["resource"]["name"] == data["name"]
    assert second["resource"]["owner_id"] == 2


async def test_get_seeded_resource(client: httpx.AsyncClient) -> None:
    body = (await client.post(CREATE, json={"id": "seed-3", "name": "mine"})).json()
    assert body["created"] is False
    assert body["resource"]["name"] == "Seed 3"
    assert body["resource"]["description"] == ""


async def test_unusable_resource_is_422(client: httpx.AsyncClient, target: LocalTarget) -> None:
    for body in UNUSABLE_RESOURCES:
        assert (await client.post(CREATE, json=body)).status_code == 422, body
    assert target.count("resources") == SEEDS


async def test_half_a_character_is_422_and_not_an_error_of_the_target(
    client: httpx.AsyncClient,
) -> None:
    headers = {"Content-Type": "application/json"}
    for path, body in ((CREATE, rb'{"id": "x", "name": "\ud800"}'), (USERS, rb'{"\ud800": 1}')):
        answer = await client.post(path, content=body, headers=headers)
        assert answer.status_code == 422
        assert "ud800" in ascii(answer.json()["detail"])


async def test_of_concurrent_creates_of_one_id_exactly_one_creates(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    answers = await asyncio.gather(
        *(client.post(CREATE, json={"id": "same", "name": f"by {n}"}) for n in range(30))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["created"] for answer in answers) == 1
    assert len({answer.json()["resource"]["name"] for answer in answers}) == 1
    assert target.count("resources") == SEEDS + 1


@pytest.mark.parametrize("target", [*map(with_marks, CONCURRENT)], indirect=True)
async def test_a_create_that_loses_the_race_gets_what_the_winner_stored(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    # The test is the faster transaction: it commits once the request waits for its row.
    with target.database.connect() as winner, target.database.connect() as observer:
        winner.execute(text("INSERT INTO resources VALUES ('race', 'first', '', 1)"))
        loser = asyncio.create_task(client.post(CREATE, json={"id": "race", "name": "second"}))
        pid = winner.scalar(text("SELECT pg_backend_pid()"))
        blocked = text("SELECT count(*) FROM pg_locks WHERE :pid = ANY (pg_blocking_pids(pid))")
        async with asyncio.timeout(HANG_S):
            while not observer.scalar(blocked, {"pid": pid}):
                await asyncio.sleep(0.01)
        winner.commit()
        body = (await loser).json()
    assert body["created"] is False
    assert body["resource"]["name"] == "first"


async def test_a_hundred_creates_at_once_neither_fail_nor_stall(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    """40 threads share 30 connections: one held between thread hops would stall all.

    After 30 s without a connection a request fails.
    """
    # It does hold one, as it declares: only as many as there are connections do not stall it.
    at_once = 20 if target.name == "sync-depends" else 100
    answers = await asyncio.gather(
        *(client.post(CREATE, json={"id": f"r-{n}", "name": "n"}) for n in range(at_once))
    )
    assert Counter(answer.status_code for answer in answers) == {200: at_once}
    assert all(answer.json()["created"] for answer in answers)
    assert target.count("resources") == SEEDS + at_once


async def test_connections_held_between_thread_hops_stall_until_the_pool_gives_up(
    surroundings: Surroundings,
) -> None:
    fields, environment = surroundings()
    with fields["database"].begin() as connection:
        schema.reset(connection, TOKENS, SEEDS)
    auth = {"Authorization": f"Bearer {TOKENS[0]}"}
    async with (
        running("sync-depends", {"pool_timeout_s": 1}, **environment) as application,
        local_client(application, auth) as client,
    ):
        answers = await asyncio.gather(
            *(client.post(CREATE, json={"id": f"r-{n}", "name": "n"}) for n in range(100))
        )
        busy = [answer for answer in answers if answer.status_code == 503]
        assert busy
        assert {answer.json()["detail"] for answer in busy} == {contract.DATABASE_BUSY.detail}
        assert {answer.status_code for answer in answers} <= {200, 503}
        # What waited in vain holds nothing.
        assert (await client.get(USERS)).status_code == 200


# ---- users ----


async def test_list_users_pages_by_id(client: httpx.AsyncClient) -> None:
    assert [user["id"] for user in (await client.get(USERS)).json()["users"]] == [1, 2, 3]
    first = (await client.get(USERS, params={"limit": 2})).json()["users"]
    assert [user["username"] for user in first] == ["user-1", "user-2"]
    second = (await client.get(USERS, params={"limit": 2, "after": first[-1]["id"]})).json()[
        "users"
    ]
    assert [user["id"] for user in second] == [3]
    assert (await client.get(USERS, params={"after": 3})).json() == {"users": []}


async def test_unusable_page_is_422(client: httpx.AsyncClient) -> None:
    for query in ("limit=0", "limit=201", "limit=x", "after=-1", f"after={2**63}"):
        assert (await client.get(f"{USERS}?{query}")).status_code == 422, query


async def test_create_user(client: httpx.AsyncClient) -> None:
    data = {"username": "new", "email": "new@example.com", "full_name": "New User"}
    answer = await client.post(USERS, json=data)
    assert answer.status_code == 201
    user = answer.json()
    created_at(user)
    assert (await client.get(f"{USERS}/{user['id']}")).json() == user
    del user["created_at"]
    assert user == {**data, "id": len(TOKENS) + 1, "is_active": True}


async def test_duplicate_user_is_409(client: httpx.AsyncClient, target: LocalTarget) -> None:
    for username, email in (("user-1", "free@example.com"), ("free", "user-1@example.com")):
        answer = await client.post(USERS, json={"username": username, "email": email})
        assert answer.status_code == 409, (username, email)
        assert answer.json() == {"detail": "The username or the email belongs to another user."}
    assert target.count("users") == len(TOKENS)


async def test_unusable_user_is_422(client: httpx.AsyncClient, target: LocalTarget) -> None:
    for data in UNUSABLE_USERS:
        assert (await client.post(USERS, json=data)).status_code == 422, data
    assert target.count("users") == len(TOKENS)


async def test_of_concurrent_duplicates_of_a_user_one_is_created(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    data = {"username": "twin", "email": "twin@example.com"}
    answers = await asyncio.gather(*(client.post(USERS, json=data) for _ in range(20)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert target.count("users") == len(TOKENS) + 1


async def test_open_account(client: httpx.AsyncClient, target: LocalTarget) -> None:
    answer = await client.post(ACCOUNTS, json=account("opened", "first"))
    assert answer.status_code == 201
    body = answer.json()
    assert body["user"]["username"] == "opened"
    assert (body["resource"]["id"], body["resource"]["owner_id"]) == ("first", body["user"]["id"])
    assert (target.count("users"), target.count("resources")) == (len(TOKENS) + 1, SEEDS + 1)


async def test_an_account_of_a_user_that_exists_is_409(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    answer = await client.post(ACCOUNTS, json=account("user-2", "first"))
    assert answer.status_code == 409
    assert answer.json() == {"detail": "The username or the email belongs to another user."}
    assert (target.count("users"), target.count("resources")) == (len(TOKENS), SEEDS)


async def test_an_account_whose_resource_exists_is_409_and_leaves_nothing(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    answer = await client.post(ACCOUNTS, json=account("opened", "seed-1"))
    assert answer.status_code == 409
    assert answer.json() == {"detail": "The resource exists already."}
    fault = fault_of(target.name)
    is_half_applied = fault is not None and fault.symptom is Symptom.HALF_APPLIES
    assert target.count("users") == len(TOKENS) + is_half_applied
    assert target.count("resources") == SEEDS


async def test_get_user_tells_no_secret(client: httpx.AsyncClient) -> None:
    user = (await client.get(f"{USERS}/2")).json()
    assert user.keys() == {"id", "username", "email", "full_name", "is_active", "created_at"}
    assert user["username"] == "user-2"


async def test_absent_user_is_404_and_an_impossible_id_422(client: httpx.AsyncClient) -> None:
    for method, body in (("GET", None), ("PATCH", {}), ("DELETE", None)):
        answer = await client.request(method, f"{USERS}/99", json=body)
        assert answer.status_code == 404, method
        assert answer.json() == {"detail": "There is no user with this id."}
        for user_id in ("0", "x", 2**63):
            answer = await client.request(method, f"{USERS}/{user_id}", json=body)
            assert answer.status_code == 422, (method, user_id)


async def test_update_user_changes_the_given_fields_only(client: httpx.AsyncClient) -> None:
    for changes in CHANGES:
        before = (await client.get(f"{USERS}/2")).json()
        answer = await client.patch(f"{USERS}/2", json=changes)
        assert answer.status_code == 200, changes
        assert answer.json() == before | changes
        assert (await client.get(f"{USERS}/2")).json() == before | changes


async def test_unusable_change_is_422(client: httpx.AsyncClient) -> None:
    before = (await client.get(f"{USERS}/2")).json()
    for changes in UNUSABLE_CHANGES:
        assert (await client.patch(f"{USERS}/2", json=changes)).status_code == 422, changes
    assert (await client.get(f"{USERS}/2")).json() == before


async def test_update_to_a_taken_email_is_409(client: httpx.AsyncClient) -> None:
    answer = await client.patch(
        f"{USERS}/2", json={"email": "user-1@example.com", "full_name": "gone"}
    )
    assert answer.status_code == 409
    assert answer.json() == {"detail": "The email belongs to another user."}
    assert (await client.get(f"{USERS}/2")).json()["full_name"] == "User 2"


async def test_delete_user(client: httpx.AsyncClient, target: LocalTarget) -> None:
    answer = await client.delete(f"{USERS}/2")
    assert answer.status_code == 204
    assert answer.content == b""
    assert (await client.get(f"{USERS}/2")).status_code == 404
    assert (await client.get(USERS, headers=target.auth(2))).status_code == 401


async def test_delete_of_an_owner_is_409(client: httpx.AsyncClient, target: LocalTarget) -> None:
    answer = await client.delete(f"{USERS}/1")
    assert answer.status_code == 409
    assert answer.json() == {"detail": "The user still owns resources."}
    assert target.count("users") == len(TOKENS)


# ---- waiting ----


@pytest.mark.parametrize("on", ["timer", "database"])
async def test_wait_waits(anonymous: httpx.AsyncClient, on: str) -> None:
    began = time.monotonic()
    answer = await anonymous.get(WAIT, params={"seconds": 0.1, "on": on})
    assert time.monotonic() - began >= 0.1
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "waited_s": 0.1, "on": on}


async def test_wait_is_half_a_second_on_a_timer_by_default(anonymous: httpx.AsyncClient) -> None:
    assert (await anonymous.get(WAIT)).json() == {
        "status": "success",
        "waited_s": 0.5,
        "on": "timer",
    }


async def test_unusable_wait_is_422(anonymous: httpx.AsyncClient) -> None:
    for query in ("seconds=-1", "seconds=30.1", "seconds=nan", "seconds=inf", "on=moon"):
        assert (await anonymous.get(f"{WAIT}?{query}")).status_code == 422, query


@pytest.mark.parametrize("on", ["timer", "database"])
async def test_waits_overlap(anonymous: httpx.AsyncClient, on: str) -> None:
    waits, seconds = 10, 0.5
    began = time.monotonic()
    answers = await asyncio.gather(
        *(anonymous.get(WAIT, params={"seconds": seconds, "on": on}) for _ in range(waits))
    )
    assert time.monotonic() - began < waits * seconds
    assert {answer.status_code for answer in answers} == {200}


# ---- the document ----


async def test_a_report_has_the_rows_that_were_asked_for(client: httpx.AsyncClient) -> None:
    rows = (await client.get("/api/v2/report", params={"rows": 3})).json()["rows"]
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert rows[1].keys() == {"number", "name", "share", "text"}
    assert 900_000 < len((await client.get("/api/v2/report")).content) < 1_200_000
    for unusable in ("0", "20001", "x"):
        answer = await client.get("/api/v2/report", params={"rows": unusable})
        assert answer.status_code == 422, unusable


async def test_a_middleware_adds_its_header_and_nothing_else(surroundings: Surroundings) -> None:
    _, environment = surroundings()
    async with (
        running("async-middleware", {}, **environment) as application,
        local_client(application, {}) as client,
    ):
        answer = await client.get(WAIT, params={"seconds": 0})
    assert answer.json() == {"status": "success", "waited_s": 0.0, "on": "timer"}
    assert 0 < float(answer.headers["X-Process-Time"]) < HANG_S


async def test_openapi_documents_are_identical_and_complete(
    local_targets: dict[str, LocalTarget],
) -> None:
    documents = set()
    for target in local_targets.values():
        async with target.client() as client:
            documents.add((await client.get("/openapi.json")).content)
    assert len(documents) == 1
    document = httpx.Response(200, content=documents.pop()).json()
    for endpoint in ENDPOINTS:
        operation = document["paths"][endpoint.path][endpoint.method.lower()]
        assert operation["operationId"] == endpoint.operation_id
        assert operation["summary"]
        assert operation["description"]
        statuses = {str(problem.status) for problem in endpoint.problems}
        answers = {str(endpoint.status_code), *statuses}
        assert operation["responses"].keys() - {"422"} == answers - {"422"}
        assert ("security" in operation) is ("401" in answers)
    assert sum(map(len, document["paths"].values())) == len(ENDPOINTS)
    # Each field of a change may be absent, none may be null.
    changes = document["components"]["schemas"]["UserChanges"]
    assert "required" not in changes
    assert "null" not in str(changes)
