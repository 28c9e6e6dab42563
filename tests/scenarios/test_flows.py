"""Every flow against the contract in memory: right answers pass, spoilt ones are noticed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from loopmark.harness.drivers.journey import RIGHT, Journey
from loopmark.harness.vocabulary.flow import Flow, Request, VirtualUser
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.scenarios import flows
from loopmark.targets import contract
from tests.scenarios.fake_target import Answer, FakeTarget, passed
from tests.targets.endpoints import ENDPOINTS

FLOWS: dict[str, Flow] = {
    flow.__name__: flow
    for flow in (
        flows.create_fresh,
        flows.create_existing,
        flows.crud_journey,
        flows.read_mostly,
        flows.wait_timer,
        flows.wait_database,
        flows.wait_upstream,
        flows.beside_report,
    )
}
every_flow = pytest.mark.parametrize("flow", FLOWS.values(), ids=list(FLOWS))


def virtual_user(number: int = 0, seed: object = "seed") -> VirtualUser:
    return VirtualUser(number, f"token-{number}", Random(f"{seed}/{number}"))


def requests_of(flow: Flow, user: VirtualUser) -> list[Request]:
    return [request for request, _ in passed(flow, user, FakeTarget())]


# ---- right answers ----


@every_flow
def test_right_answers_are_right_for_every_user(flow: Flow) -> None:
    target = FakeTarget()
    for number in range(50):
        judgements = [judgement for _, judgement in passed(flow, virtual_user(number), target)]
        assert judgements
        assert set(judgements) == {RIGHT}


@every_flow
def test_users_do_not_disturb_each_other(flow: Flow) -> None:
    target = FakeTarget()
    users = [virtual_user(number) for number in range(30)]
    waiting = [(user, Journey(flow, user)) for user in users]
    while waiting:
        for user, journey in waiting:
            assert journey.request is not None
            assert journey.receive(target.answer(journey.request, user)) == RIGHT
        waiting = [(user, journey) for user, journey in waiting if journey.request is not None]


@every_flow
def test_flow_expects_the_status_that_the_contract_documents(flow: Flow) -> None:
    for number in range(30):
        for request in requests_of(flow, virtual_user(number)):
            path = "/api/v2/users/{user_id}" if request.path[-1].isdigit() else request.path
            (status,) = (
                endpoint.status_code
                for endpoint in ENDPOINTS
                if (endpoint.method, endpoint.path) == (request.method, path)
            )
            assert request.expect == status


def test_crud_journey_leaves_no_account_behind() -> None:
    target = FakeTarget()
    before = dict(target.users)
    steps = [request.step for request, _ in passed(flows.crud_journey, virtual_user(), target)]
    assert steps == ["create", "read", "update", "read-updated", "delete"]
    assert target.users == before


def test_create_fresh_creates_and_create_existing_does_not() -> None:
    target = FakeTarget()
    seeded = dict(target.resources)
    for number in range(20):
        passed(flows.create_existing, virtual_user(number), target)
    assert target.resources == seeded
    for number in range(20):
        passed(flows.create_fresh, virtual_user(number), target)
    assert len(target.resources) == len(seeded) + 20


def test_nine_of_ten_are_reads_and_writes_are_to_ones_own_account() -> None:
    target = FakeTarget()
    count = 2000
    random = Random(1)
    writes = 0
    for number in range(count):
        user = VirtualUser(number % 1000, "token", random)
        ((request, _),) = passed(flows.read_mostly, user, target)
        if request.step == "update":
            writes += 1
            assert request.path == f"{flows.USERS}/{user.account_id}"
    assert 0.07 < writes / count < 0.13


@pytest.mark.parametrize("on", ["timer", "database"])
def test_warming_request_asks_for_no_wait(on: str) -> None:
    answer = FakeTarget().answer(flows.no_wait(on), virtual_user())
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "waited_s": 0.0, "on": on}


# ---- the questions ----


@every_flow
def test_the_same_seed_asks_the_same_questions(flow: Flow) -> None:
    first, again = ([requests_of(flow, virtual_user(n)) for n in range(20)] for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    "flow", [flows.create_fresh, flows.create_existing, flows.crud_journey, flows.read_mostly]
)
def test_another_seed_asks_other_questions(flow: Flow) -> None:
    first, other = (
        [requests_of(flow, virtual_user(n, seed)) for n in range(20)] for seed in ("a", "b")
    )
    assert first != other


def test_ids_differ_between_users_rounds_and_passes() -> None:
    users = [virtual_user(number, f"round-{n}") for n in range(5) for number in range(200)]
    ids = [user.unique_id() for user in users for _ in range(3)]
    assert len(set(ids)) == len(ids)
    assert {uuid.UUID(one).version for one in ids} == {4}


def test_no_two_users_create_the_same_thing() -> None:
    users = [virtual_user(number) for number in range(100)]
    resources = [requests_of(flows.create_fresh, user)[0].json["id"] for user in users]
    accounts = [requests_of(flows.crud_journey, user)[0].json["username"] for user in users]
    assert len(set(resources)) == len(set(accounts)) == len(users)


# ---- spoilt answers ----

Body = dict[str, Any]
Change = Callable[[Request, Body], Body]
"""From the request and the right body to a wrong one."""


def put(*path: str, value: object) -> Change:
    """Another value at a key of the body."""

    def change(_request: Request, body: Body) -> Body:
        place = body
        for key in path[:-1]:
            place = place[key]
        assert place[path[-1]] != value
        place[path[-1]] = value
        return body

    return change


def without(*path: str) -> Change:
    """The body without a key."""

    def change(_request: Request, body: Body) -> Body:
        place = body
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]
        return body

    return change


def overwritten(request: Request, body: Body) -> Body:
    return body | {"resource": body["resource"] | {"name": request.json["name"]}}


def more(_request: Request, body: Body) -> Body:
    return body | {"surprise": 1}


WAITED = [
    put("status", value="failure"),
    put("waited_s", value=0.0),
    put("on", value="nothing"),
    *(without(key) for key in ("status", "waited_s", "on")),
]
ACCOUNT = [
    put("id", value=1),
    put("username", value="another"),
    put("email", value="another@example.com"),
    put("full_name", value="Another"),
]
EVERY_FIELD = [
    *ACCOUNT,
    put("is_active", value=False),
    put("created_at", value="1999-01-01T00:00:00Z"),
    more,
    *(without(key) for key in contract.User.model_fields),
]
SPOILT: dict[tuple[str, str], list[Change]] = {
    ("create_fresh", "create-fresh"): [
        put("created", value=False),
        put("status", value="failure"),
        put("resource", "id", value="another"),
        put("resource", "name", value="Another"),
        put("resource", "description", value=""),
        without("created"),
        without("status"),
        without("resource"),
        without("resource", "id"),
        without("resource", "name"),
        without("resource", "description"),
    ],
    ("create_existing", "create-existing"): [
        put("created", value=True),
        put("resource", "id", value="another"),
        overwritten,
        without("created"),
        without("resource"),
        without("resource", "id"),
        without("resource", "name"),
    ],
    ("crud_journey", "create"): [
        *ACCOUNT,
        *(without(key) for key in ("id", "username", "email", "full_name")),
    ],
    ("crud_journey", "read"): EVERY_FIELD,
    ("crud_journey", "update"): [*EVERY_FIELD, put("full_name", value="New User")],
    ("crud_journey", "read-updated"): [*EVERY_FIELD, put("full_name", value="New User")],
    ("read_mostly", "read"): [put("id", value=0), without("id")],
    ("read_mostly", "update"): [
        put("id", value=0),
        put("full_name", value=""),
        without("id"),
        without("full_name"),
    ],
    ("wait_timer", "wait"): [*WAITED, put("on", value="database")],
    ("wait_database", "wait"): [*WAITED, put("on", value="timer")],
    ("beside_report", "innocent"): [
        put("status", value="failure"),
        put("waited_s", value=1.0),
        put("on", value="database"),
        *(without(key) for key in ("status", "waited_s", "on")),
    ],
    ("beside_report", "report"): [
        put("rows", value=[]),
        without("rows"),
        lambda _, body: {"rows": body["rows"][:-1]},
        lambda _, body: {"rows": body["rows"][::-1]},
    ],
    ("wait_upstream", "fetch"): [
        put("status", value="failure"),
        put("waited_s", value=0.0),
        without("status"),
        without("waited_s"),
    ],
}


def user_who_takes(flow: Flow, step: str) -> int:
    return next(
        number
        for number in range(1, 200)
        if step in {request.step for request in requests_of(flow, virtual_user(number))}
    )


def last_error(flow: Flow, step: str, change: Callable[[Request, Answer], Answer]) -> str:
    """How a pass ends in which the answer to one step is spoilt."""

    def spoil(request: Request, answer: Answer) -> Answer:
        return change(request, answer) if request.step == step else answer

    user = virtual_user(user_who_takes(flow, step))
    *before, (request, judgement) = passed(flow, user, FakeTarget(), spoil)
    assert all(one == RIGHT for _, one in before)
    assert step in {one.step for one, _ in [*before, (request, judgement)]}
    return judgement.error


@pytest.mark.parametrize(
    ("name", "step", "number"),
    [(*key, number) for key, changes in SPOILT.items() for number in range(len(changes))],
)
def test_spoilt_answer_is_noticed(name: str, step: str, number: int) -> None:
    change = SPOILT[name, step][number]

    def spoil(request: Request, answer: Answer) -> Answer:
        return Answer(answer.status_code, json.dumps(change(request, answer.json())))

    assert last_error(FLOWS[name], step, spoil) == ErrorKind.WRONG_ANSWER


@pytest.mark.parametrize(("name", "step"), SPOILT)
@pytest.mark.parametrize(
    "text", ["", "<html>", "null", "[]", "{}", "3", '"text"', "[null]", '{"resource": null}']
)
def test_body_of_another_kind_is_noticed(name: str, step: str, text: str) -> None:
    error = last_error(FLOWS[name], step, lambda _, answer: Answer(answer.status_code, text))
    assert error == ErrorKind.WRONG_ANSWER


@pytest.mark.parametrize(("name", "step"), [*SPOILT, ("crud_journey", "delete")])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (202, ErrorKind.WRONG_STATUS),
        (404, ErrorKind.WRONG_STATUS),
        (500, ErrorKind.SERVER_ERROR),
    ],
)
def test_other_status_is_noticed_whatever_the_body(
    name: str, step: str, status: int, error: str
) -> None:
    found = last_error(FLOWS[name], step, lambda _, answer: Answer(status, answer.text))
    assert found == error


def test_every_step_with_a_body_has_its_spoilt_answers() -> None:
    steps = {
        (name, request.step)
        for name, flow in FLOWS.items()
        for number in range(50)
        for request in requests_of(flow, virtual_user(number))
    }
    assert steps == {*SPOILT, ("crud_journey", "delete")}
