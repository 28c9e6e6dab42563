"""What is the Locust driver's own: its process, its signals, and its rounds one after the other."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.load import FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ErrorKind
from tests.hang_limit import HANG_S
from tests.harness.drivers.conftest import Certificate
from tests.harness.drivers.driving import WARM, Server, job, samples_of, scenario
from tests.harness.drivers.http.test_transport import always_ok, served
from tests.harness.drivers.locust_process import DriverEndedError, LocustProcess
from tests.harness.drivers.locust_server import ROOT, started_server
from tests.harness.drivers.tried_flows import faulty, one_step, two_steps

pytestmark = pytest.mark.anyio


@pytest.fixture
def own() -> Iterator[LocustProcess]:
    """A process for a test that ends it."""
    with LocustProcess().running() as process:
        yield process


async def test_one_process_drives_rounds_one_after_the_other(
    locust: LocustProcess, tmp_path: Path
) -> None:
    """Of other sizes and timeouts, each with connections of its own."""
    for users in (3, 1, 5):
        server = Server()
        async with server.running() as url:
            _, samples = await locust.drive_beside(
                job(url, Burst(users), tmp_path), scenario(two_steps)
            )
        assert server.connections == users
        assert sorted(samples["user"]) == sorted(2 * list(range(users)))
        assert set(samples["error"]) == {""}


async def test_a_target_behind_tls_is_driven(
    certificate: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.chain, certificate.key)
    load = Closed(users=3, duration_s=0.2, warmup_s=0.0)
    server = started_server()
    with LocustProcess(server=server).running() as own:
        async with served(always_ok, context) as url:
            _, samples = await own.drive_beside(job(url, load, tmp_path), scenario(one_step))
    server.stop()
    assert len(samples) > 10
    assert set(samples["error"]) == {""}
    assert set(samples["connected_ns"]) == {0}, "the warmed connections are kept"


async def test_what_a_flow_raises_ends_the_process_and_is_told(
    own: LocustProcess, tmp_path: Path
) -> None:
    async with Server().running() as url:
        given = job(url, Closed(2, 60.0, warmup_s=0.0), tmp_path)
        with pytest.raises(DriverEndedError) as ended:
            await own.drive_beside(given, scenario(faulty))
    assert str(ended.value).endswith("ZeroDivisionError: a fault of the flow\n")
    assert str(ended.value).count("Traceback") == 1
    samples = samples_of(given)
    assert set(samples["error"]) <= {ErrorKind.ABANDONED}, "of the user that had not got that far"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
async def test_a_full_disk_ends_the_process_and_is_told(own: LocustProcess, tmp_path: Path) -> None:
    (tmp_path / "samples.parquet").symlink_to("/dev/full")
    async with Server().running() as url:
        given = job(url, Closed(2, 0.2, warmup_s=0.0), tmp_path)
        with pytest.raises(DriverEndedError, match="No space left on device"):
            await own.drive_beside(given, scenario(one_step))


@pytest.mark.parametrize(
    "load",
    [
        Burst(4),
        Closed(users=4, duration_s=60.0, warmup_s=0.0),
        Open(rate=50, duration_s=60.0, warmup_s=0.0, max_in_flight=4),
    ],
    ids=lambda load: load.model,
)
async def test_sigterm_ends_a_round_and_keeps_its_samples(
    load: FlowLoad, own: LocustProcess, tmp_path: Path
) -> None:
    server = Server()
    server.answers["/second"] = b""
    async with server.running() as url, asyncio.timeout(HANG_S):
        given = job(url, load, tmp_path)
        own.begin(given, scenario(two_steps))
        while server.requests["/second"] < 4:
            await asyncio.sleep(0.01)
        ended = await asyncio.to_thread(own.signal_end)
    assert ended == (3, b"", b"")
    samples = samples_of(given)
    under_way = samples[samples["error"] == ErrorKind.ABANDONED]
    assert list(under_way["step"]) == ["second"] * 4
    assert (under_way["done_ns"] > under_way["sent_ns"]).all()
    assert set(samples["error"]) <= {"", ErrorKind.ABANDONED, ErrorKind.REFUSED}
    assert (samples["error"] == "").sum() == server.requests["/first"] == 4


async def test_sigterm_while_warming_up_keeps_what_was_under_way(
    own: LocustProcess, tmp_path: Path
) -> None:
    server = Server()
    server.answers[WARM.path] = b""
    async with server.running() as url, asyncio.timeout(HANG_S):
        given = job(url, Burst(3), tmp_path)
        own.begin(given, scenario(one_step))
        while server.requests[WARM.path] < 3:
            await asyncio.sleep(0.01)
        ended = await asyncio.to_thread(own.signal_end)
    assert ended == (3, b"", b"")
    samples = samples_of(given)
    assert list(samples["error"]) == [ErrorKind.ABANDONED] * 3
    assert set(samples["step"]) == {"warm"}


async def test_sigterm_between_rounds_ends_the_process(own: LocustProcess, tmp_path: Path) -> None:
    async with Server().running() as url:
        await own.drive_beside(job(url, Burst(1), tmp_path), scenario(one_step))
        assert await asyncio.to_thread(own.signal_end) == (0, b"", b"")


async def test_a_silent_warm_up_is_given_up(locust: LocustProcess, tmp_path: Path) -> None:
    server = Server()
    server.answers[WARM.path] = b""
    limits = Timeouts(connect_s=1.0, first_byte_s=5.0, response_s=0.2)
    async with server.running() as url:
        given = job(url, Burst(2), tmp_path, limits)
        report, samples = await locust.drive_beside(given, scenario(one_step))
    assert list(samples["error"]) == [ErrorKind.TIMEOUT] * 2
    assert report.error_examples[ErrorKind.TIMEOUT] == ("no complete answer within 0.2 s",)


PARTS = """
import loopmark.harness.drivers.locust_driver
import errno, os, socket, ssl, time, zlib
import gevent, requests
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from urllib3.exceptions import InvalidHeader, ProtocolError
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import ConnectionError, RetriesExceeded
from locust.exception import CatchResponseError, ResponseError
from loopmark.harness.drivers.locust_driver.locustfile.failures import kind_of, told
from loopmark.harness.drivers.locust_driver.gevent_loop import GeventLoop
from loopmark.harness.drivers.locust_driver.native_thread import NativeThread
from loopmark.harness.drivers.pacing.precise_timer import Calendar, PreciseTimer

# What kind of error an exception is.
refused = OSError(errno.ECONNREFUSED, "refused")
for problem, status, kind in [
    (TimeoutError("timed out"), 0, "timeout"),
    (requests.ConnectTimeout(), 0, "timeout"),
    (RetriesExceeded("http://a", 0, original=TimeoutError()), 0, "timeout"),
    (ConnectionRefusedError(), 0, "connect"),
    (requests.ConnectionError(refused), 0, "connect"),
    (socket.gaierror("unknown"), 0, "connect"),
    (HTTPConnectionClosed("closed"), 0, "reset"),
    (ConnectionResetError(), 0, "reset"),
    (OSError(errno.EPIPE, "pipe"), 0, "reset"),
    (HTTPParseError("not HTTP"), 0, "protocol"),
    (zlib.error("torn"), 200, "protocol"),
    (requests.ConnectionError(ProtocolError("aborted", BadStatusLine("no HTTP"))), 0, "protocol"),
    (requests.ConnectionError(ProtocolError("aborted", RemoteDisconnected("bye"))), 0, "reset"),
    (requests.exceptions.ChunkedEncodingError(ProtocolError("", IncompleteRead(b""))), 0, "reset"),
    (requests.exceptions.InvalidHeader(InvalidHeader("two lengths")), 0, "protocol"),
    (ssl.SSLError("alert"), 0, "protocol"),
    (ResponseError("not what was asked"), 200, "wrong-answer"),
    (CatchResponseError("not what was asked"), 500, "server-error"),
    (AssertionError("1 is not 2"), 200, "wrong-answer"),
    (ConnectionError("http://a", code=404), 404, "wrong-status"),
    (ConnectionError("http://a", code=503), 503, "server-error"),
    (KeyError("a client's own"), 0, "failed"),
]:
    found = kind_of(problem, status)
    assert found == kind, (problem, status, found)
assert told(ValueError("two\\n lines")) == "ValueError: two lines"
assert told(ValueError()) == "ValueError: ValueError"

# The hub as an event loop.
problems, calls = [], []
loop = GeventLoop(problems.append)
loop.call_later(0.02, lambda: calls.append("later"))
loop.call_later(0.01, lambda: calls.append("never")).cancel()
loop.call_soon(lambda: calls.append("soon"))
loop.call_soon(lambda: 1 / 0)
one, other = socket.socketpair()
loop.add_reader(one.fileno(), lambda: (calls.append("read"), loop.remove_reader(one.fileno())))
gevent.sleep(0.005)
other.send(b"x")
gevent.sleep(0.05)
assert (calls[0], sorted(calls)) == ("soon", ["later", "read", "soon"]), calls
assert [type(one) for one in problems] == [ZeroDivisionError], problems

# Its precise timer, which the hub's own milliseconds do not round.
late_ns = []
calendar = Calendar(loop)
start_ns = time.monotonic_ns()
for number in range(50):
    due_ns = start_ns + 5_000_000 + number * 1_300_000
    calendar.at(due_ns, lambda due_ns=due_ns: late_ns.append(time.monotonic_ns() - due_ns))
while len(late_ns) < 50:
    gevent.sleep(0.01)
calendar.close()
assert min(late_ns) >= 0, late_ns

# A native thread beside the greenlets.
def fails():
    raise OSError("no space")

thread = NativeThread()
waits_for, go_on = os.pipe()
done = [thread.submit(os.read, waits_for, 1), thread.submit(pow, 2, 5), thread.submit(fails)]
for _ in range(3):
    gevent.sleep(0.001)
assert not any(one.done() for one in done), "greenlets go on meanwhile"
os.write(go_on, b"x")
while not done[2].done():
    gevent.sleep(0.001)
assert done[1].result() == 32
assert isinstance(done[2].exception(), OSError)
last = thread.submit(pow, 2, 6)
thread.shutdown()
assert last.done() and last.result() == 64, "what was asked for is done at the end"
print("done")
"""


def test_parts_that_need_gevent() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARTS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("done\n", "")
