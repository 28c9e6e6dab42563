"""What virtual users do over HTTP: one function per flow, free of I/O."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, TypeAlias

from loopmark.harness.vocabulary.flow import Request, Response, VirtualUser, check

Steps: TypeAlias = Generator[Request, Response, None]

RESOURCES = "/api/v2/resource/create"
USERS = "/api/v2/users"
WAIT = "/api/v2/wait"
UPSTREAM = "/api/v2/upstream"
REPORT = "/api/v2/report"
ACCOUNTS = "/api/v2/accounts"

SEEDED_ACCOUNTS = 1000
"""Accounts 1..1000 and resources seed-1..seed-1000 exist at the start of every round."""

REPORT_ROWS = 5000
"""A megabyte of JSON."""

REPORT_SHARE = 10
"""One user in so many asks for reports."""

INNOCENT = "innocent"
"""The step that asks for next to nothing."""

INNOCENT_SHARE = 10
"""One user in so many asks for next to nothing, beside others that create."""

TAKEN_SHARE = 0.05
"""Share of the accounts that are opened with a resource that exists."""

WAIT_SECONDS = 0.5
READ_SHARE = 0.9


def create_fresh(user: VirtualUser) -> Steps:
    """Create a resource that does not exist yet."""
    resource = new_resource(user.unique_id())
    response = yield Request("POST", RESOURCES, step="create-fresh", json=resource)
    check_resource(response.json(), resource, created=True)


def create_existing(user: VirtualUser) -> Steps:
    """Create a resource that already exists: it must come back unchanged."""
    resource = new_resource(f"seed-{user.random.randint(1, SEEDED_ACCOUNTS)}")
    response = yield Request("POST", RESOURCES, step="create-existing", json=resource)
    body = response.json()
    check(body["status"] == "success", "status is not 'success'")
    check(body["created"] is False, "an existing resource was created again")
    check(body["resource"]["id"] == resource["id"], "another resource came back")
    check(body["resource"]["name"] != resource["name"], "an existing resource was overwritten")


def crud_journey(user: VirtualUser) -> Steps:
    """Create, read, update, read again and delete one user account: the four query patterns."""
    account = new_account(user)
    response = yield Request("POST", USERS, step="create", json=account, expect=201)
    created = response.json()
    check_fields(created, account)
    path = f"{USERS}/{created['id']}"

    response = yield Request("GET", path, step="read")
    check(response.json() == created, "the account read is not the one created")

    changes = {"full_name": f"Renamed {user.number}"}
    response = yield Request("PATCH", path, step="update", json=changes)
    check(response.json() == created | changes, "the update changed something else than asked")

    response = yield Request("GET", path, step="read-updated")
    check(response.json() == created | changes, "the update is not there when read again")

    yield Request("DELETE", path, step="delete", expect=204)


def read_mostly(user: VirtualUser) -> Steps:
    """Nine times in ten read any account, otherwise rename the user's own."""
    if user.random.random() < READ_SHARE:
        account_id = user.random.randint(1, SEEDED_ACCOUNTS)
        response = yield Request("GET", f"{USERS}/{account_id}", step="read")
        check_fields(response.json(), {"id": account_id, "username": f"user-{account_id}"})
    else:
        changes = {"full_name": f"Name {user.random.getrandbits(32)}"}
        path = f"{USERS}/{user.account_id}"
        response = yield Request("PATCH", path, step="update", json=changes)
        check_fields(response.json(), changes | {"id": user.account_id})


def wait_timer(_user: VirtualUser) -> Steps:
    """Wait half a second on a timer: the slow operation behind the documented table."""
    yield from _wait("timer")


def wait_database(_user: VirtualUser) -> Steps:
    """Wait half a second in the database, holding a pooled connection."""
    yield from _wait("database")


def wait_upstream(_user: VirtualUser) -> Steps:
    """Wait half a second for the answer of another service."""
    params = {"seconds": str(WAIT_SECONDS)}
    response = yield Request("GET", UPSTREAM, step="fetch", params=params)
    check_fields(response.json(), {"status": "success", "waited_s": WAIT_SECONDS})


def beside_report(user: VirtualUser) -> Steps:
    """One user in ten asks for a large report, the others for next to nothing."""
    if user.number % REPORT_SHARE == 0:
        response = yield Request("GET", REPORT, step="report", params={"rows": str(REPORT_ROWS)})
        # To parse a megabyte would take the driver's time from the other users.
        body = response.content
        rows = body.count(b'{"number":')
        check(rows == REPORT_ROWS, f"the report has {rows} of {REPORT_ROWS} rows")
        last = body[body.rindex(b"{") :]
        check(last.startswith(b'{"number":%d,' % (REPORT_ROWS - 1)), "its last row is another")
    else:
        yield from innocent()


def beside_create(user: VirtualUser) -> Steps:
    """One user in ten asks for next to nothing, the others create resources."""
    if user.number % INNOCENT_SHARE == 0:
        yield from innocent()
    else:
        yield from create_fresh(user)


def open_account(user: VirtualUser) -> Steps:
    """Open an account together with its first resource; one in twenty is of another's resource."""
    account = new_account(user)
    if user.random.random() < TAKEN_SHARE:
        resource = new_resource(f"seed-{user.random.randint(1, SEEDED_ACCOUNTS)}")
        body = {"user": account, "resource": resource}
        yield Request("POST", ACCOUNTS, step="open-taken", json=body, expect=409)
        return
    resource = new_resource(user.unique_id())
    body = {"user": account, "resource": resource}
    response = yield Request("POST", ACCOUNTS, step="open", json=body, expect=201)
    opened = response.json()
    check_fields(opened["user"], account)
    check_fields(opened["resource"], resource | {"owner_id": opened["user"]["id"]})


def innocent() -> Steps:
    """Ask for next to nothing: how long it takes is what the requests beside it cost."""
    params = {"seconds": "0", "on": "timer"}
    response = yield Request("GET", WAIT, step=INNOCENT, params=params)
    check_fields(response.json(), {"status": "success", "waited_s": 0, "on": "timer"})


def no_delay() -> Request:
    """The same endpoint where the other service answers at once."""
    return Request("GET", UPSTREAM, step="warm", params={"seconds": "0"})


def no_wait(on: str) -> Request:
    """The same endpoint without the wait: warms the connection and the code behind it."""
    return Request("GET", WAIT, step="warm", params={"seconds": "0", "on": on})


def new_account(user: VirtualUser) -> dict[str, str]:
    """An account that does not exist yet."""
    name = f"u-{user.unique_id()}"
    return {"username": name, "email": f"{name}@example.com", "full_name": "New User"}


def _wait(on: str) -> Steps:
    params = {"seconds": str(WAIT_SECONDS), "on": on}
    response = yield Request("GET", WAIT, step="wait", params=params)
    check_fields(response.json(), {"status": "success", "waited_s": WAIT_SECONDS, "on": on})


def new_resource(resource_id: str) -> dict[str, str]:
    """A resource with this id, as a request body."""
    return {"id": resource_id, "name": f"Resource {resource_id}", "description": "Made by a flow"}


def check_resource(body: dict[str, Any], asked: dict[str, str], *, created: bool) -> None:
    """Reject an answer that does not match the requested resource.

    Raises:
        WrongAnswer: It is not.
    """
    check(body["status"] == "success", "status is not 'success'")
    check(body["created"] is created, f"created is not {created}")
    check_fields(body["resource"], asked)


def check_fields(body: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """Reject an answer unless these fields have these values.

    Raises:
        WrongAnswer: With the first that differs.
    """
    for key, value in expected.items():
        check(body[key] == value, f"{key} is {body[key]!r}, expected {value!r}")
