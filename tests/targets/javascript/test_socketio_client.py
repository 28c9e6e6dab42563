"""The JavaScript client of Socket.IO, as the documentation uses it, hears every variant."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from loopmark.targets import contract
from tests.targets.conftest import TOKENS, ServedTarget
from tests.targets.javascript.conftest import Heard, Listen

TEXT = b"A first line.\nA second one.\n"


def emitted(heard: Sequence[Heard], event: str) -> list[dict[str, Any]]:
    """What the server emitted by this name, without the moments."""
    return [
        {name: value for name, value in one.data.items() if name != "emitted_ns"}
        for one in heard
        if (one.source, one.event) == ("server", event)
    ]


@pytest.mark.parametrize("transports", [("polling", "websocket"), ("websocket",), ("polling",)])
def test_it_hears_every_documented_event(
    served: ServedTarget, blocking_client: httpx.Client, listen: Listen, transports: tuple[str, ...]
) -> None:
    options = (f"--token={TOKENS[0]}", f"--transports={','.join(transports)}")
    listener = listen(served.url, *options, until=("processing_complete",))
    steps = ("open", "upgrade")[: len(transports)]
    ready = listener.until("connected", *steps)
    used = [one.data["transport"] for one in ready if one.event in steps]
    assert used == list(transports)

    before_ns = time.monotonic_ns()
    resource = {"id": "heard", "name": "Heard once"}
    blocking_client.post("/api/v2/resource/create", json=resource).raise_for_status()
    blocking_client.post("/api/v2/resource/create", json=resource).raise_for_status()
    answer = (
        blocking_client.post("/api/v2/process", json={"data": "some text"})
        .raise_for_status()
        .json()
    )
    file = {"file": ("lines.txt", TEXT)}
    upload = blocking_client.post("/api/v2/upload", files=file).raise_for_status().json()
    heard = [one for one in listener.rest() if one.source == "server"]
    after_ns = time.monotonic_ns()

    assert [one.event for one in heard] == [
        "resource_created",
        "progress_update",
        "progress_update",
        "log_entry",
        "operation_complete",
        "processing_complete",
    ]
    assert emitted(heard, "resource_created") == [{"resource_id": "heard", "user_id": 1}]
    operation = {"operation_id": answer["operation_id"]}
    assert emitted(heard, "progress_update") == [
        operation | {"progress": 0, "status": "started"},
        operation | {"progress": 100, "status": "completed"},
    ]
    assert emitted(heard, "log_entry") == [
        {
            "user_id": 1,
            "tool_name": "DataProcessor",
            "status": "success",
            "result": answer["result"],
        }
    ]
    assert emitted(heard, "operation_complete") == [operation | {"result": answer["result"]}]
    state = blocking_client.get(f"/api/v2/uploads/{upload['upload_id']}").raise_for_status().json()
    assert emitted(heard, "processing_complete") == [
        {
            "upload_id": upload["upload_id"],
            "file_path": upload["file_path"],
            "status": "analysed",
            "result": state["result"],
        }
    ]
    moments = [one.data["emitted_ns"] for one in heard]
    assert moments == sorted(moments)
    assert before_ns < moments[0]
    assert moments[-1] < after_ns


def test_it_may_name_its_token_in_a_header(served: ServedTarget, listen: Listen) -> None:
    options = (f"--token={TOKENS[1]}", "--token-in-header")
    heard = listen(served.url, *options, until=("connected",)).rest()
    assert [one["user_id"] for one in emitted(heard, "connected")] == [2]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--token=wrong",), contract.UNAUTHENTICATED),
        ((), contract.UNAUTHENTICATED),
        ((f"--token={TOKENS[2]}",), contract.INACTIVE),
    ],
    ids=["wrong", "none", "inactive"],
)
def test_it_is_refused_with_the_text_of_the_contract(
    served: ServedTarget,
    blocking_client: httpx.Client,
    listen: Listen,
    options: tuple[str, ...],
    problem: contract.Problem,
) -> None:
    blocking_client.patch("/api/v2/users/3", json={"is_active": False}).raise_for_status()
    heard = listen(served.url, *options).rest()
    assert heard[-1] == Heard("client", "connect_error", {"message": problem.detail})
    assert {one.source for one in heard} == {"client"}


def test_it_does_not_hear_what_is_another_users(
    served: ServedTarget, blocking_client: httpx.Client, listen: Listen
) -> None:
    options = (f"--token={TOKENS[1]}", "--subscribe=user:1")
    other = listen(served.url, *options, until=("resource_created",))
    [ack] = [one for one in other.until("connected", "ack") if one.event == "ack"]
    assert ack.data["status"] == "error"
    blocking_client.post("/api/v2/process", json={"data": "some text"}).raise_for_status()
    # A client hears in the order of emission: what it was sent before would come first.
    resource = {"id": "for-all", "name": "For all to hear"}
    blocking_client.post("/api/v2/resource/create", json=resource).raise_for_status()
    heard = [one for one in other.rest() if one.source == "server"]
    assert [one.event for one in heard] == ["resource_created"]
    assert emitted(heard, "resource_created") == [{"resource_id": "for-all", "user_id": 1}]


def test_the_lock_names_no_registry() -> None:
    lock = Path(__file__).with_name("package-lock.json").read_text(encoding="utf-8")
    assert '"integrity"' in lock
    assert '"resolved"' not in lock
