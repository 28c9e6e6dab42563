"""What each request asks of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopmark.targets import contract, event_contract, file_contract, upstream_contract

USERS = "/api/v2/users"
CREATE = "/api/v2/resource/create"
ACCOUNTS = "/api/v2/accounts"


def account(username: str, resource_id: str) -> dict[str, Any]:
    """An account to open."""
    user = {"username": username, "email": f"{username}@example.com"}
    return {"user": user, "resource": {"id": resource_id, "name": "n"}}


# In this order, on the same tables: the endpoint, path and options of its nth request, and what it
# asks but for the test of the connection. Each statement is a round trip.
Options = Callable[[int], dict[str, Any]]
REQUESTS: list[tuple[contract.Endpoint, str, Options, str]] = [
    (contract.READY, "/ready", lambda _: {}, "BEGIN SELECT ROLLBACK"),
    (
        contract.CREATE_RESOURCE,
        CREATE,
        lambda n: {"json": {"id": f"new-{n}", "name": "n"}},
        "BEGIN SELECT SELECT INSERT COMMIT",
    ),
    (
        contract.CREATE_RESOURCE,
        CREATE,
        lambda _: {"json": {"id": "new-0", "name": "n"}},
        "BEGIN SELECT SELECT COMMIT",
    ),
    (contract.LIST_USERS, USERS, lambda _: {}, "BEGIN SELECT SELECT COMMIT"),
    (
        contract.CREATE_USER,
        USERS,
        lambda n: {"json": {"username": f"new-{n}", "email": f"new-{n}@example.com"}},
        "BEGIN SELECT INSERT COMMIT",
    ),
    (
        contract.OPEN_ACCOUNT,
        ACCOUNTS,
        lambda n: {"json": account(f"opened-{n}", f"opened-{n}")},
        "BEGIN SELECT INSERT INSERT COMMIT",
    ),
    (contract.GET_USER, f"{USERS}/2", lambda _: {}, "BEGIN SELECT SELECT COMMIT"),
    (
        contract.UPDATE_USER,
        f"{USERS}/2",
        lambda n: {"json": {"full_name": f"N{n}"}},
        "BEGIN SELECT SELECT UPDATE COMMIT",
    ),
    (contract.DELETE_USER, f"{USERS}/{{new_user}}", lambda _: {}, "BEGIN SELECT DELETE COMMIT"),
    (contract.WAIT, "/api/v2/wait", lambda _: {"params": {"seconds": 0}}, ""),
    (
        contract.WAIT,
        "/api/v2/wait",
        lambda _: {"params": {"seconds": 0, "on": "database"}},
        "BEGIN SELECT ROLLBACK",
    ),
    (
        event_contract.PROCESS,
        "/api/v2/process",
        lambda _: {"json": {"data": "x"}},
        "BEGIN SELECT COMMIT",
    ),
    (contract.REPORT, "/api/v2/report", lambda _: {"params": {"rows": 1}}, ""),
    (upstream_contract.FETCH, "/api/v2/upstream", lambda _: {"params": {"seconds": 0}}, ""),
    (event_contract.EMITTER, "/api/v2/emitter", lambda _: {}, ""),
    (
        file_contract.PROCESS_FILES,
        "/api/v2/files/process",
        lambda _: {"json": {"files": ["1k-000.txt", "1k-001.txt"]}},
        "BEGIN SELECT COMMIT",
    ),
    # Once answered, the analysis is begun, and ended.
    (
        file_contract.UPLOAD,
        "/api/v2/upload",
        lambda _: {"files": {"file": ("a.txt", b"a")}},
        "BEGIN SELECT COMMIT BEGIN INSERT COMMIT BEGIN UPDATE COMMIT BEGIN UPDATE COMMIT",
    ),
    (
        file_contract.GET_UPLOAD,
        "/api/v2/uploads/{upload_id}",
        lambda _: {},
        "BEGIN SELECT SELECT COMMIT",
    ),
]
