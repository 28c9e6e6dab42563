"""Servers at their worst: a named error in the row, no hang, no crash, bounded memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pandas as pd
import pytest
import uvloop

from loopmark.harness.drivers.http import exchange
from loopmark.harness.drivers.http.transport import LoadTransport
from loopmark.harness.vocabulary.flow import ClientJourney, Flow, Request, VirtualUser
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, Timeouts
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.scenario import Scenario
from tests.harness.drivers.driving import HANG_S, drive, job, scenario
from tests.harness.drivers.hostile_server import BEHAVIOURS, HostileServer, never_accepting
from tests.harness.drivers.locust_process import LocustProcess
from tests.harness.drivers.tried_flows import Asking, uploading

pytestmark = pytest.mark.anyio

SHORT = Timeouts(connect_s=1.0, first_byte_s=0.5, response_s=2.0)
LIMIT_BYTES = 4 * 1024**2
"""Of one answer, in these tests."""

KINDS = ("flow", "journey", "locust")
"""The first two on the native driver; the third is the flow on Locust's."""

LOCUST = LocustProcess(LIMIT_BYTES)

LATE = "no complete answer within 2 s"
SILENT = {
    "silence": "no first byte within 0.5 s",
    "silent-in-head": LATE,
    "silent-in-body": LATE,
    "length-too-long-and-held": LATE,
    "drip": LATE,
    "drip-body": LATE,
}
CLOSED = {
    "close-at-once": "before an answer came",
    "half-a-head": "within the answer",
    "half-a-body": "within the answer",
    "half-a-chunk": "within the answer",
    "no-last-chunk": "within the answer",
    "only-a-100": "within the answer",
    "length-too-long": "within the answer",
    "reset": "before an answer came",
    "reset-in-body": "within the answer",
}
NOT_HTTP = {
    "garbage": "not HTTP",
    "another-protocol": "not HTTP",
    "upgrade": "another protocol",
    "plain-101": "not HTTP",
    "status-0": "000 is no status code",
    "status-7": "not HTTP",
    "bad-chunk-size": "not HTTP",
    "negative-chunk-size": "not HTTP",
    "huge-chunk-size": "not HTTP",
    "chunk-longer-than-its-size": "not HTTP",
    "length-of-letters": "not HTTP",
    "negative-length": "not HTTP",
    "huge-length": "not HTTP",
    "two-lengths": "not HTTP",
    "length-and-chunked": "not HTTP",
}
ENDLESS = {
    "headers": "headers or trailers of more than 64 KiB",
    "endless-header": "headers or trailers of more than 64 KiB",
    "endless-reason": "headers or trailers of more than 64 KiB",
    "endless-1xx": "headers or trailers of more than 64 KiB",
    "endless-trailers": "headers or trailers of more than 64 KiB",
    "endless-trailer": "headers or trailers of more than 64 KiB",
    "endless-chunk-extension": "headers or trailers of more than 64 KiB",
    "endless-body": "an answer of more than 4 MiB",
    "endless-chunks": "an answer of more than 4 MiB",
    "endless-tiny-chunks": "an answer of more than 4 MiB",
}
BROKEN: dict[str, tuple[str, str]] = {
    **{name: (ErrorKind.TIMEOUT, message) for name, message in SILENT.items()},
    **{name: (ErrorKind.RESET, message) for name, message in CLOSED.items()},
    **{name: (ErrorKind.PROTOCOL, message) for name, message in NOT_HTTP.items()},
    **{name: (ErrorKind.PROTOCOL, message) for name, message in ENDLESS.items()},
}
EXCEPTIONS = {
    ErrorKind.TIMEOUT: httpx.ReadTimeout,
    ErrorKind.RESET: httpx.ReadError,
    ErrorKind.PROTOCOL: httpx.RemoteProtocolError,
}


UNREADABLE = {
    "not-gzip": ErrorKind.WRONG_ANSWER,
    "torn-gzip": ErrorKind.WRONG_ANSWER,
    "gzip-bomb": ErrorKind.WRONG_ANSWER,
    "status-999": ErrorKind.WRONG_STATUS,
}
"""What is HTTP, but not the answer."""

FINE = tuple(
    name
    for name in BEHAVIOURS
    if name not in BROKEN and name not in UNREADABLE and name != "answer-unread"
)


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    with HostileServer().running() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _small_answers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, LOCUST.running():
        patch.setattr(exchange, "MAX_ANSWER_BYTES", LIMIT_BYTES)
        yield


Driven = tuple[DriverReport, pd.DataFrame]


def driven(  # noqa: PLR0913, PLR0917 - what is driven, and how
    url: str,
    names: Sequence[str],
    kind: str,
    folder: Path,
    method: str = "GET",
    duration_s: float = 2.8,
) -> Driven:
    """Drive a user for each behaviour, long enough for all to be done with it."""
    load = Closed(users=len(names), duration_s=duration_s, warmup_s=0.1, think_s=0.25)
    asked = scenario(chosen(Asking(names, method), kind))
    return uvloop.run(drive_as(kind, job(url, load, folder, SHORT), asked))


def chosen(asking: Asking, kind: str) -> Flow | ClientJourney:
    return asking.journey if kind == "journey" else asking.flow


async def drive_as(kind: str, given: LoadJob, asked: Scenario) -> Driven:
    """By the driver of that kind."""
    if kind == "locust":
        return await LOCUST.drive_beside(given, asked)
    return await drive(given, asked)


@pytest.fixture(scope="module", params=KINDS)
def all_driven(
    request: pytest.FixtureRequest, hostile: HostileServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Driven]:
    names = (*BROKEN, *UNREADABLE, *FINE)
    folder = tmp_path_factory.mktemp("samples")
    return request.param, driven(hostile.url, names, request.param, folder)


def of(samples: pd.DataFrame, name: str) -> tuple[pd.Series, pd.DataFrame]:
    """The row of a behaviour, and those of its user that came after it."""
    row = samples[(samples["step"] == name) & (samples["due_ns"] > 0)].iloc[0]
    later = samples[(samples["user"] == row["user"]) & (samples["due_ns"] > row["due_ns"])]
    return row, later


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_a_named_error_and_the_next_request_works(
    name: str, all_driven: tuple[str, Driven]
) -> None:
    _, (_, samples) = all_driven
    row, later = of(samples, name)
    assert (row["error"], row["status"]) == (BROKEN[name][0], 0)
    assert row["sent_ns"] < row["done_ns"] < row["sent_ns"] + 5e9
    assert row["first_byte_ns"] == 0 or row["sent_ns"] < row["first_byte_ns"] <= row["done_ns"]
    assert len(later)
    assert set(later["error"]) == {""}
    assert later["connected_ns"].iloc[0] > 0, "on a connection of its own"


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_answer_that_cannot_be_used_is_a_named_error(
    name: str, all_driven: tuple[str, Driven]
) -> None:
    kind, (_, samples) = all_driven
    row, later = of(samples, name)
    expected = UNREADABLE[name]
    if kind == "journey" and name in {"not-gzip", "torn-gzip"}:
        expected = ErrorKind.PROTOCOL  # The client unpacks before the journey sees the answer.
    assert row["error"] == expected
    assert set(later["error"]) == {""}


@pytest.mark.parametrize("name", FINE)
def test_a_right_answer_in_an_unfriendly_way_is_no_error(
    name: str, all_driven: tuple[str, Driven]
) -> None:
    _, (_, samples) = all_driven
    row, later = of(samples, name)
    assert (row["error"], row["status"]) == ("", 200)
    assert len(later)
    assert set(later["error"]) == {""}


def test_errors_are_explained(all_driven: tuple[str, Driven]) -> None:
    _, (report, samples) = all_driven
    assert report.requests == len(samples)
    assert {ErrorKind.TIMEOUT, ErrorKind.RESET, ErrorKind.PROTOCOL} <= set(report.error_examples)


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_closed_in_the_race_costs_a_get_nothing_and_a_post_a_reset(
    kind: str, hostile: HostileServer, tmp_path: Path
) -> None:
    """The server reads the second request on a connection, and closes it without an answer."""
    for method, error in (("GET", ""), ("POST", ErrorKind.RESET)):
        _, samples = driven(hostile.url, ["close-in-the-race"], kind, tmp_path, method, 0.4)
        row, later = of(samples, "close-in-the-race")
        assert row["error"] == error
        assert set(later["error"]) == {""}


async def test_the_transport_names_what_was_wrong(hostile: HostileServer) -> None:
    async def one(name: str) -> Exception:
        transport = LoadTransport(SHORT)
        async with httpx.AsyncClient(transport=transport, base_url=hostile.url) as client:
            with pytest.raises(httpx.TransportError) as found:
                await client.get(f"/{name}")
            assert (await client.get("/fine")).json() == {"n": 1}
        return found.value

    async with asyncio.timeout(HANG_S):
        problems = await asyncio.gather(*(one(name) for name in BROKEN))
    for (name, (kind, message)), problem in zip(BROKEN.items(), problems, strict=True):
        assert type(problem) is EXCEPTIONS[kind], name
        assert message in str(problem), name


@pytest.mark.parametrize("kind", ["flow", "journey"])
def test_what_never_ends_takes_bounded_memory(
    kind: str, hostile: HostileServer, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        _, samples = driven(hostile.url, tuple(ENDLESS), kind, tmp_path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {of(samples, name)[0]["error"] for name in ENDLESS} <= {"protocol", "timeout"}
    assert most < 10 * LIMIT_BYTES, "three bodies of the limit, and some headers"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
def test_what_never_ends_takes_bounded_memory_of_the_locust_driver(
    hostile: HostileServer, tmp_path: Path
) -> None:
    driven(hostile.url, ["fine"] * len(ENDLESS), "locust", tmp_path, duration_s=0.2)
    before = LOCUST.peak_bytes()
    _, samples = driven(hostile.url, tuple(ENDLESS), "locust", tmp_path)
    assert {of(samples, name)[0]["error"] for name in ENDLESS} <= {"protocol", "timeout"}
    assert LOCUST.peak_bytes() - before < 10 * LIMIT_BYTES


@pytest.mark.parametrize("kind", KINDS)
async def test_a_target_that_never_accepts_is_a_connect_error(kind: str, tmp_path: Path) -> None:
    flow = chosen(Asking(["fine", "fine"]), kind)
    limits = Timeouts(connect_s=0.2, first_byte_s=5.0, response_s=5.0)
    with never_accepting() as url:
        _, samples = await drive_as(kind, job(url, Burst(2), tmp_path, limits), scenario(flow))
    assert list(samples["error"]) == [ErrorKind.CONNECT] * 2
    assert set(samples["step"]) == {"warm"}
    assert (samples["connected_ns"] == 0).all()
    assert (samples["done_ns"] - samples["sent_ns"] >= 0.19e9).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["garbage", "reset", "silence", "headers", "status-999"])
async def test_a_target_that_fails_from_the_start_is_not_driven(
    name: str, kind: str, hostile: HostileServer, tmp_path: Path
) -> None:
    flow = chosen(Asking(["fine"] * 3), kind)
    asked = scenario(flow, Request("GET", f"/{name}", step="warm"))
    report, samples = await drive_as(kind, job(hostile.url, Burst(3), tmp_path, SHORT), asked)
    assert report.window_start_ns == report.window_end_ns
    expected = BROKEN[name][0] if name in BROKEN else ErrorKind.WRONG_STATUS
    assert list(samples["error"]) == [expected] * 3
    assert set(samples["step"]) == {"warm"}
    assert set(report.error_examples) == {expected}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_body_that_is_answered_before_it_is_read_is_no_error(
    kind: str, hostile: HostileServer, tmp_path: Path
) -> None:
    content = b"x" * 8 * 1024**2

    async def journey(client: httpx.AsyncClient, _user: VirtualUser) -> None:
        await client.post("/answer-unread", content=content, extensions={"step": "post"})
        await client.get("/fine", extensions={"step": "next"})

    asked = scenario(journey if kind == "journey" else uploading)
    _, samples = await drive_as(kind, job(hostile.url, Burst(2), tmp_path), asked)
    assert list(samples["error"]) == [""] * 4
    assert sorted(samples["step"]) == ["next", "next", "post", "post"]
    assert (samples[samples["step"] == "next"]["connected_ns"] > 0).all()
