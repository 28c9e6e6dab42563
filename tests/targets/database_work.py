"""What each request asks of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from loopmark.targets import contract, event_contract, file_contract, upstream_contract

USERS = "/api/v2/users"
CREATE = "/api/v2/resource/create"
ACCOUNTS = "/api/v2/accounts"


def account(username: str, resource_id: str) -> dict[str, Any]:
    """An account to open."""
    user = {"username": username, "email": f"{username}@example.com"}
    return {"user": user, "resource": {"id": resource_id, "name": "n"}}


class Work(NamedTuple):
    """One request, and what it asks of the database.

    Attributes:
        endpoint: Of the contract.
        path: Its path.
        options: Of the client's nth request.
        statements: What it asks but for the test of the connection; each is a round trip.
        case: Which of the endpoint's cases it is, where these differ.
    """

    endpoint: contract.Endpoint
    path: str
    options: Callable[[int], dict[str, Any]]
    statements: str
    case: str = ""


# In this order, on the same tables.
REQUESTS: list[Work] = [
    Work(contract.READY, "/ready", lambda _: {}, "BEGIN SELECT ROLLBACK"),
    Work(
        contract.CREATE_RESOURCE,
        CREATE,
        lambda n: {"json": {"id": f"new-{n}", "name": "n"}},
        "BEGIN SELECT SELECT INSERT COMMIT",
        "creates",
    ),
    Work(
        contract.CREATE_RESOURCE,
        CREATE,
        lambda _: {"json": {"id": "new-0", "name": "n"}},
        "BEGIN SELECT SELECT COMMIT",
        "exists",
    ),
    Work(contract.LIST_USERS, USERS, lambda _: {}, "BEGIN SELECT SELECT COMMIT"),
    Work(
        contract.CREATE_USER,
        USERS,
        lambda n: {"json": {"username": f"new-{n}", "email": f"new-{n}@example.com"}},
        "BEGIN SELECT INSERT COMMIT",
    ),
    Work(
        contract.OPEN_ACCOUNT,
        ACCOUNTS,
        lambda n: {"json": account(f"opened-{n}", f"opened-{n}")},
        "BEGIN SELECT INSERT INSERT COMMIT",
    ),
    Work(contract.GET_USER, f"{USERS}/2", lambda _: {}, "BEGIN SELECT SELECT COMMIT"),
    Work(
        contract.UPDATE_USER,
        f"{USERS}/2",
        lambda n: {"json": {"full_name": f"N{n}"}},
        "BEGIN SELECT SELECT UPDATE COMMIT",
    ),
    Work(contract.DELETE_USER, f"{USERS}/{{new_user}}", lambda _: {}, "BEGIN SELECT DELETE COMMIT"),
    Work(contract.WAIT, "/api/v2/wait", lambda _: {"params": {"seconds": 0}}, "", "timer"),
    Work(
        contract.WAIT,
        "/api/v2/wait",
        lambda _: {"params": {"seconds": 0, "on": "database"}},
        "BEGIN SELECT ROLLBACK",
        "database",
    ),
    Work(
        event_contract.PROCESS,
        "/api/v2/process",
        lambda _: {"json": {"data": "x"}},
        "BEGIN SELECT COMMIT",
    ),
    Work(contract.REPORT, "/api/v2/report", lambda _: {"params": {"rows": 1}}, ""),
    Work(upstream_contract.FETCH, "/api/v2/upstream", lambda _: {"params": {"seconds": 0}}, ""),
    Work(event_contract.EMITTER, "/api/v2/emitter", lambda _: {}, ""),
    Work(
        file_contract.PROCESS_FILES,
        "/api/v2/files/process",
        lambda _: {"json": {"files": ["1k-000.txt", "1k-001.txt"]}},
        "BEGIN SELECT COMMIT",
    ),
    # Once answered, the analysis is begun, and ended.
    Work(
        file_contract.UPLOAD,
        "/api/v2/upload",
        lambda _: {"files": {"file": ("a.txt", b"a")}},
        "BEGIN SELECT COMMIT BEGIN INSERT COMMIT BEGIN UPDATE COMMIT BEGIN UPDATE COMMIT",
    ),
    Work(
        file_contract.GET_UPLOAD,
        "/api/v2/uploads/{upload_id}",
        lambda _: {},
        "BEGIN SELECT SELECT COMMIT",
    ),
]
