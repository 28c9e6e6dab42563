"""A driver as a whole: errors in their rows, TLS, signals, and files that come and go.

What all drivers must do alike is tried with all; the rest is of those that run in this process.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import httpx
import pytest

from loopmark.harness.drivers.http.encoding import Encoder
from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.drivers.pacing.user import Account
from loopmark.harness.drivers.process.job_files import (
    read_job,
    read_report,
    write_job,
    write_report,
)
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.drivers.users.flow_user import FlowUser
from loopmark.harness.vocabulary.flow import ClientJourney, Flow, Request, VirtualUser
from loopmark.harness.vocabulary.job import DriverReport, Timeouts
from loopmark.harness.vocabulary.load import FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp
from loopmark.harness.vocabulary.loads.arriving import Steps as StepsLoad
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ErrorKind
from tests.hang_limit import HANG_S
from tests.harness.drivers.conftest import Certificate
from tests.harness.drivers.driving import (
    PATIENT,
    Drive,
    Server,
    Steps,
    drive,
    drive_by_httpx,
    driven,
    job,
    ok,
    samples_of,
    scenario,
)
from tests.harness.drivers.http.test_transport import always_ok, served
from tests.harness.drivers.locust_process import LocustProcess
from tests.harness.drivers.tried_flows import (
    choosing,
    compressed,
    not_following,
    one_step,
    posting,
    two_steps,
)

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]


async def journey(client: httpx.AsyncClient, _user: VirtualUser) -> None:
    await client.get("/only")


@pytest.mark.parametrize(
    ("answer", "kind", "example"),
    [
        (ok(b'{"n": 2}'), "wrong-answer", "n is not 1"),
        (ok(b"{}"), "wrong-answer", "unusable body"),
        (ok(b"not json"), "wrong-answer", "unusable body"),
        (ok(b"{}", "404 Not Found"), "wrong-status", "answered 404, expected 200"),
        (ok(b"{}", "503 Busy"), "server-error", "answered 503"),
        (b"220 hello\r\n\r\n", "protocol", "not HTTP"),
    ],
)
async def test_an_error_is_a_row_and_ends_its_flow(
    answer: bytes, kind: str, example: str, by: Drive, tmp_path: Path
) -> None:
    server = Server()
    server.answers["/first"] = answer
    report, samples = await driven(server, two_steps, Burst(5), tmp_path, by=by)
    assert list(samples["error"]) == [kind] * 5
    assert server.requests["/second"] == 0
    assert example in report.error_examples[kind][0]
    assert (samples["done_ns"] >= samples["sent_ns"]).all()


async def test_a_request_without_answer_is_a_timeout(by: Drive, tmp_path: Path) -> None:
    server = Server()
    server.answers["/second"] = b""
    limits = Timeouts(connect_s=1.0, first_byte_s=0.1, response_s=1.0)
    report, samples = await driven(server, two_steps, Burst(3), tmp_path, limits, by)
    assert Counter(samples["error"]) == {"": 3, "timeout": 3}
    late = samples[samples["error"] == "timeout"]
    assert (late["first_byte_ns"] == 0).all()
    assert (late["done_ns"] - late["sent_ns"] >= 0.1e9).all()
    assert report.error_examples["timeout"] == ("no first byte within 0.1 s",)


async def test_a_target_that_fails_at_the_warm_up_is_not_driven(by: Drive, tmp_path: Path) -> None:
    server = Server()
    server.answers["/warm"] = ok(b"{}", "500 Oops")
    report, samples = await driven(server, two_steps, Burst(5), tmp_path, by=by)
    assert report.window_start_ns == report.window_end_ns
    assert set(samples["step"]) == {"warm"}
    assert set(samples["error"]) == {"server-error"}
    assert "answered 500" in report.error_examples["server-error"][0]
    assert server.requests["/first"] == 0


async def test_the_same_seed_makes_the_same_choices_with_every_driver(
    locust: LocustProcess, tmp_path: Path
) -> None:
    asked = []
    for by in (drive, drive, drive_by_httpx, locust.drive_beside):
        server = Server()
        await driven(server, choosing, Burst(4), tmp_path, by=by)
        asked.append(server.requests)
    assert asked.count(asked[0]) == len(asked)
    assert set(asked[0].values()) == {1, 4}, "each user's own, and the warm-up"


async def test_requests_are_the_same_on_the_wire_with_every_driver(
    locust: LocustProcess, tmp_path: Path
) -> None:
    asked, by_httpx = [], Server()
    for by, server in (
        (drive, Server()),
        (locust.drive_beside, Server()),
        (drive_by_httpx, by_httpx),
    ):
        async with server.running() as url:
            given = job(f"{url}/below/this", Burst(1), tmp_path)
            server.answers = {"/below/this/warm": ok()}
            _, samples = await by(given, scenario(posting))
        assert list(samples["step"]) == ["json", "form", "bytes", "search", "headers"]
        assert set(samples["error"]) == {""}
        port = url.rpartition(":")[2]
        asked.append(([head.replace(port, "PORT") for head in server.heads], server.bodies))
    assert asked[0] == asked[1]
    heads, bodies = asked[1]
    assert [head.split("\r\n")[0] for head in by_httpx.heads] == [
        head.split("\r\n")[0] for head in heads
    ], "httpx has headers of its own beside"
    assert by_httpx.bodies == bodies
    assert heads[4].startswith("GET /below/this/search?q=a+b%26c HTTP/1.1")
    assert bodies[1:4] == [
        json.dumps(
            {"name": "caf\u00e9", "user": 0}, ensure_ascii=False, separators=(",", ":")
        ).encode(),
        b"a=b+c",
        b"\x00\xff",
    ]


async def test_redirects_are_answers_and_not_followed(by: Drive, tmp_path: Path) -> None:
    server = Server()
    server.answers["/moved"] = ok(b"{}", "302 Found", "location: /elsewhere")
    _, samples = await driven(server, not_following, Burst(2), tmp_path, by=by)
    assert (list(samples["error"]), list(samples["status"])) == ([""] * 2, [302] * 2)
    assert server.requests["/elsewhere"] == 0


async def test_a_compressed_answer_is_decompressed_and_counts_as_it_came(
    by: Drive, tmp_path: Path
) -> None:
    body = gzip.compress(b'{"n": 1}')
    server = Server()
    server.answers["/compressed"] = ok(body, "200 OK", "content-encoding: gzip")
    _, samples = await driven(server, compressed, Burst(2), tmp_path, by=by)
    assert (list(samples["error"]), set(samples["bytes"])) == ([""] * 2, {len(body)})


async def test_a_target_on_ipv6_is_driven(by: Drive, tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        assert not os.environ.get("CI"), "::1 must be there where CI is set"
        pytest.skip("no IPv6 on this machine")
    async with served(always_ok, host="::1") as url:
        _, samples = await by(job(url, Burst(2), tmp_path), scenario(one_step))
    assert list(samples["error"]) == [""] * 2


# ---- TLS ----


@pytest.mark.parametrize("flow", [one_step, journey])
async def test_a_target_behind_tls_is_driven(
    flow: Flow | ClientJourney,
    certificate: Certificate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trusted are the authorities of the environment, as everywhere."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    load = Closed(users=3, duration_s=0.2, warmup_s=0.0)
    async with served(always_ok, context) as url:
        _, samples = await drive(job(url, load, tmp_path), scenario(flow))
    assert len(samples) > 10
    assert set(samples["error"]) == {""}
    assert set(samples["connected_ns"]) == {0}, "the warmed connections are kept"


@pytest.mark.parametrize("flow", [one_step, journey])
async def test_a_certificate_that_is_not_trusted_is_a_connect_error(
    flow: Flow | ClientJourney, certificate: Certificate, by: Drive, tmp_path: Path
) -> None:
    by = drive if flow is journey else by
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    async with served(always_ok, context) as url:
        report, samples = await by(job(url, Burst(2), tmp_path), scenario(flow))
    assert list(samples["error"]) == [ErrorKind.CONNECT] * 2
    assert "certificate verify failed" in report.error_examples["connect"][0]


# ---- what breaks the driver itself ----


@pytest.mark.parametrize("answer", [ok(), b""])
async def test_a_disk_that_fails_ends_the_round(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a row was to be written for an answer, or for none that came in time."""

    class DiskFullError(OSError):
        pass

    def add(*_: object) -> None:
        raise DiskFullError

    monkeypatch.setattr(SampleFile, "append", add)
    server = Server()
    server.answers["/only"] = answer
    limits = Timeouts(connect_s=1.0, first_byte_s=0.1, response_s=1.0)
    began = time.monotonic()
    with pytest.raises(DiskFullError):
        await driven(server, one_step, Burst(2), tmp_path, limits)
    assert time.monotonic() - began < HANG_S / 2, "at once, and not when the round was given up"


@pytest.mark.parametrize("error", [OSError, TimeoutError, ConnectionResetError, ZeroDivisionError])
async def test_what_a_flow_raises_ends_the_round(error: type[Exception], tmp_path: Path) -> None:
    """Whatever it is: some of these would be the event loop's to deal with."""

    def flow(_user: VirtualUser) -> Steps:
        yield Request("GET", "/only", step="only")
        raise error("a fault of the flow")

    with pytest.raises(error, match="a fault of the flow"):
        await driven(Server(), flow, Burst(2), tmp_path)


async def test_a_closed_flow_user_begins_nothing(tmp_path: Path) -> None:
    def nothing(_user: VirtualUser) -> Steps:
        yield from ()

    ended: list[object] = []
    with SampleFile(tmp_path / "s.parquet", 0) as samples:
        user = FlowUser(nothing, Origin("127.0.0.1", 1), PATIENT, Recording(samples))
        virtual = VirtualUser(0, "t", Random(1))
        user.prepare(Account(virtual, Encoder("http://a", "t")))
        user.on_end = lambda *how: ended.append(how)
        user.go(1)
        await user.close()
        await asyncio.sleep(0)
    assert ended == []


SIGNALLED = """
import sys
from importlib import import_module
from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.drivers.process.job_loop import run_jobs
from loopmark.harness.vocabulary.flow import Request
from loopmark.harness.vocabulary.scenario import Scenario
from loopmark.scenarios.catalog import SCENARIOS

def flow(user):
    yield Request("GET", "/only", step="only")

async def journey(client, user):
    await client.get("/only")

warm = Request("GET", "/warm", step="warm")
driver, kind = sys.argv[1:]
chosen = {"flow": flow, "journey": journey}[kind]
SCENARIOS["tried"] = Scenario("tried", "t", "d", chosen, warm)
sys.exit(run_jobs(import_module(DRIVERS[driver]).drive_one))
"""


@pytest.mark.parametrize(
    ("driver", "kind", "silent"),
    [("native", "flow", True), ("httpx", "flow", True), ("httpx", "journey", False)],
)
async def test_sigterm_ends_the_process_and_keeps_the_samples(
    driver: str,
    kind: str,
    silent: bool,  # noqa: FBT001 - a parameter
    tmp_path: Path,
) -> None:
    server = Server()
    server.answers["/only"] = b"" if silent else ok()
    async with server.running() as url, asyncio.timeout(HANG_S):
        given = job(url, Closed(4, 60.0, warmup_s=0.0), tmp_path)
        write_job(given, tmp_path / "job.json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SIGNALLED, driver, kind),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert process.stdin is not None
        process.stdin.write(f"{tmp_path / 'job.json'}\n".encode())
        while server.requests["/only"] < (4 if silent else 50):
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        out, problems = await process.communicate()
    assert (process.returncode, out, problems) == (3, b"", b"")
    samples = samples_of(given)
    assert (samples["error"] == ErrorKind.ABANDONED).sum() <= 4
    if silent:
        assert list(samples["error"]) == [ErrorKind.ABANDONED] * 4
    else:
        assert (samples["error"] == "").sum() >= 46


# ---- files ----


@pytest.mark.parametrize(
    "load",
    [
        Burst(2),
        Closed(users=2, duration_s=1.0, think_s=0.5, think="exponential"),
        Open(rate=2.5, duration_s=1.0, arrivals="poisson"),
        StepsLoad(rates=(1.0, 2.0), step_s=1.0),
        Ramp(from_rate=1.0, to_rate=2.0, duration_s=1.0),
    ],
    ids=lambda load: load.model,
)
def test_jobs_survive_the_way_through_a_file(load: FlowLoad, tmp_path: Path) -> None:
    given = job("http://127.0.0.1:1", load, tmp_path)
    write_job(given, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == given


def test_reports_survive_the_way_through_a_file(tmp_path: Path) -> None:
    report = DriverReport(
        window_start_ns=1,
        window_end_ns=2,
        requests=3,
        unsent=4,
        cpu_s=0.5,
        waited_s=None,
        loop_lag_ms_p99=1.0,
        loop_lag_ms_max=2.0,
        error_examples={"timeout": ("a", "b")},
    )
    assert read_report(tmp_path / "report.json") is None
    write_report(report, tmp_path / "report.json")
    assert read_report(tmp_path / "report.json") == report
