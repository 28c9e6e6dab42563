"""The documented contract in memory: what every variant answers, without a server or a database."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx
from fastapi import HTTPException
from pydantic import TypeAdapter, ValidationError

from loopmark.harness.drivers.journey import EventJourney, Journey, Judgement, ReceivedEvent
from loopmark.harness.vocabulary.flow import (
    ClientJourney,
    Connect,
    Event,
    EventFlow,
    Flow,
    Listen,
    Request,
    VirtualUser,
    is_client_journey,
)
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.scenario import Scenario, is_plain_flow
from loopmark.scenarios.flows import SEEDED_ACCOUNTS
from loopmark.targets import contract, event_contract, file_contract
from tests.targets.endpoints import ENDPOINTS

NOW = "2026-01-01T00:00:00Z"
CHANGES = TypeAdapter(contract.UserChanges)


@dataclass(frozen=True)
class Answer:
    status_code: int
    text: str = ""

    @property
    def content(self) -> bytes:
        return self.text.encode()

    def json(self) -> Any:  # noqa: ANN401 - as in a real response
        return json.loads(self.text)

    def with_fields(self, **fields: object) -> Answer:
        """The same with other values in some fields of its body."""
        return replace(self, text=json.dumps(self.json() | fields))


Spoil = Callable[[Request, Answer], Answer]
Distort = Callable[[Sequence[Event]], Sequence[Event]]


class FakeTarget:
    """Answers as the contract says; starts with the accounts and resources of a round."""

    def __init__(self) -> None:
        self.users = dict(SEEDED_USERS)
        self.resources = dict(SEEDED_RESOURCES)
        self.analysed = 0
        self.told: list[Event] = []
        self._last_id = SEEDED_ACCOUNTS

    def answer(self, request: Request, user: VirtualUser) -> Answer:
        for endpoint in ENDPOINTS:
            pattern = re.sub(r"{\w+}", r"(\\d+)", endpoint.path)
            match = re.fullmatch(pattern, request.path)
            if match and endpoint.method == request.method:
                try:
                    handle = getattr(self, f"_{endpoint.operation_id}")
                    return self._told(endpoint, handle(request, user, *map(int, match.groups())))
                except HTTPException as problem:
                    return Answer(problem.status_code, json.dumps({"detail": problem.detail}))
                except ValidationError as error:
                    return Answer(422, error.json())
        return Answer(404)

    def _told(self, endpoint: contract.Endpoint, body: object) -> Answer:
        if endpoint.response_model is None:
            return Answer(endpoint.status_code)
        return Answer(
            endpoint.status_code, endpoint.response_model.model_validate(body).model_dump_json()
        )

    def _create_resource(self, request: Request, user: VirtualUser) -> object:
        data = contract.ResourceData.model_validate(request.json)
        created = data.id not in self.resources
        if created:
            self.resources[data.id] = _resource(**data.model_dump(), owner_id=user.account_id)
            told = {"resource_id": data.id, "user_id": user.account_id}
            self.told.append(Event("resource_created", told))
        return {"created": created, "resource": self.resources[data.id]}

    def _create_user(self, request: Request, _caller: VirtualUser) -> object:
        data = contract.UserData.model_validate(request.json)
        if any(one["username"] == data.username for one in self.users.values()):
            raise contract.USER_TAKEN.exception()
        self._last_id += 1
        self.users[self._last_id] = _user(self._last_id, **data.model_dump())
        return self.users[self._last_id]

    def _open_account(self, request: Request, caller: VirtualUser) -> object:
        data = contract.AccountData.model_validate(request.json)
        if data.resource.id in self.resources:
            raise contract.RESOURCE_TAKEN.exception()
        user = self._create_user(request._replace(json=request.json["user"]), caller)
        resource = _resource(**data.resource.model_dump(), owner_id=self._last_id)
        self.resources[data.resource.id] = resource
        return {"user": user, "resource": resource}

    def _get_user(self, _request: Request, _caller: VirtualUser, user_id: int) -> object:
        if user_id not in self.users:
            raise contract.USER_ABSENT.exception()
        return self.users[user_id]

    def _update_user(self, request: Request, user: VirtualUser, user_id: int) -> object:
        self._get_user(request, user, user_id)
        self.users[user_id] = self.users[user_id] | CHANGES.validate_python(request.json)
        return self.users[user_id]

    def _delete_user(self, request: Request, user: VirtualUser, user_id: int) -> None:
        self._get_user(request, user, user_id)
        del self.users[user_id]

    def _process(self, request: Request, user: VirtualUser) -> object:
        job = event_contract.Job.model_validate(request.json)
        operation_id = str(uuid4())
        result = {"characters": len(job.data), "words": len(job.data.split()), "sha256": "0"}
        operation = {"operation_id": operation_id}
        for piece in range(job.steps + 1):
            status = {0: "started", job.steps: "completed"}.get(piece, "running")
            progress = {"progress": round(100 * piece / job.steps), "status": status}
            self.told.append(Event("progress_update", operation | progress))
        entry = {"user_id": user.account_id, "tool_name": "DataProcessor", "status": "success"}
        self.told.append(Event("log_entry", entry | {"result": result}))
        self.told.append(Event("operation_complete", operation | {"result": result}))
        return operation | {"result": result}

    def _process_files(self, request: Request, _caller: VirtualUser) -> object:
        asked = file_contract.FilesToProcess.model_validate(request.json)
        most = asked.max_concurrent or len(asked.files)
        found = [
            {"name": name, "bytes": 1, "lines": 1, "words": 1, "sha256": "0"}
            for name in asked.files
        ]
        return {
            "files": found,
            "max_concurrent_seen": min(most, len(found)),
            "bytes": len(found),
        }

    def _upload(self, request: Request, _caller: VirtualUser) -> object:
        assert request.files is not None
        _, content, _ = request.files["file"]
        upload = {"upload_id": str(uuid4()), "file_path": "stored"}
        result = {"lines": content.count(b"\n"), "words": len(content.split())}
        self.analysed += 1
        self.told.append(
            Event("processing_complete", upload | {"status": "analysed", "result": result})
        )
        return upload | {"bytes": len(content), "sha256": "0"}

    def _report(self, request: Request, _caller: VirtualUser) -> object:
        return contract.report_of(int(str(dict(request.params or {})["rows"])))

    def _fetch(self, request: Request, _caller: VirtualUser) -> object:
        return {"waited_s": dict(request.params or {})["seconds"]}

    def _wait(self, request: Request, _caller: VirtualUser) -> object:
        params = dict(request.params or {})
        return {"waited_s": params.pop("seconds"), "on": params.pop("on")} | params


def _user(user_id: int, username: str, email: str, full_name: str) -> dict[str, Any]:
    return {
        "id": user_id,
        "username": username,
        "email": email,
        "full_name": full_name,
        "is_active": True,
        "created_at": NOW,
    }


def _resource(id: str, name: str, description: str, owner_id: int) -> dict[str, Any]:  # noqa: A002
    return {
        "id": id,
        "name": name,
        "description": description,
        "owner_id": owner_id,
        "created_at": NOW,
    }


NUMBERS = range(1, SEEDED_ACCOUNTS + 1)
SEEDED_USERS = {n: _user(n, f"user-{n}", f"user-{n}@example.com", "") for n in NUMBERS}
SEEDED_RESOURCES = {f"seed-{n}": _resource(f"seed-{n}", f"Seed {n}", "", 1) for n in NUMBERS}


def passed(
    flow: Flow, user: VirtualUser, target: FakeTarget, spoil: Spoil | None = None
) -> list[tuple[Request, Judgement]]:
    """One pass through a flow: its requests, and what the answers were worth."""
    found = []
    journey = Journey(flow, user)
    while (request := journey.request) is not None:
        answer = target.answer(request, user)
        found.append((request, journey.receive(spoil(request, answer) if spoil else answer)))
    return found


def passed_hearing(
    flow: EventFlow,
    user: VirtualUser,
    target: FakeTarget,
    spoil: Spoil | None = None,
    distort: Distort | None = None,
) -> list[tuple[Request | Connect | Listen, Judgement]]:
    """One pass through a flow that hears events: its steps, and what came of them was worth."""
    found: list[tuple[Request | Connect | Listen, Judgement]] = []
    journey = EventJourney(flow, user)
    while (step := journey.step) is not None:
        if isinstance(step, Request):
            answer = target.answer(step, user)
            judgement = journey.receive(spoil(step, answer) if spoil else answer)
            for event in distort(target.told) if distort else target.told:
                journey.keep(ReceivedEvent(event, 0, 0))
            target.told.clear()
        elif isinstance(step, Connect):
            greeting = Event("connected", {"user_id": user.account_id, "queue": 1})
            (greeting,) = distort([greeting]) if distort else (greeting,)
            judgement = journey.greet(greeting)
        elif (heard := journey.recall()) is not None:
            judgement = journey.hear(heard.event)
        else:
            judgement = Judgement(ErrorKind.TIMEOUT, f"no event '{step.event}'")
            journey.abandon()
        found.append((step, judgement))
    return found


def passed_by_client(
    journey: ClientJourney, user: VirtualUser, target: FakeTarget, spoil: Spoil | None = None
) -> list[tuple[Request, Answer]]:
    """One pass through a journey with a real httpx client: its requests and their answers."""
    found = []

    def handle(sent: httpx.Request) -> httpx.Response:
        body = json.loads(sent.content) if sent.content else None
        request = Request(sent.method, sent.url.path, step=sent.extensions["step"], json=body)
        answer = target.answer(request, user)
        if spoil is not None:
            answer = spoil(request, answer)
        found.append((request, answer))
        return httpx.Response(answer.status_code, text=answer.text)

    async def walk() -> None:
        transport = httpx.MockTransport(handle)
        async with httpx.AsyncClient(transport=transport, base_url="http://target") as client:
            await journey(client, user)

    asyncio.run(walk())
    return found


def requests_of(scenario: Scenario, user: VirtualUser, target: FakeTarget) -> list[Request]:
    """What one pass through a scenario asks, whichever way it is written."""
    flow = scenario.flow
    if is_client_journey(flow):
        return [request for request, _ in passed_by_client(flow, user, target)]
    if is_plain_flow(flow, scenario):
        return [request for request, _ in passed(flow, user, target)]
    steps = [step for step, _ in passed_hearing(flow, user, target)]
    return [step for step in steps if isinstance(step, Request)]
