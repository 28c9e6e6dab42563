"""Servers at their worst: a named error in the row, no hang, no crash, bounded memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pandas as pd
import pytest
import uvloop

from loopmark.harness.drivers.http import exchange
from loopmark.harness.drivers.http.transport import LoadTransport
from loopmark.harness.vocabulary.flow import Flow, Request
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, Timeouts
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ErrorKind
from tests.hang_limit import HANG_S
from tests.harness.drivers.driving import (
    PATIENT,
    WARM,
    drive,
    drive_by_httpx,
    job,
    scenario,
)
from tests.harness.drivers.hostile_server import (
    ANSWER_BYTES,
    BEHAVIOURS,
    CLOSING_RACE_NS,
    HostileServer,
    never_accepting,
)
from tests.harness.drivers.locust_process import LocustProcess
from tests.harness.drivers.tried_flows import Asking, uploading

pytestmark = pytest.mark.anyio

SHORT = Timeouts(connect_s=HANG_S, first_byte_s=0.3, response_s=0.6)
SHORT_AT_THE_END = replace(SHORT, first_byte_s=HANG_S)
"""Met by those alone that are silent: whoever else is late on a busy machine is only late."""

LATE = "no complete answer within 0.6 s"
SILENT = {
    "silence": "no first byte within 0.3 s",
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
"""Right answers in unfriendly ways."""

RACES = ("POST close-in-the-race", "close-in-the-race")
"""The server reads a request that is not the first on its connection, and closes without an answer:
that costs a GET nothing and a POST a reset."""


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    with HostileServer().running() as server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def _small_answers() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "MAX_ANSWER_BYTES", ANSWER_BYTES)
        patch.setattr(exchange, "CLOSING_RACE_NS", CLOSING_RACE_NS)
        yield


Driven = tuple[DriverReport, pd.DataFrame]


@dataclass(frozen=True)
class By:
    """One of the drivers."""

    driver: str
    locust: LocustProcess

    async def drive(self, given: LoadJob, flow: Flow, warm: Request = WARM) -> Driven:
        by_name = {
            "native": drive,
            "httpx": drive_by_httpx,
            "locust": self.locust.drive_beside,
        }
        return await by_name[self.driver](given, scenario(flow, warm))

    def burst(
        self, url: str, names: Sequence[str], folder: Path, limits: Timeouts = PATIENT
    ) -> Driven:
        """Each behaviour once."""
        return uvloop.run(
            self.drive(job(url, Burst(len(names)), folder, limits), Asking(names).flow)
        )


@pytest.fixture(scope="module", params=["native", "httpx", "locust"])
def by(request: pytest.FixtureRequest, locust: LocustProcess) -> By:
    return By(request.param, locust)


@pytest.fixture(scope="module")
def together(by: By, hostile: HostileServer, tmp_path_factory: pytest.TempPathFactory) -> Driven:
    """What ends at once, and after it what is fine, again and again."""
    names = (*CLOSED, *NOT_HTTP, *UNREADABLE, *FINE, *RACES)
    load = Closed(users=len(names), duration_s=1.5, warmup_s=0.1, think_s=0.25)
    given = job(hostile.url, load, tmp_path_factory.mktemp("samples"))
    return uvloop.run(by.drive(given, Asking(names).flow))


def outcomes(samples: pd.DataFrame, names: Iterable[str]) -> dict[str, tuple[str, int]]:
    """By behaviour, its kind of error and status."""
    rows = samples.drop_duplicates("step").set_index("step")
    return {name: (rows["error"][name], int(rows["status"][name])) for name in names}


def named(behaviours: Iterable[str]) -> dict[str, tuple[str, int]]:
    return {name: (BROKEN[name][0], 0) for name in behaviours}


def test_a_broken_answer_is_a_named_error(together: Driven) -> None:
    report, samples = together
    behaviours = CLOSED | NOT_HTTP
    assert outcomes(samples, behaviours) == named(behaviours)
    rows = samples[samples["step"].isin(behaviours)]
    assert (rows["sent_ns"] < rows["done_ns"]).all()
    answered = rows[rows["first_byte_ns"] > 0]
    assert (answered["sent_ns"] < answered["first_byte_ns"]).all()
    assert (answered["first_byte_ns"] <= answered["done_ns"]).all()
    assert report.requests == len(samples)
    assert {ErrorKind.RESET, ErrorKind.PROTOCOL} <= set(report.error_examples)


def test_an_answer_that_cannot_be_used_is_a_named_error(together: Driven) -> None:
    found = outcomes(together[1], UNREADABLE)
    assert {name: error for name, (error, _) in found.items()} == UNREADABLE


def test_a_right_answer_in_an_unfriendly_way_is_no_error(together: Driven) -> None:
    expected = dict.fromkeys(FINE, ("", 200))
    assert outcomes(together[1], FINE) == expected


def test_a_connection_closed_in_the_race_costs_a_get_nothing_and_a_post_a_reset(
    together: Driven,
) -> None:
    rows = together[1].query("step == 'close-in-the-race'").sort_values("user")
    assert list(rows["error"]) == [ErrorKind.RESET, ""]


def test_the_next_request_works_on_a_connection_of_its_own(together: Driven) -> None:
    report, samples = together
    by_user = samples.sort_values("due_ns").groupby("user")
    firsts, seconds = (by_user.nth(n).set_index("user").sort_index() for n in (0, 1))
    in_time = firsts[firsts["done_ns"] < report.window_end_ns - 0.3e9]
    assert set(seconds.index) >= set(in_time.index)
    assert set(samples.drop(by_user.nth(0).index)["error"]) == {""}
    failed = firsts.index[firsts["step"].isin(BROKEN)]
    assert (seconds[seconds.index.isin(failed)]["connected_ns"] > 0).all()


def test_silence_is_a_timeout(by: By, hostile: HostileServer, tmp_path: Path) -> None:
    report, samples = by.burst(hostile.url, tuple(SILENT), tmp_path, SHORT)
    assert outcomes(samples, SILENT) == named(SILENT)
    assert set(report.error_examples) == {ErrorKind.TIMEOUT}


def test_what_never_ends_takes_bounded_memory(
    by: By, locust: LocustProcess, hostile: HostileServer, tmp_path: Path
) -> None:
    if by.driver == "locust":
        by.burst(hostile.url, ["fine"] * len(ENDLESS), tmp_path)
        locust.forget_peak()
        before = locust.peak_bytes()
        _, samples = by.burst(hostile.url, tuple(ENDLESS), tmp_path)
        most = locust.peak_bytes() - before
    else:
        tracemalloc.start()
        try:
            _, samples = by.burst(hostile.url, tuple(ENDLESS), tmp_path)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert outcomes(samples, ENDLESS) == named(ENDLESS)
    assert most < 10 * ANSWER_BYTES, "three bodies of the limit, and some headers"


async def test_the_transport_names_what_was_wrong(hostile: HostileServer) -> None:
    async def one(name: str) -> Exception:
        limits = {"silence": SHORT} | dict.fromkeys(set(SILENT) - {"silence"}, SHORT_AT_THE_END)
        transport = LoadTransport(limits.get(name, PATIENT))
        async with httpx.AsyncClient(transport=transport, base_url=hostile.url) as client:
            with pytest.raises(httpx.TransportError) as found:
                await client.get(f"/{name}")
        async with httpx.AsyncClient(transport=LoadTransport(PATIENT)) as client:
            assert (await client.get(f"{hostile.url}/fine")).json() == {"n": 1}
        return found.value

    async with asyncio.timeout(HANG_S):
        problems = await asyncio.gather(*(one(name) for name in BROKEN))
    for (name, (kind, message)), problem in zip(BROKEN.items(), problems, strict=True):
        assert type(problem) is EXCEPTIONS[kind], name
        assert message in str(problem), name


async def test_a_target_that_never_accepts_is_a_connect_error(by: By, tmp_path: Path) -> None:
    limits = Timeouts(connect_s=0.2, first_byte_s=HANG_S, response_s=HANG_S)
    with never_accepting() as url:
        _, samples = await by.drive(job(url, Burst(2), tmp_path, limits), Asking(["fine"] * 2).flow)
    assert list(samples["error"]) == [ErrorKind.CONNECT] * 2
    assert set(samples["step"]) == {"warm"}
    assert (samples["connected_ns"] == 0).all()
    assert (samples["done_ns"] - samples["sent_ns"] >= 0.19e9).all()


@pytest.mark.parametrize("name", ["reset", "silence", "status-999"])
async def test_a_target_that_fails_from_the_start_is_not_driven(
    name: str, by: By, hostile: HostileServer, tmp_path: Path
) -> None:
    given = job(hostile.url, Burst(2), tmp_path, SHORT if name in SILENT else PATIENT)
    warm = Request("GET", f"/{name}", step="warm")
    report, samples = await by.drive(given, Asking(["fine"] * 2).flow, warm)
    assert report.window_start_ns == report.window_end_ns
    expected = BROKEN[name][0] if name in BROKEN else ErrorKind.WRONG_STATUS
    assert list(samples["error"]) == [expected] * 2
    assert set(samples["step"]) == {"warm"}
    assert set(report.error_examples) == {expected}


async def test_a_body_that_is_answered_before_it_is_read_is_no_error(
    by: By, hostile: HostileServer, tmp_path: Path
) -> None:
    _, samples = await by.drive(job(hostile.url, Burst(2), tmp_path), uploading)
    assert list(samples["error"]) == [""] * 4
    assert sorted(samples["step"]) == ["next", "next", "post", "post"]
    assert (samples[samples["step"] == "next"]["connected_ns"] > 0).all()
