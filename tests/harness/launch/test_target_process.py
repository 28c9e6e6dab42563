"""Real targets: started, awaited, refused, ended."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

from loopmark.harness.errors import UserError
from loopmark.harness.launch.database import Database, open_database
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.target_process import (
    TargetFailedError,
    TargetProcess,
    free_port,
    require_free,
)
from loopmark.harness.watch.target_monitor import TargetMonitor, read_loop_lag


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with reaped() as token, open_database(token, f"targets_{token}") as opened:
        yield opened


def wait_for_an_answer(target: TargetProcess) -> None:
    """Wait until the target answers anything at all."""
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{target.base_url}/ready", trust_env=False, verify=False)
        except httpx.HTTPError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def test_ready_watched_and_stopped(database: Database, tmp_path: Path) -> None:
    target = TargetProcess("async", database.target_environment, tmp_path, "async")
    try:
        target.wait_until_ready()
        monitor = TargetMonitor(target.pid)
        monitor.read()
        first_look_ns = time.monotonic_ns()
        target.wait_until_ready()
        monitor.read()
        first, second = monitor.readings
        assert first.at_ns < first_look_ns < second.at_ns
        assert 0 < first.cpu_ns < second.cpu_ns
        assert first.rss_bytes > 2**20
        assert first.threads >= 1
        process = psutil.Process(target.pid)
    finally:
        target.stop()
    assert not target.is_alive
    assert not process.is_running()
    monitor.read()
    assert len(monitor.readings) == 2, "a process that is gone yields no reading"
    lag = read_loop_lag(target.loop_lag_file, 0, 2**62)
    assert lag
    assert all(at > 0 and late >= 0 for at, late in lag)
    assert read_loop_lag(target.loop_lag_file, 0, 1) == ()
    assert read_loop_lag(tmp_path / "absent", 0, 2**62) == ()


def test_a_pinned_target_stays_on_its_processors(database: Database, tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    cpu = min(before)
    target = TargetProcess("sync", database.target_environment, tmp_path, "sync", cpus=(cpu,))
    try:
        target.wait_until_ready()
        tasks = Path(f"/proc/{target.pid}/task").iterdir()
        assert all(os.sched_getaffinity(int(task.name)) == {cpu} for task in tasks)
    finally:
        target.stop()
    assert os.sched_getaffinity(0) == before


def test_a_target_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    target = TargetProcess("async", {"DATABASE_URL": "mysql://x"}, tmp_path, "broken")
    with pytest.raises(TargetFailedError, match="async ended at its start") as caught:
        target.wait_until_ready()
    assert "DATABASE_URL: expected it to begin with postgresql://" in caught.value.stderr_tail
    assert "[exit code 2]" in caught.value.stderr_tail


def test_a_target_without_its_database_is_not_ready(tmp_path: Path) -> None:
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    target = TargetProcess("async", nowhere, tmp_path, "async")
    try:
        wait_for_an_answer(target)
        with pytest.raises(TargetFailedError, match=r"not ready within 0\.5 s .status 503"):
            target.wait_until_ready(timeout_s=0.5)
    finally:
        target.stop()


def test_an_answer_from_another_process_is_noticed(database: Database, tmp_path: Path) -> None:
    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status":"ready","instance":"of somebody else"}')

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    environment = database.target_environment
    target = TargetProcess("async", environment, tmp_path, "x", port=free_port())
    target.base_url = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(TargetFailedError, match="another process answers at"):
            target.wait_until_ready()
    finally:
        target.stop()
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_end_of_a_killed_target_is_told(database: Database, tmp_path: Path) -> None:
    target = TargetProcess("sync", database.target_environment, tmp_path, "killed")
    try:
        target.wait_until_ready()
        os.kill(target.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while target.is_alive:
            assert time.monotonic() < deadline
        assert target.stderr_tail.endswith("[ended by signal 9]")
    finally:
        target.stop()


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} on 127.0.0.1 cannot be used: Address"):
            require_free(port)
    require_free(free_port())
