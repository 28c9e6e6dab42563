"""The Locust driver with workers, here and elsewhere: real processes, sockets and signals."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import psutil
import pytest

from loopmark.harness import __version__
from loopmark.harness.drivers.process.forked_process import ForkedProcess
from loopmark.harness.drivers.process.job_files import read_report, write_job
from loopmark.harness.drivers.process.job_loop import DONE, ENDED_EARLY, READY
from loopmark.harness.launch.ports import free_port
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.load import FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from tests.hang_limit import HANG_S
from tests.harness.drivers.driving import Server, job, ok, samples_of
from tests.harness.drivers.locust_server import TriedProcess

pytestmark = pytest.mark.anyio

DRIVER = "loopmark.harness.drivers.locust_driver"
WORKER = f"{DRIVER}.workers.worker"
WAIT = "/api/v2/wait?seconds=0.5&on=timer"
ANSWER = ok(b'{"status": "success", "waited_s": 0.5, "on": "timer"}')
LATEST_END_S = 10.0
"""Of a round that lost a worker, after its planned end."""

Process = asyncio.subprocess.Process


def asked(url: str, load: FlowLoad, folder: Path, number: int = 0) -> LoadJob:
    """A round of `wait-timer`; its answers come as late as the server likes."""
    given = replace(job(url, load, folder), scenario="wait-timer", round=number)
    return replace(
        given,
        samples=str(folder / f"samples-{number}.parquet"),
        report=str(folder / f"report-{number}.json"),
    )


@asynccontextmanager
async def server(delay_s: float = 0.02) -> AsyncIterator[tuple[Server, str]]:
    found = Server()
    found.answers[WAIT] = ANSWER
    found.delay_s = delay_s
    async with found.running() as url:
        yield found, url


class Driver:
    """The driver's process, and what it is told."""

    def __init__(self, *arguments: str) -> None:
        self.tried = TriedProcess(DRIVER, *arguments, forks="--listen" not in arguments)
        self.process = self.tried.process

    async def line(self) -> bytes:
        stdout = self.process.stdout
        ready, _, _ = await asyncio.to_thread(select.select, [stdout], [], [], HANG_S)
        assert ready, "it says nothing"
        return stdout.readline()

    def ask(self, given: LoadJob) -> None:
        file = Path(given.report).with_suffix(".job.json")
        write_job(given, file)
        self.process.stdin.write(f"{file}\n".encode())

    async def drive(self, given: LoadJob) -> tuple[DriverReport, pd.DataFrame]:
        self.ask(given)
        assert await self.line() == DONE
        return told(given)

    async def driving(self, given: LoadJob) -> list[psutil.Process]:
        """The workers that it has started, once they drive a job."""
        self.ask(given)
        async with asyncio.timeout(HANG_S):
            while not is_begun(given):
                await asyncio.sleep(0.02)
        return self.workers()

    def workers(self) -> list[psutil.Process]:
        servers = psutil.Process(self.process.pid).children()
        watchers = [watcher for server in servers for watcher in server.children()]
        return [worker for watcher in watchers for worker in watcher.children()]

    async def code(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.to_thread(self.process.wait, HANG_S)

    def close(self) -> None:
        _, _, said = self.tried.ended()
        sys.stderr.write(said.decode())
        end(self.process)  # And its workers with it.


@pytest.fixture(scope="module")
def two() -> Iterator[Driver]:
    """A driver with two workers: to start three processes takes longer than most rounds."""
    found = Driver("--workers", "2")
    assert found.process.stdout.readline() == READY
    yield found
    found.close()


def is_begun(given: LoadJob) -> bool:
    """Whether all workers were there."""
    return Path(given.samples).exists()


def told(given: LoadJob) -> tuple[DriverReport, pd.DataFrame]:
    report = read_report(Path(given.report))
    assert report is not None
    return report, samples_of(given)


@asynccontextmanager
async def driver(*arguments: str) -> AsyncIterator[Driver]:
    found = Driver(*arguments)
    try:
        yield found
    finally:
        await asyncio.to_thread(found.close)


def worker(port: int, *arguments: str) -> tuple[ForkedProcess, asyncio.Task[str]]:
    """A worker for a master on this port, and what it says to the end."""
    tried = TriedProcess(WORKER, "--master", "127.0.0.1", "--port", str(port), *arguments)

    async def words() -> str:
        _, _, said = await asyncio.to_thread(tried.ended)
        return said.decode()

    return tried.process, asyncio.create_task(words())


async def worker_of(
    port: int, *before: str, program: tuple[str, ...] = ("-m", WORKER)
) -> tuple[Process, asyncio.Task[str]]:
    """Another one, of a program of its own."""
    process = await asyncio.create_subprocess_exec(
        *(*before, sys.executable, *program, "--master", "127.0.0.1", "--port", str(port)),
        stderr=asyncio.subprocess.PIPE,
    )

    async def words() -> str:
        assert process.stderr is not None
        try:
            said = await asyncio.wait_for(process.stderr.read(), HANG_S)
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
        return said.decode()

    return process, asyncio.create_task(words())


# ---- workers that the driver starts ----


async def test_workers_share_every_load_and_no_sample_is_lost_or_doubled(
    two: Driver, tmp_path: Path
) -> None:
    async with server() as (found, url):
        closed = Closed(users=9, duration_s=0.8, warmup_s=0.2)
        report, samples = await two.drive(asked(url, closed, tmp_path))
        assert len(samples) == report.requests == found.requests[WAIT]
        assert set(samples["user"]) == set(range(9))
        assert found.tokens == {f"token-{n}" for n in range(9)}
        assert set(samples["error"]) == {""}
        assert sorted(one.samples for one in report.workers) != [0, len(samples)]
        assert sum(one.samples for one in report.workers) == len(samples)
        assert {one.clock for one in report.workers} == {"shared"}
        assert not any(one.lost for one in report.workers)
        assert report.window_end_ns - report.window_start_ns == 800_000_000
        # One request at a time for each user: none was given to both workers.
        for _, own in samples.sort_values("sent_ns").groupby("user"):
            assert (own["sent_ns"].to_numpy()[1:] >= own["done_ns"].to_numpy()[:-1]).all()

        before = found.requests[WAIT]
        report, samples = await two.drive(asked(url, Burst(7), tmp_path, 1))
        assert found.requests[WAIT] - before == len(samples) == 7
        assert set(samples["due_ns"]) == {report.window_start_ns}
        assert samples["done_ns"].max() == report.window_end_ns

        arriving = Open(rate=100.0, duration_s=0.6, warmup_s=0.1)
        report, samples = await two.drive(asked(url, arriving, tmp_path, 2))
        assert len(samples) == 70
        due = samples["due_ns"].sort_values().diff().dropna()
        assert due.between(9_999_000, 10_001_000).all(), "one schedule, shared"
        assert report.unsent == 0


async def test_more_workers_than_users_leave_some_without_work(two: Driver, tmp_path: Path) -> None:
    async with server() as (found, url):
        report, samples = await two.drive(asked(url, Burst(1), tmp_path))
        assert found.requests[WAIT] == len(samples) == 1
        assert len(report.workers) == 1


async def test_a_killed_worker_costs_its_share_and_the_next_round_has_another(
    two: Driver, tmp_path: Path
) -> None:
    async with server() as (_, url):
        load = Closed(users=6, duration_s=2.0, warmup_s=0.1)
        given = asked(url, load, tmp_path)
        victim, _ = await two.driving(given)
        await asyncio.sleep(1.5)
        victim.kill()
        begun = time.monotonic()
        assert await two.line() == DONE
        assert time.monotonic() - begun < load.planned_s + LATEST_END_S
        report, samples = told(given)
        lost = [one for one in report.workers if one.lost]
        assert [one.lost for one in lost] == ["ended by signal 9"]
        names = {f"{socket.gethostname()}/{number}" for number in (1, 2)}
        assert {one.name for one in report.workers} == names
        assert lost[0].samples > 0, "what it had delivered is kept"
        assert sum(one.samples for one in report.workers) == len(samples) == report.requests
        assert samples["user"].nunique() == 6

        report, samples = await two.drive(asked(url, Burst(4), tmp_path, 1))
        assert [one.lost for one in report.workers] == ["", ""]
        assert {one.name for one in report.workers} == names, "the next has its name"
        assert len(samples) == 4


async def test_a_round_that_loses_all_its_workers_keeps_what_they_delivered(
    two: Driver, tmp_path: Path
) -> None:
    async with server() as (_, url):
        given = asked(url, Closed(users=4, duration_s=30.0, warmup_s=0.0), tmp_path)
        workers = await two.driving(given)
        await asyncio.sleep(1.5)
        for one in workers:
            one.kill()
        assert await two.line() == DONE, "nobody waits for nobody"
        report, samples = told(given)
        assert all(one.lost for one in report.workers)
        assert len(samples) == report.requests > 0
        assert report.window_end_ns > report.window_start_ns


async def test_a_worker_that_falls_silent_is_given_up(two: Driver, tmp_path: Path) -> None:
    async with server() as (_, url):
        given = asked(url, Closed(users=4, duration_s=1.5, warmup_s=0.0), tmp_path)
        victim = (await two.driving(given))[1]
        await asyncio.sleep(1.0)
        victim.suspend()
        begun = time.monotonic()
        assert await two.line() == DONE
        assert time.monotonic() - begun < 1.5 + LATEST_END_S
        report, _ = told(given)
        assert [one.lost for one in report.workers if one.lost] == ["nothing heard from it"]
        assert not victim.is_running(), "it must not wake up in another round"


async def test_ended_in_the_midst_the_samples_of_all_workers_are_kept(tmp_path: Path) -> None:
    async with server(delay_s=0.1) as (_, url), driver("--workers", "2") as two:
        assert await two.line() == READY
        given = asked(url, Closed(users=6, duration_s=30.0, warmup_s=0.0), tmp_path)
        await two.driving(given)
        await asyncio.sleep(1.5)
        two.process.terminate()
        assert await two.code() == ENDED_EARLY
        samples = samples_of(given)
        assert samples["user"].nunique() == 6
        assert (samples["error"] == "abandoned").sum() == 6
        assert (samples["error"] == "").sum() > 6


async def test_a_target_that_refuses_is_not_driven(two: Driver, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    report, samples = await two.drive(asked(url, Burst(4), tmp_path))
    assert report.window_end_ns == report.window_start_ns
    assert set(samples["error"]) == {"connect"}
    assert set(samples["step"]) == {"warm"}
    assert report.error_examples["connect"]


# ---- workers that come from elsewhere ----


async def test_workers_come_from_elsewhere_and_leave_with_the_master(tmp_path: Path) -> None:
    port = free_port()
    listening = ("--workers", "2", "--listen", f"127.0.0.1:{port}")
    one, one_words = worker(port)  # Before there is a master: it waits.
    async with server() as (found, url), driver(*listening) as two:
        other, other_words = worker(port)
        assert await two.line() == READY
        report, samples = await two.drive(asked(url, Burst(6), tmp_path))
        assert len(samples) == found.requests[WAIT] == 6
        names = {f"{socket.gethostname()}/{process.pid}" for process in (one, other)}
        assert {worker.name for worker in report.workers} == names
    for process, words in ((one, one_words), (other, other_words)):
        assert "the run is done" in await words
        assert process.returncode == 0


async def test_a_worker_that_is_told_to_end_delivers_and_is_missed(tmp_path: Path) -> None:
    port = free_port()
    async with (
        server() as (_, url),
        driver("--workers", "2", "--listen", f"127.0.0.1:{port}") as two,
    ):
        (leaver, words), (_, others) = [worker(port) for _ in range(2)]
        assert await two.line() == READY
        given = asked(url, Closed(users=4, duration_s=2.0, warmup_s=0.0), tmp_path)
        await two.driving(given)
        await asyncio.sleep(1.2)
        leaver.send_signal(signal.SIGINT)
        assert "left before the run was done" in await words
        assert leaver.returncode == 130
        assert await two.line() == DONE
        report, samples = told(given)
        (lost,) = (one for one in report.workers if one.lost)
        assert str(leaver.pid) in lost.name
        assert lost.samples > 0
        assert (samples["error"] == "abandoned").sum() == 2, "its two users, in flight"

        # The next round is driven by who is left.
        report, samples = await two.drive(asked(url, Burst(4), tmp_path, 1))
        assert len(report.workers) == 1
        assert len(samples) == 4
    await others


def in_another_time(ahead_s: int) -> tuple[str, ...]:
    """Before a command: its CLOCK_MONOTONIC is so many seconds ahead."""
    unshare = shutil.which("unshare")
    if unshare is None or os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI runs as root, with util-linux"
        pytest.skip("a time namespace needs root, and unshare of util-linux")
    return unshare, "--time", "--monotonic", str(ahead_s)


async def test_another_clock_is_aligned(tmp_path: Path) -> None:
    port = free_port()
    async with (
        server() as (_, url),
        driver("--workers", "2", "--listen", f"127.0.0.1:{port}") as two,
    ):
        _, words = await worker_of(port, *in_another_time(5000))
        _, others = worker(port)
        assert await two.line() == READY
        begun_ns = time.monotonic_ns()
        load = Closed(users=4, duration_s=0.5, warmup_s=0.1)
        report, samples = await two.drive(asked(url, load, tmp_path))
        by_clock = {one.clock: one for one in report.workers}
        assert set(by_clock) == {"shared", "aligned"}
        aligned = by_clock["aligned"]
        assert aligned.offset_ms is not None
        assert aligned.uncertainty_ms is not None
        assert abs(aligned.offset_ms - 5e6) <= aligned.uncertainty_ms
        assert samples["user"].nunique() == 4
        for name in ("due_ns", "sent_ns", "done_ns"):
            assert samples[name].between(begun_ns, time.monotonic_ns()).all()
        assert (samples["connected_ns"] == 0).all(), "what did not happen is not moved"
        window_ms = (report.window_end_ns - report.window_start_ns) / 1e6
        assert abs(window_ms - 500) <= 2 * aligned.uncertainty_ms
    await asyncio.gather(words, others)


# ---- who is refused, and what is told ----


async def test_another_version_is_refused_with_both() -> None:
    port = free_port()
    older = (
        "import runpy, loopmark.harness\n"
        "loopmark.harness.__version__ = '0.0.9'\n"
        f"runpy.run_module({WORKER!r}, run_name='__main__', alter_sys=True)\n"
    )
    async with driver("--workers", "1", "--listen", f"127.0.0.1:{port}") as one:
        process, words = await worker_of(port, program=("-c", older))
        said = await words
        assert process.returncode == 2
        assert f"the master runs Loopmark {__version__} with Locust " in said
        assert "this worker Loopmark 0.0.9 with Locust " in said
        _, words = worker(port)
        assert await one.line() == READY, "the right version is still welcome"
        one.process.terminate()
        await words


async def test_a_worker_too_many_is_told_so() -> None:
    port = free_port()
    async with driver("--workers", "1", "--listen", f"127.0.0.1:{port}") as one:
        _, first = worker(port)
        assert await one.line() == READY
        late, words = worker(port)
        assert "it has all of its 1 workers" in await words
        assert late.returncode == 2
    await first


async def test_workers_without_a_master_say_why_and_end_in_time(tmp_path: Path) -> None:
    """All of them wait for some seconds, so they wait together."""
    left, plain = free_port(), free_port()
    locustfile = tmp_path / "locustfile.py"
    locustfile.write_text("from locust import User\nclass U(User): pass\n")
    master = TriedProcess(
        *("locust", "-f", str(locustfile), "--master", "--headless", "--expect-workers", "9"),
        *("--master-bind-host", "127.0.0.1", "--master-bind-port", str(plain)),
    )
    try:
        async with (
            driver("--workers", "1", "--listen", f"127.0.0.1:{left}") as killed,
            server() as (_, url),
        ):
            left_alone = worker(left, "--silence", "2")
            assert await killed.line() == READY
            killed.process.kill()
            await killed.code()
            async with asyncio.timeout(HANG_S):
                while not _listens(plain):
                    await asyncio.sleep(0.05)
            ports = (free_port(), int(url.rpartition(":")[2]), plain)
            lonely = [left_alone, *(worker(port, "--patience", "3") for port in ports)]
            begun = time.monotonic()
            said = await asyncio.gather(*(words for _, words in lonely))
            assert time.monotonic() - begun < LATEST_END_S + HANG_S, "and what starting took"
    finally:
        master.process.kill()
        await asyncio.to_thread(master.ended)
    assert [process.returncode for process, _ in lonely] == [1, 2, 2, 2]
    assert "the master stopped responding; leaving" in said[0]
    assert "no run to work for: Connection refused" in said[1]
    assert "the server there is not a Locust master" in said[2]
    assert "it is a Locust master, but not of Loopmark" in said[3]


def _listens(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


async def test_a_taken_address_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        log = tmp_path / "log"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", DRIVER, "--workers", "1"),
                *("--listen", f"127.0.0.1:{taken.getsockname()[1]}"),
                stderr=stderr,
            )
            assert await asyncio.wait_for(process.wait(), HANG_S) == 1
    assert "Address already in use" in log.read_text()


async def test_a_flow_that_fails_ends_the_driver_by_name(tmp_path: Path) -> None:
    port = free_port()
    failing = (
        "import runpy, loopmark.harness.drivers.locust_driver\n"
        "from dataclasses import replace\n"
        "from loopmark.scenarios.catalog import SCENARIOS\n"
        "def flow(user):\n"
        "    raise RuntimeError('no such luck')\n"
        "    yield\n"
        "SCENARIOS['wait-timer'] = replace(SCENARIOS['wait-timer'], flow=flow)\n"
        f"runpy.run_module({WORKER!r}, run_name='__main__', alter_sys=True)\n"
    )
    async with (
        server() as (_, url),
        driver("--workers", "1", "--listen", f"127.0.0.1:{port}") as one,
    ):
        _, words = await worker_of(port, program=("-c", failing))
        assert await one.line() == READY
        one.ask(asked(url, Burst(4), tmp_path))
        assert await one.line() == b"", "it has ended"
        assert await one.code() != 0
    assert "RuntimeError: no such luck" in await words
