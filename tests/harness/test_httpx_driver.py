"""The driver against a small server in the same process: loads, windows, samples, errors."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from harness.drivers import httpx_driver
from harness.drivers.job_files import read_job, read_report, write_job, write_report
from harness.drivers.samples import SAMPLE_SCHEMA, SampleFile
from harness.vocabulary.flow import Request, Response, VirtualUser, check
from harness.vocabulary.job import SAMPLE_COLUMNS, DriverReport, LoadJob
from harness.vocabulary.load import Burst, Closed, Load
from harness.vocabulary.scenario import Scenario

pytestmark = pytest.mark.anyio

Steps = Generator[Request, Response, None]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def two_steps(_user: VirtualUser) -> Steps:
    response = yield Request("GET", "/first", step="first")
    check(response.json()["n"] == 1, "n is not 1")
    yield Request("GET", "/second", step="second")


class Server:
    """Answers `{"n": 1}`, or what `answers` says for a path; counts requests and tokens."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.tokens: set[str] = set()
        self.answers: dict[str, bytes] = {}
        self.in_flight = self.most_in_flight = 0
        self.delay_s = 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                self.requests[path] += 1
                token = head.lower().partition(b"authorization: bearer ")[2].split(b"\r\n")[0]
                self.tokens.add(token.decode())
                self.in_flight += 1
                self.most_in_flight = max(self.in_flight, self.most_in_flight)
                await asyncio.sleep(self.delay_s)
                self.in_flight -= 1
                writer.write(self.answers.get(path, ok(b'{"n": 1}')))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def ok(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


SCENARIO = Scenario(
    name="two-steps",
    title="t",
    description="d",
    flow=two_steps,
    warm=Request("GET", "/warm", step="warm"),
)


def job(url: str, load: Load, folder: Path) -> LoadJob:
    return LoadJob(
        scenario=SCENARIO.name,
        load=load,
        round=4,
        seed=1,
        base_url=url,
        tokens=tuple(f"token-{n}" for n in range(load.concurrency)),
        samples=str(folder / "samples.parquet"),
        report=str(folder / "report.json"),
        request_timeout_s=5.0,
    )


async def driven(server: Server, load: Load, folder: Path) -> tuple[DriverReport, pd.DataFrame]:
    async with server.running() as url:
        given = job(url, load, folder)
        report = await httpx_driver.drive(given, SCENARIO)
    return report, pq.read_table(given.samples).to_pandas()


async def test_a_burst_sends_every_flow_once_from_one_due_moment(tmp_path: Path) -> None:
    server = Server()
    server.delay_s = 0.02
    report, samples = await driven(server, Burst(50), tmp_path)
    assert server.requests == {"/warm": 50, "/first": 50, "/second": 50}
    assert len(server.tokens) == 50
    assert server.most_in_flight == 50
    assert report.requests == len(samples) == 100
    assert tuple(samples.columns) == SAMPLE_COLUMNS
    assert set(samples["round"]) == {4}
    assert (samples["error"] == "").all()
    assert (samples["bytes"] == 8).all()
    first = samples[samples["step"] == "first"]
    assert set(first["due_ns"]) == {report.window_start_ns}
    assert sorted(first["user"]) == list(range(50))
    assert (samples["due_ns"] <= samples["sent_ns"]).all()
    assert (samples["sent_ns"] < samples["first_byte_ns"]).all()
    assert (samples["first_byte_ns"] <= samples["done_ns"]).all()
    assert report.window_end_ns == samples["done_ns"].max()
    assert report.cpu_s > 0


async def test_a_closed_load_keeps_every_user_busy_until_the_window_ends(tmp_path: Path) -> None:
    server = Server()
    server.delay_s = 0.005
    load = Closed(users=8, duration_s=0.3, warmup_s=0.1)
    report, samples = await driven(server, load, tmp_path)
    assert server.most_in_flight == 8
    assert report.window_end_ns - report.window_start_ns == pytest.approx(0.3e9, rel=0.2)
    # A user looks at the clock before it sends: one request each may slip through.
    assert (samples["sent_ns"] >= report.window_end_ns).sum() <= 8, "the window's end ends it"
    assert samples["done_ns"].min() < report.window_start_ns, "the warm-up is recorded too"
    answered = server.requests["/first"] + server.requests["/second"]
    assert len(samples) == answered, "no request is left without its sample"
    per_user = samples.sort_values("sent_ns").groupby("user")
    for _, rows in per_user:
        assert (rows["sent_ns"].to_numpy()[1:] >= rows["done_ns"].to_numpy()[:-1]).all()


@pytest.mark.parametrize(
    ("answer", "kind", "example"),
    [
        (ok(b'{"n": 2}'), "wrong-answer", "n is not 1"),
        (ok(b"{}"), "wrong-answer", "unusable body"),
        (ok(b"not json"), "wrong-answer", "unusable body"),
        (ok(b"{}", b"404 Not Found"), "wrong-status", "answered 404, expected 200"),
        (ok(b"{}", b"503 Busy"), "server-error", "answered 503"),
        (b"220 hello\r\n\r\n", "protocol", "not HTTP"),
    ],
)
async def test_an_error_is_a_row_and_ends_its_flow(
    answer: bytes, kind: str, example: str, tmp_path: Path
) -> None:
    server = Server()
    server.answers["/first"] = answer
    report, samples = await driven(server, Burst(5), tmp_path)
    assert list(samples["error"]) == [kind] * 5
    assert server.requests["/second"] == 0
    assert example in report.error_examples[kind][0]
    assert (samples["done_ns"] >= samples["sent_ns"]).all()


async def test_a_request_without_answer_is_a_timeout(tmp_path: Path) -> None:
    server = Server()
    server.answers["/second"] = b""
    async with server.running() as url:
        given = replace(job(url, Burst(3), tmp_path), request_timeout_s=0.1)
        await httpx_driver.drive(given, SCENARIO)
    samples = pq.read_table(given.samples).to_pandas()
    assert Counter(samples["error"]) == {"": 3, "timeout": 3}
    late = samples[samples["error"] == "timeout"]
    assert (late["first_byte_ns"] == 0).all()
    assert (late["done_ns"] - late["sent_ns"] > 0.09e9).all()


async def test_a_target_that_fails_at_the_warm_up_is_not_driven(tmp_path: Path) -> None:
    server = Server()
    server.answers["/warm"] = ok(b"{}", b"500 Oops")
    report, samples = await driven(server, Burst(5), tmp_path)
    assert report.window_start_ns == report.window_end_ns
    assert set(samples["step"]) == {"warm"}
    assert set(samples["error"]) == {"server-error"}
    assert "answered 500" in report.error_examples["server-error"][0]
    assert server.requests["/first"] == 0


async def test_a_cancelled_drive_keeps_its_samples(tmp_path: Path) -> None:
    server = Server()
    async with server.running() as url:
        given = job(url, Closed(users=4, duration_s=60.0), tmp_path)
        task = asyncio.create_task(httpx_driver.drive(given, SCENARIO))
        while server.requests["/second"] < 20:
            await asyncio.sleep(0.01)
        server.delay_s = 60.0
        while server.in_flight < 4:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    samples = pq.read_table(given.samples).to_pandas()
    assert Counter(samples["error"])["abandoned"] == 4
    assert len(samples) == server.requests["/first"] + server.requests["/second"]


def test_jobs_and_reports_survive_the_way_through_a_file(tmp_path: Path) -> None:
    given = job("http://127.0.0.1:1", Closed(users=2, duration_s=1.0), tmp_path)
    write_job(given, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == given
    report = DriverReport(1, 2, 3, 0.5, 1.0, 2.0, {"timeout": ("a", "b")})
    assert read_report(tmp_path / "report.json") is None
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report


def test_samples_are_written_in_row_groups_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "samples.parquet"
    with SampleFile(path, round_number=2, rows_per_group=100) as samples:
        for n in range(250):
            samples.append(
                user=n,
                step="even" if n % 2 == 0 else "odd",
                due_ns=2**62 + n,
                sent_ns=1,
                first_byte_ns=2,
                done_ns=3,
                status=200,
                body_bytes=2**40,
                error="" if n else "reset",
            )
    stored = pq.ParquetFile(path)
    assert [stored.metadata.row_group(i).num_rows for i in range(3)] == [100, 100, 50]
    assert stored.schema_arrow.equals(SAMPLE_SCHEMA)
    frame = stored.read().to_pandas()
    assert list(frame["due_ns"]) == [2**62 + n for n in range(250)]
    assert list(frame["step"][:3]) == ["even", "odd", "even"]
    assert list(frame["error"][:2]) == ["reset", ""]
    assert set(frame["bytes"]) == {2**40}
