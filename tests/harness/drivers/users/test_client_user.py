"""Journeys with a client of httpx: what is recorded of them, and how they end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
import pandas as pd
import pytest

from loopmark.harness.drivers.http.encoding import Encoder
from loopmark.harness.drivers.pacing.user import Account, User
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.drivers.users.client_user import MAX_STEPS, OTHER_STEP, ClientUser
from loopmark.harness.vocabulary.flow import ClientJourney, Request, VirtualUser, WrongAnswer, check
from loopmark.harness.vocabulary.job import DriverReport, Timeouts
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ErrorKind
from tests.hang_limit import HANG_S
from tests.harness.drivers.driving import (
    PATIENT,
    Server,
    Steps,
    drive,
    driven,
    job,
    ok,
    samples_of,
    scenario,
)

pytestmark = pytest.mark.anyio

HASTY = Timeouts(connect_s=1.0, first_byte_s=0.2, response_s=0.3)
Client = httpx.AsyncClient


async def once(
    server: Server, journey: ClientJourney, folder: Path, timeouts: Timeouts = PATIENT
) -> tuple[DriverReport, pd.DataFrame]:
    """One user does it once; the rows are in the order of their due times."""
    report, samples = await driven(server, journey, Burst(1), folder, timeouts)
    return report, samples.sort_values("due_ns", ignore_index=True)


# ---- what is recorded ----


async def test_a_step_is_method_and_path_without_identifiers(tmp_path: Path) -> None:
    async def journey(client: Client, _user: VirtualUser) -> None:
        await client.get("/users/17/items/550e8400-e29b-41d4-a716-446655440000?page=3")
        await client.delete("/blobs/0123456789abcdef0123")
        await client.get("/v2/x1/17a")
        await client.post("/named/1", extensions={"step": "by hand"})

    _, samples = await once(Server(), journey, tmp_path)
    assert list(samples["step"]) == [
        "GET /users/{id}/items/{id}",
        "DELETE /blobs/{id}",
        "GET /v2/x1/17a",
        "by hand",
    ]
    assert set(samples["error"]) == {""}


async def test_paths_without_end_are_one_step(tmp_path: Path) -> None:
    async def journey(client: Client, _user: VirtualUser) -> None:
        for number in range(MAX_STEPS + 20):
            await client.get(f"/page-{number}")
        await client.get("/page-7")

    _, samples = await once(Server(), journey, tmp_path)
    assert samples["step"].nunique() == MAX_STEPS, "the warm-up's step is one of them"
    assert (samples["step"] == OTHER_STEP).sum() == 21
    assert (samples["step"] == "GET /page-7").sum() == 2


async def test_the_first_request_is_due_with_its_flow_and_others_when_they_are_asked(
    tmp_path: Path,
) -> None:
    async def journey(client: Client, _user: VirtualUser) -> None:
        await client.get("/a")
        await asyncio.sleep(0.3)
        await client.get("/b")

    report, samples = await once(Server(), journey, tmp_path)
    assert samples["due_ns"][0] == report.window_start_ns
    assert samples["due_ns"][1] >= samples["done_ns"][0] + 0.29e9
    assert (samples["sent_ns"] - samples["due_ns"])[1] < 0.25e9, "a pause is nobody's delay"
    assert set(samples["connected_ns"]) == {0}
    assert (samples["first_byte_ns"] <= samples["done_ns"]).all()


async def test_each_hop_of_a_redirect_is_a_sample(tmp_path: Path) -> None:
    server = Server()
    server.answers["/old"] = ok(b"", "302 Found", "location: /new", "set-cookie: a=1")

    async def journey(client: Client, _user: VirtualUser) -> None:
        response = await client.get("/old", follow_redirects=True)
        check(response.status_code == 200, "not found")

    _, samples = await once(server, journey, tmp_path)
    assert list(samples["step"]) == ["GET /old", "GET /new"]
    assert list(samples["status"]) == [302, 200]
    assert set(samples["error"]) == {""}
    assert "cookie: a=1" in server.heads[-1].lower()


async def test_every_user_has_its_own_token_and_cookies(tmp_path: Path) -> None:
    """Under an open load too, where users take turns at being different accounts."""
    server = Server()
    server.answers["/cookie"] = ok(b"{}", "200 OK", "set-cookie: seen=1")
    cookies: list[int] = []

    async def journey(client: Client, user: VirtualUser) -> None:
        assert client.headers["authorization"] == f"Bearer token-{user.number}"
        cookies.append(len(client.cookies))
        await client.get("/cookie")

    load = Open(rate=100, duration_s=0.2, warmup_s=0.0, max_in_flight=7)
    _, samples = await driven(server, journey, load, tmp_path)
    sent = samples[samples["error"] != ErrorKind.REFUSED]  # As on a busy machine.
    assert set(sent["error"]) == {""}
    assert sent["user"].nunique() == 7
    assert set(cookies) == {0}


async def test_requests_side_by_side_are_all_recorded(tmp_path: Path) -> None:
    server = Server()
    server.delay_s = 0.02

    async def journey(client: Client, _user: VirtualUser) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(client.get(f"/part-{number}-x"))

    _, samples = await once(server, journey, tmp_path)
    assert sorted(samples["step"]) == [f"GET /part-{n}-x" for n in range(5)]
    assert server.most_in_flight == 5
    assert samples["sent_ns"].max() < samples["done_ns"].min()


# ---- which answers are wrong ----


async def raise_for_status(client: Client, _user: VirtualUser) -> None:
    (await client.get("/asked")).raise_for_status()


async def wrong_answer(client: Client, _user: VirtualUser) -> None:
    await client.get("/asked")
    raise WrongAnswer("not what it must be")


async def asserting(client: Client, _user: VirtualUser) -> None:
    response = await client.get("/asked")
    assert response.json()["n"] == 2


async def missing_field(client: Client, _user: VirtualUser) -> None:
    (await client.get("/asked")).json()["m"]


async def saying_nothing(client: Client, _user: VirtualUser) -> None:
    await client.get("/asked")


async def swallowing(client: Client, _user: VirtualUser) -> None:
    with suppress(Exception):
        (await client.get("/asked")).raise_for_status()


async def in_a_group(client: Client, _user: VirtualUser) -> None:
    async def part() -> None:
        (await client.get("/asked")).raise_for_status()

    async with asyncio.TaskGroup() as group:
        group.create_task(part())


RIGHT = ok()
NOT_FOUND = ok(b"{}", "404 Not Found")
BUSY = ok(b"{}", "503 Busy")


@pytest.mark.parametrize(
    ("journey", "answer", "kind", "message"),
    [
        (raise_for_status, NOT_FOUND, ErrorKind.WRONG_STATUS, "GET /asked answered 404"),
        (raise_for_status, BUSY, ErrorKind.SERVER_ERROR, "GET /asked answered 503"),
        (in_a_group, NOT_FOUND, ErrorKind.WRONG_STATUS, "GET /asked answered 404"),
        (wrong_answer, RIGHT, ErrorKind.WRONG_ANSWER, "not what it must be"),
        (asserting, RIGHT, ErrorKind.WRONG_ANSWER, ""),
        (missing_field, RIGHT, ErrorKind.WRONG_ANSWER, "unusable body: KeyError('m')"),
        (missing_field, ok(b"[]"), ErrorKind.WRONG_ANSWER, "unusable body: TypeError"),
        (missing_field, ok(b"<html>"), ErrorKind.WRONG_ANSWER, "unusable body: JSONDecodeError"),
        (missing_field, BUSY, ErrorKind.SERVER_ERROR, "GET /asked answered 503"),
        (saying_nothing, NOT_FOUND, "", ""),
        (saying_nothing, BUSY, ErrorKind.SERVER_ERROR, "GET /asked answered 503"),
        (swallowing, BUSY, ErrorKind.SERVER_ERROR, "GET /asked answered 503"),
        (swallowing, b"junk\r\n\r\n", ErrorKind.PROTOCOL, "not HTTP"),
        (in_a_group, b"junk\r\n\r\n", ErrorKind.PROTOCOL, "not HTTP"),
        (swallowing, b"", ErrorKind.TIMEOUT, "no first byte"),
    ],
)
async def test_what_the_journey_says_of_an_answer_is_its_sample_s_error(
    journey: ClientJourney, answer: bytes, kind: str, message: str, tmp_path: Path
) -> None:
    server = Server()
    server.answers["/asked"] = answer
    report, samples = await once(server, journey, tmp_path, HASTY)
    assert list(samples["error"]) == [kind]
    if kind:
        assert list(report.error_examples) == [kind]
        assert message in report.error_examples[kind][0]


async def test_only_the_last_sample_is_marked(tmp_path: Path) -> None:
    async def journey(client: Client, _user: VirtualUser) -> None:
        await client.get("/a")
        await client.get("/b")
        check(condition=False, what="b is wrong")
        await client.get("/c")

    _, samples = await once(Server(), journey, tmp_path)
    assert list(zip(samples["step"], samples["error"], strict=True)) == [
        ("GET /a", ""),
        ("GET /b", ErrorKind.WRONG_ANSWER),
    ]


async def test_a_limit_of_the_journey_s_own_is_a_timeout(tmp_path: Path) -> None:
    server = Server()
    server.answers["/silent"] = b""

    async def journey(client: Client, _user: VirtualUser) -> None:
        async with asyncio.timeout(0.1):
            await client.get("/silent")

    report, samples = await once(server, journey, tmp_path)
    assert list(samples["error"]) == [ErrorKind.TIMEOUT]
    assert (samples["done_ns"] - samples["sent_ns"])[0] > 0.09e9
    assert "limit of the journey" in report.error_examples["timeout"][0]


async def test_what_was_cancelled_beside_a_failure_is_abandoned(tmp_path: Path) -> None:
    server = Server()
    server.answers |= {"/silent": b"", "/broken": b"junk\r\n\r\n"}

    async def journey(client: Client, _user: VirtualUser) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.get("/silent"))
            group.create_task(client.get("/broken"))

    _, samples = await once(server, journey, tmp_path)
    found = dict(zip(samples["step"], samples["error"], strict=True))
    assert found == {"GET /silent": ErrorKind.ABANDONED, "GET /broken": ErrorKind.PROTOCOL}


# ---- how journeys end ----


async def keep_trying(client: Client, _user: VirtualUser) -> None:
    """No `except Exception` may keep a journey beyond its window."""
    while True:
        try:
            await client.get("/again")
        except Exception:  # noqa: BLE001 - as some journeys are
            continue


async def trying_in_groups(client: Client, _user: VirtualUser) -> None:
    while True:
        async with asyncio.TaskGroup() as group:
            group.create_task(client.get("/again"))
            group.create_task(client.get("/again"))


async def trying_side_by_side(client: Client, _user: VirtualUser) -> None:
    while True:
        await asyncio.gather(client.get("/again"), client.get("/again"))


@pytest.mark.parametrize("journey", [keep_trying, trying_in_groups, trying_side_by_side])
async def test_a_journey_is_left_at_the_end_of_the_window(
    journey: ClientJourney, tmp_path: Path
) -> None:
    server = Server()
    server.delay_s = 0.002
    load = Closed(users=3, duration_s=0.2, warmup_s=0.0)
    report, samples = await driven(server, journey, load, tmp_path)
    assert len(samples) > load.users
    assert set(samples["error"]) == {""}
    assert samples["due_ns"].max() < report.window_end_ns


@pytest.mark.parametrize("journey", [saying_nothing, swallowing])
async def test_failing_journeys_are_not_repeated_without_pause(
    journey: ClientJourney, tmp_path: Path
) -> None:
    server = Server()
    server.answers["/asked"] = b"junk\r\n\r\n"
    load = Closed(users=2, duration_s=0.3, warmup_s=0.0)
    _, samples = await driven(server, journey, load, tmp_path)
    assert set(samples["error"]) == {ErrorKind.PROTOCOL}
    assert 2 <= len(samples) <= 2 * 7


async def test_a_pause_at_the_journey_s_end_delays_nothing_but_itself(tmp_path: Path) -> None:
    async def journey(client: Client, _user: VirtualUser) -> None:
        await client.get("/asked")
        await asyncio.sleep(0.03)

    load = Closed(users=2, duration_s=0.3, warmup_s=0.0)
    report, samples = await driven(Server(), journey, load, tmp_path)
    assert len(samples) <= 22
    assert samples["due_ns"].max() < report.window_end_ns
    for _, rows in samples.sort_values("due_ns").groupby("user"):
        pauses_ns = rows["due_ns"].to_numpy()[1:] - rows["done_ns"].to_numpy()[:-1]
        assert (pauses_ns > 0.025e9).all()


async def test_a_journey_without_requests_ends_with_its_window(tmp_path: Path) -> None:
    async def journey(_client: Client, _user: VirtualUser) -> None:
        return

    load = Closed(users=2, duration_s=0.1, warmup_s=0.0)
    report, _ = await driven(Server(), journey, load, tmp_path)
    assert report.requests == 0


async def divide(client: Client, _user: VirtualUser) -> None:
    await client.get("/asked")
    _ = 1 / 0


async def divide_in_a_group(client: Client, user: VirtualUser) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(divide(client, user))


def dividing_flow(_user: VirtualUser) -> Steps:
    yield Request("GET", "/asked", step="asked")
    _ = 1 / 0


def unwritable_flow(_user: VirtualUser) -> Steps:
    yield Request("GET", "/asked", step="asked")
    yield Request("POST", "/asked", step="asked", json=object())


async def wrong_from_the_start(client: Client, user: VirtualUser) -> None:
    await client.get(user.nonsense)  # type: ignore[attr-defined]


async def cancelled_by_what_it_awaits(client: Client, _user: VirtualUser) -> None:
    await client.get("/asked")
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


@pytest.mark.parametrize("load", [Burst(3), Closed(3, 60.0), Open(50, 60.0, max_in_flight=3)])
@pytest.mark.parametrize(
    ("flow", "error"),
    [
        (divide, ZeroDivisionError),
        (divide_in_a_group, ExceptionGroup),
        (dividing_flow, ZeroDivisionError),
        (unwritable_flow, TypeError),
        (wrong_from_the_start, AttributeError),
        (cancelled_by_what_it_awaits, RuntimeError),
    ],
)
async def test_a_fault_of_the_flow_ends_the_round_with_its_exception(
    flow: ClientJourney, error: type[Exception], load: Burst | Closed | Open, tmp_path: Path
) -> None:
    async with Server().running() as url, asyncio.timeout(HANG_S):
        given = job(url, load, tmp_path)
        with pytest.raises(error):
            await drive(given, scenario(flow))
    assert set(samples_of(given)["error"]) <= {"", ErrorKind.ABANDONED, ErrorKind.REFUSED}


async def test_a_cancelled_round_abandons_its_journeys(tmp_path: Path) -> None:
    server = Server()
    server.answers["/asked"] = b""
    async with server.running() as url:
        given = job(url, Closed(3, 60.0), tmp_path)
        task = asyncio.create_task(drive(given, scenario(saying_nothing)))
        while server.requests["/asked"] < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(samples_of(given)["error"]) == [ErrorKind.ABANDONED] * 3


async def test_a_closed_user_begins_nothing(tmp_path: Path) -> None:
    """Not even when its journey has ended in the very turn of the loop in which it is closed."""
    server = Server()

    async def journey(client: Client, _user: VirtualUser) -> None:
        await client.get("/asked")
        asyncio.get_running_loop().call_soon(close_now)

    def close_now() -> None:
        with suppress(StopIteration):  # There is nothing that it would wait for.
            user.close().send(None)

    ended: list[User] = []

    def again(user: User, done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - as `OnEnd` has it
        ended.append(user)
        user.go(done_ns)

    async with server.running() as url, asyncio.timeout(HANG_S):
        with SampleFile(tmp_path / "s.parquet", 0) as samples:
            user = ClientUser(journey, url, PATIENT, Recording(samples))
            virtual = VirtualUser(0, "t", Random(1))
            user.prepare(Account(virtual, Encoder(url, "t")))
            user.on_end = again
            user.go(1)
            assert user._task is not None
            await asyncio.wait([user._task])
            await asyncio.sleep(0)
    assert ended == []
    assert server.requests["/asked"] == 1


async def test_a_warm_up_is_sent_as_it_is(tmp_path: Path) -> None:
    """With its body of any kind, by flows and journeys alike."""

    def flow(_user: VirtualUser) -> Steps:
        yield Request("GET", "/asked", step="asked")

    bodies: list[bytes] = []
    for warm in (
        Request("POST", "/warm", step="warm", content=b"raw"),
        Request("POST", "/warm", step="warm", data={"a": "b"}),
        Request("POST", "/warm", step="warm", json={"a": 1}),
    ):
        for kind in (flow, saying_nothing):
            server = Server()
            async with server.running() as url:
                _, samples = await drive(job(url, Burst(1), tmp_path), scenario(kind, warm))
            assert list(samples["error"]) == [""]
            bodies.append(server.bodies[0])
    assert bodies == [b"raw", b"raw", b"a=b", b"a=b", b'{"a":1}', b'{"a":1}']
