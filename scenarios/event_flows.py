"""Flows of users that also receive events; only the websocket driver steps these."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias

from loopmark.harness.vocabulary.flow import Connect, Listen, Request, VirtualUser, check
from loopmark.harness.vocabulary.scenario import Publication
from loopmark.scenarios.flows import RESOURCES, check_fields, check_resource, new_resource

EventSteps: TypeAlias = Generator[Request | Connect | Listen, Any, None]

PROCESS = "/api/v2/process"
UPLOAD = "/api/v2/upload"

PROCESS_STEPS = 4
PROCESS_STEP_SECONDS = 0.05
"""A process of four pieces, each of which waits: a fifth of a second in all."""

UPLOADED_LINE = "A line of an uploaded file, as plain as can be: nought to be seen here.\n"
UPLOADED_LINES = 3500
"""A quarter of a megabyte."""


def connect(user: VirtualUser) -> EventSteps:
    """Open a connection for events and wait for the greeting."""
    greeting = yield Connect(step="connect")
    check_fields(greeting.data, {"user_id": user.account_id})


def create_and_hear(user: VirtualUser) -> EventSteps:
    """Create a resource, and receive the event of its creation."""
    resource = new_resource(user.unique_id())
    response = yield Request("POST", RESOURCES, step="create-fresh", json=resource)
    check_resource(response.json(), resource, created=True)
    event = yield Listen("resource_created", step="hear", where={"resource_id": resource["id"]})
    check_fields(event.data, {"user_id": user.account_id})


def publish_resource(user: VirtualUser) -> Publication:
    """Create a resource whose event every client should receive."""
    resource = new_resource(user.unique_id())
    request = Request("POST", RESOURCES, step="create-fresh", json=resource)
    return Publication(resource["id"], request)


def process_and_hear(user: VirtualUser) -> EventSteps:
    """Process data in four pieces, and receive the event of each, in order, and of the end."""
    asked = {
        "data": f"data of user {user.number}",
        "steps": PROCESS_STEPS,
        "step_s": PROCESS_STEP_SECONDS,
    }
    response = yield Request("POST", PROCESS, step="answer", json=asked)
    answer = response.json()
    check_fields(answer, {"status": "success"})
    operation = {"operation_id": answer["operation_id"]}
    for piece in range(PROCESS_STEPS + 1):
        step = "progress" if piece else "first-event"
        event = yield Listen("progress_update", step=step, where=operation)
        status = {0: "started", PROCESS_STEPS: "completed"}.get(piece, "running")
        progress = round(100 * piece / PROCESS_STEPS)
        check_fields(event.data, {"progress": progress, "status": status})
    event = yield Listen("log_entry", step="log", where={"user_id": user.account_id})
    check_fields(event.data, {"status": "success", "result": answer["result"]})
    event = yield Listen("operation_complete", step="last-event", where=operation)
    check_fields(event.data, {"result": answer["result"]})


def upload_and_hear(user: VirtualUser) -> EventSteps:
    """Upload a text, and receive the event of its correct analysis."""
    text = f"{user.unique_id()}\n" + UPLOADED_LINE * UPLOADED_LINES
    content = text.encode()
    file = (f"file-{user.number}.txt", content, "text/plain")
    response = yield Request("POST", UPLOAD, step="upload", files={"file": file})
    answer = response.json()
    check_fields(answer, {"status": "uploaded", "bytes": len(content)})
    upload = {"upload_id": answer["upload_id"]}
    event = yield Listen("processing_complete", step="complete", where=upload)
    check_fields(event.data, {"status": "analysed"})
    lines = event.data["result"]["lines"]
    check(lines == UPLOADED_LINES + 1, f"{lines} lines were counted in {UPLOADED_LINES + 1}")
