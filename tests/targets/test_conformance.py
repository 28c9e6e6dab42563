"""Every variant answers the whole contract, over the wire and from a real database."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from loopmark.targets import contract, event_contract, file_contract
from tests.targets.conftest import SEEDS, TOKENS, Target

ENDPOINTS = (*contract.ENDPOINTS, *event_contract.ENDPOINTS, *file_contract.ENDPOINTS)
CREATE = "/api/v2/resource/create"
USERS = "/api/v2/users"
WAIT = "/api/v2/wait"

# Valid requests: the body is read before the database is asked who sent it.
SECURED: list[tuple[str, str, object]] = [
    ("POST", CREATE, {"id": "refused", "name": "n"}),
    ("GET", USERS, None),
    ("POST", USERS, {"username": "refused", "email": "refused@example.com"}),
    ("GET", f"{USERS}/1", None),
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


async def at_once(
    target: Target, users: int, send: Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]
) -> list[httpx.Response]:
    """Send one request per user, all at the same time."""
    limits = httpx.Limits(max_connections=users)
    async with httpx.AsyncClient(
        base_url=target.url, headers=target.auth(), timeout=60, limits=limits, verify=False
    ) as client:
        return await asyncio.gather(*(send(client, n) for n in range(users)))


# ---- authentication ----


@pytest.mark.parametrize(("method", "path", "body"), SECURED)
def test_no_valid_token_is_401(
    anonymous: httpx.Client, method: str, path: str, body: object
) -> None:
    for header in (None, "Bearer nobody's", "Bearer", "Basic dXNlcjo="):
        headers = {"Authorization": header} if header else {}
        answer = anonymous.request(method, path, headers=headers, json=body)
        assert answer.status_code == 401, header
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json() == {"detail": "A valid bearer token is required."}


@pytest.mark.parametrize(("method", "path", "body"), SECURED)
def test_inactive_user_is_403(
    client: httpx.Client, target: Target, method: str, path: str, body: object
) -> None:
    assert client.patch(f"{USERS}/2", json={"is_active": False}).status_code == 200
    answer = client.request(method, path, headers=target.auth(2), json=body)
    assert answer.status_code == 403
    assert answer.json() == {"detail": "The user of this token is inactive."}


# ---- resources ----


def test_create_then_get_resource(client: httpx.Client, target: Target) -> None:
    data = {"id": "a_B-9", "name": "Ärger 🎈", "description": "d"}
    first = client.post(CREATE, json=data, headers=target.auth(2))
    assert first.status_code == 200
    body = first.json()
    assert body["status"] == "success"
    assert body["created"] is True
    resource = body["resource"]
    assert abs((datetime.now(UTC) - created_at(resource)).total_seconds()) < 60
    del resource["created_at"]
    assert resource == {**data, "owner_id": 2}

    # Another caller with other data gets what is stored.
    second = client.post(CREATE, json={"id": "a_B-9", "name": "other"}).json()
    assert second["created"] is False
    assert second["resource"]["name"] == data["name"]
    assert second["resource"]["owner_id"] == 2


def test_get_seeded_resource(client: httpx.Client) -> None:
    body = client.post(CREATE, json={"id": "seed-3", "name": "mine"}).json()
    assert body["created"] is False
    assert body["resource"]["name"] == "Seed 3"
    assert body["resource"]["description"] == ""


def test_unusable_resource_is_422(client: httpx.Client, target: Target) -> None:
    for body in UNUSABLE_RESOURCES:
        assert client.post(CREATE, json=body).status_code == 422, body
    assert target.count("resources") == SEEDS


def test_half_a_character_is_422_and_not_an_error_of_the_target(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    for path, body in ((CREATE, rb'{"id": "x", "name": "\ud800"}'), (USERS, rb'{"\ud800": 1}')):
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code == 422
        assert "ud800" in ascii(answer.json()["detail"])


@pytest.mark.anyio
async def test_of_concurrent_creates_of_one_id_exactly_one_creates(target: Target) -> None:
    answers = await at_once(
        target, 30, lambda client, n: client.post(CREATE, json={"id": "same", "name": f"by {n}"})
    )
    assert {answer.status_code for answer in answers} == {200}
    assert sum(answer.json()["created"] for answer in answers) == 1
    assert len({answer.json()["resource"]["name"] for answer in answers}) == 1
    assert target.count("resources") == SEEDS + 1


@pytest.mark.anyio
async def test_a_create_that_loses_the_race_gets_what_the_winner_stored(target: Target) -> None:
    # The test is the faster transaction: it commits once the request waits for its row.
    with target.engine.connect() as winner, target.engine.connect() as observer:
        winner.execute(text("INSERT INTO resources VALUES ('race', 'first', '', 1)"))
        async with httpx.AsyncClient(
            base_url=target.url, headers=target.auth(), verify=False
        ) as client:
            loser = asyncio.create_task(client.post(CREATE, json={"id": "race", "name": "second"}))
            pid = winner.scalar(text("SELECT pg_backend_pid()"))
            blocked = text("SELECT count(*) FROM pg_locks WHERE :pid = ANY (pg_blocking_pids(pid))")
            deadline = time.monotonic() + 10
            while not observer.scalar(blocked, {"pid": pid}):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            winner.commit()
            body = (await loser).json()
    assert body["created"] is False
    assert body["resource"]["name"] == "first"


@pytest.mark.anyio
async def test_a_hundred_creates_at_once_neither_fail_nor_stall(target: Target) -> None:
    """40 threads share 30 connections: one held between thread hops would stall all for 30 s."""
    began = time.monotonic()
    answers = await at_once(
        target, 100, lambda client, n: client.post(CREATE, json={"id": f"r-{n}", "name": "n"})
    )
    assert Counter(answer.status_code for answer in answers) == {200: 100}
    assert all(answer.json()["created"] for answer in answers)
    assert target.count("resources") == SEEDS + 100
    assert time.monotonic() - began < 15


# ---- users ----


def test_list_users_pages_by_id(client: httpx.Client) -> None:
    assert [user["id"] for user in client.get(USERS).json()["users"]] == [1, 2, 3]
    first = client.get(USERS, params={"limit": 2}).json()["users"]
    assert [user["username"] for user in first] == ["user-1", "user-2"]
    second = client.get(USERS, params={"limit": 2, "after": first[-1]["id"]}).json()["users"]
    assert [user["id"] for user in second] == [3]
    assert client.get(USERS, params={"after": 3}).json() == {"users": []}


def test_unusable_page_is_422(client: httpx.Client) -> None:
    for query in ("limit=0", "limit=201", "limit=x", "after=-1", f"after={2**63}"):
        assert client.get(f"{USERS}?{query}").status_code == 422, query


def test_create_user(client: httpx.Client) -> None:
    data = {"username": "new", "email": "new@example.com", "full_name": "New User"}
    answer = client.post(USERS, json=data)
    assert answer.status_code == 201
    user = answer.json()
    created_at(user)
    assert client.get(f"{USERS}/{user['id']}").json() == user
    del user["created_at"]
    assert user == {**data, "id": len(TOKENS) + 1, "is_active": True}


@pytest.mark.parametrize(
    "data",
    [
        {"username": "user-1", "email": "free@example.com"},
        {"username": "free", "email": "user-1@example.com"},
    ],
)
def test_duplicate_user_is_409(client: httpx.Client, target: Target, data: dict[str, str]) -> None:
    answer = client.post(USERS, json=data)
    assert answer.status_code == 409
    assert answer.json() == {"detail": "The username or the email belongs to another user."}
    assert target.count("users") == len(TOKENS)


def test_unusable_user_is_422(client: httpx.Client, target: Target) -> None:
    for data in UNUSABLE_USERS:
        assert client.post(USERS, json=data).status_code == 422, data
    assert target.count("users") == len(TOKENS)


@pytest.mark.anyio
async def test_of_concurrent_duplicates_of_a_user_one_is_created(target: Target) -> None:
    data = {"username": "twin", "email": "twin@example.com"}
    answers = await at_once(target, 20, lambda client, _n: client.post(USERS, json=data))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert target.count("users") == len(TOKENS) + 1


def test_get_user_tells_no_secret(client: httpx.Client) -> None:
    user = client.get(f"{USERS}/2").json()
    assert user.keys() == {"id", "username", "email", "full_name", "is_active", "created_at"}
    assert user["username"] == "user-2"


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_absent_user_is_404(client: httpx.Client, method: str) -> None:
    answer = client.request(method, f"{USERS}/99", json={} if method == "PATCH" else None)
    assert answer.status_code == 404
    assert answer.json() == {"detail": "There is no user with this id."}


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_impossible_user_id_is_422(client: httpx.Client, method: str) -> None:
    body: dict[str, Any] | None = {} if method == "PATCH" else None
    for user_id in ("0", "x", 2**63):
        assert client.request(method, f"{USERS}/{user_id}", json=body).status_code == 422, user_id


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"email": "changed@example.com"},
        {"full_name": ""},
        {"is_active": False},
        {"email": "c@example.com", "full_name": "C", "is_active": False},
        {"email": "user-2@example.com"},
    ],
)
def test_update_user_changes_the_given_fields_only(
    client: httpx.Client, changes: dict[str, Any]
) -> None:
    before = client.get(f"{USERS}/2").json()
    answer = client.patch(f"{USERS}/2", json=changes)
    assert answer.status_code == 200
    assert answer.json() == before | changes
    assert client.get(f"{USERS}/2").json() == before | changes


def test_unusable_change_is_422(client: httpx.Client) -> None:
    before = client.get(f"{USERS}/2").json()
    for changes in UNUSABLE_CHANGES:
        assert client.patch(f"{USERS}/2", json=changes).status_code == 422, changes
    assert client.get(f"{USERS}/2").json() == before


def test_update_to_a_taken_email_is_409(client: httpx.Client) -> None:
    answer = client.patch(f"{USERS}/2", json={"email": "user-1@example.com", "full_name": "gone"})
    assert answer.status_code == 409
    assert answer.json() == {"detail": "The email belongs to another user."}
    assert client.get(f"{USERS}/2").json()["full_name"] == "User 2"


def test_delete_user(client: httpx.Client, target: Target) -> None:
    answer = client.delete(f"{USERS}/2")
    assert answer.status_code == 204
    assert answer.content == b""
    assert client.get(f"{USERS}/2").status_code == 404
    assert client.get(USERS, headers=target.auth(2)).status_code == 401


def test_delete_of_an_owner_is_409(client: httpx.Client, target: Target) -> None:
    answer = client.delete(f"{USERS}/1")
    assert answer.status_code == 409
    assert answer.json() == {"detail": "The user still owns resources."}
    assert target.count("users") == len(TOKENS)


# ---- waiting ----


@pytest.mark.parametrize("on", ["timer", "database"])
def test_wait_waits(anonymous: httpx.Client, on: str) -> None:
    began = time.monotonic()
    answer = anonymous.get(WAIT, params={"seconds": 0.1, "on": on})
    assert time.monotonic() - began >= 0.1
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "waited_s": 0.1, "on": on}


def test_wait_is_half_a_second_on_a_timer_by_default(anonymous: httpx.Client) -> None:
    assert anonymous.get(WAIT).json() == {"status": "success", "waited_s": 0.5, "on": "timer"}


def test_unusable_wait_is_422(anonymous: httpx.Client) -> None:
    for query in ("seconds=-1", "seconds=30.1", "seconds=nan", "seconds=inf", "on=moon"):
        assert anonymous.get(f"{WAIT}?{query}").status_code == 422, query


@pytest.mark.anyio
@pytest.mark.parametrize("on", ["timer", "database"])
async def test_waits_overlap_unless_there_is_one_thread(target: Target, on: str) -> None:
    waits, seconds = 10, 0.3
    began = time.monotonic()
    answers = await at_once(
        target, waits, lambda client, _n: client.get(WAIT, params={"seconds": seconds, "on": on})
    )
    took = time.monotonic() - began
    assert {answer.status_code for answer in answers} == {200}
    if target.name == "sync-one-thread":
        assert took >= waits * seconds
    else:
        assert took < waits * seconds / 2


# ---- the document ----


def test_openapi_documents_are_identical_and_complete(targets: dict[str, Target]) -> None:
    documents = {
        httpx.get(f"{target.url}/openapi.json", verify=False).content for target in targets.values()
    }
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
