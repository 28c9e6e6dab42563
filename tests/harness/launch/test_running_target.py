"""Real targets: started, awaited, refused, ended."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest

from loopmark.harness.commands.plans import catalog_targets
from loopmark.harness.errors import UserError
from loopmark.harness.launch.ports import free_port, require_free
from loopmark.harness.launch.preparation import ignored_settings
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.provision import provision
from loopmark.harness.launch.running_target import RunningTarget, TargetFailedError
from loopmark.harness.launch.target_process import TargetProcess
from loopmark.harness.vocabulary.address import Address
from loopmark.harness.vocabulary.target import Target
from loopmark.harness.watch.target_monitor import TargetMonitor, read_loop_lag

ASYNC, SYNC = (catalog_targets()[name] for name in ("async", "sync"))


@pytest.fixture(scope="module")
def provided(database_url: str) -> Iterator[Mapping[str, str]]:
    with reaped() as token, provision([ASYNC], token, f"targets_{token}") as everything:
        assert everything is not None
        assert database_url.rpartition("?")[2] in everything.environment["DATABASE_URL"]
        yield everything.environment


def process_of(target: RunningTarget) -> TargetProcess:
    assert target.process is not None
    return target.process


def wait_for_an_answer(target: RunningTarget) -> None:
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


def test_ready_watched_and_stopped(provided: Mapping[str, str], tmp_path: Path) -> None:
    target = RunningTarget(ASYNC, tmp_path, "async", provided=provided)
    try:
        target.wait_until_ready()
        monitor = TargetMonitor(process_of(target).pid)
        monitor.read()
        first_look_ns = time.monotonic_ns()
        target.wait_until_ready()
        monitor.read()
        first, second = monitor.readings
        assert first.at_ns < first_look_ns < second.at_ns
        assert 0 < first.cpu_ns < second.cpu_ns
        assert first.rss_bytes > 2**20
        assert first.threads >= 1
        process = psutil.Process(process_of(target).pid)
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


def test_only_the_plan_says_how_one_of_ours_behaves(
    provided: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_THREADS", "1")
    monkeypatch.setenv("OTHERS", "stay")
    chosen = replace(SYNC, name="chosen", environment={"WORKER_THREADS": "7"})
    theirs = Target(name="theirs", command=(sys.executable, "-m", "http.server", "{port}"))
    environments = {}
    for target in (SYNC, chosen, theirs):
        running = RunningTarget(target, tmp_path, target.name, provided=provided)
        try:
            running.wait_until_ready()
            environments[target.name] = psutil.Process(process_of(running).pid).environ()
        finally:
            running.stop()
    threads = {name: told.get("WORKER_THREADS") for name, told in environments.items()}
    assert threads == {"sync": None, "chosen": "7", "theirs": "1"}
    assert {told["OTHERS"] for told in environments.values()} == {"stay"}
    assert ignored_settings([theirs, SYNC]) == ("WORKER_THREADS",)
    assert ignored_settings([theirs]) == ()


def test_a_pinned_target_stays_on_its_processors(
    provided: Mapping[str, str], tmp_path: Path
) -> None:
    before = os.sched_getaffinity(0)
    cpu = min(before)
    target = RunningTarget(SYNC, tmp_path, "sync", provided=provided, cpus=(cpu,))
    try:
        target.wait_until_ready()
        tasks = Path(f"/proc/{process_of(target).pid}/task").iterdir()
        assert all(os.sched_getaffinity(int(task.name)) == {cpu} for task in tasks)
    finally:
        target.stop()
    assert os.sched_getaffinity(0) == before


def test_a_target_that_ends_at_its_start_says_why(tmp_path: Path) -> None:
    target = RunningTarget(ASYNC, tmp_path, "broken", provided={"DATABASE_URL": "mysql://x"})
    with pytest.raises(TargetFailedError, match="async ended at its start") as caught:
        target.wait_until_ready()
    assert "DATABASE_URL: expected it to begin with postgresql://" in caught.value.stderr_tail
    assert "[exit code 2]" in caught.value.stderr_tail


def test_a_target_without_its_database_is_not_ready(tmp_path: Path) -> None:
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    target = RunningTarget(ASYNC, tmp_path, "async", provided=nowhere)
    try:
        wait_for_an_answer(target)
        with pytest.raises(TargetFailedError, match=r"not ready within 0\.5 s .status 503"):
            target.wait_until_ready(timeout_s=0.5)
    finally:
        target.stop()


def test_an_answer_from_another_process_is_noticed(
    provided: Mapping[str, str], tmp_path: Path
) -> None:
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
    target = RunningTarget(ASYNC, tmp_path, "x", provided=provided, port=free_port())
    target.base_url = f"http://127.0.0.1:{server.server_port}"
    try:
        with pytest.raises(TargetFailedError, match=r"answers at .*: another process does"):
            target.wait_until_ready()
    finally:
        target.stop()
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_end_of_a_killed_target_is_told(provided: Mapping[str, str], tmp_path: Path) -> None:
    target = RunningTarget(SYNC, tmp_path, "killed", provided=provided)
    try:
        target.wait_until_ready()
        os.kill(process_of(target).pid, signal.SIGKILL)
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
        with pytest.raises(UserError, match=f"--port: cannot listen on 127.0.0.1:{port}: Address"):
            require_free(Address("127.0.0.1", port), "--port")
    require_free(Address("127.0.0.1", free_port()), "--port")


# ---- targets that are not ours ----

APP = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    status = 200 if scope["path"] == "/up" else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": os.environ["SAID"].encode()})
"""
SERVER = "import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler)"


def served_by(code: str, *, ready: str = "") -> Target:
    return Target(name="mine", command=(sys.executable, "-c", code), ready=ready)


@contextmanager
def running(target: Target, folder: Path, port: int | None = None) -> Iterator[RunningTarget]:
    started = RunningTarget(target, folder, "mine", port=port)
    try:
        yield started
    finally:
        started.stop()


def failure(
    target: Target, folder: Path, port: int | None = None, timeout_s: float = 3.0
) -> TargetFailedError:
    with (
        running(target, folder, port) as started,
        pytest.raises(TargetFailedError) as caught,
    ):
        started.wait_until_ready(timeout_s)
    assert "\n" not in str(caught.value)
    return caught.value


def test_an_asgi_application_is_served_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"import os\n{APP}")
    told = {"SAID": "on {port}"}
    asgi = Target(name="mine", asgi="mine:app", folder=str(tmp_path), environment=told, ready="/up")
    with running(asgi, tmp_path) as started:
        started.wait_until_ready()
        answer = httpx.get(f"{started.base_url}/up", trust_env=False)
        assert answer.text == f"on {started.base_url.rpartition(':')[2]}"
        monitor = TargetMonitor(process_of(started).pid)
        monitor.read()
        assert monitor.readings[0].rss_bytes > 2**20
    assert not started.is_alive


@pytest.mark.parametrize(
    ("text", "asgi", "told"),
    [
        (
            "import absent_module\n",
            "mine:app",
            r"No module named 'absent_module' \(.*mine\.py:1\)$",
        ),
        ("app = 3 +\n", "mine:app", r"SyntaxError: invalid syntax \(.*mine\.py:1\)$"),
        ("\n1 / 0\n", "mine:app", r"ZeroDivisionError: division by zero \(.*mine\.py:2\)$"),
        ("", "other:app", 'Could not import module "other"'),
        ("", "mine:app", 'Attribute "app" not found in module "mine"'),
    ],
)
def test_an_asgi_path_that_does_not_import_says_why(
    tmp_path: Path, text: str, asgi: str, told: str
) -> None:
    (tmp_path / "mine.py").write_text(text)
    mine = Target(name="mine", asgi=asgi, folder=str(tmp_path))
    error = failure(mine, tmp_path, timeout_s=60.0)
    assert str(error).startswith("mine ended at its start: ")
    assert re.search(told, str(error)), str(error)
    assert "[exit code " in error.stderr_tail


@pytest.mark.parametrize("ready", ["", "/"])
def test_a_command_is_told_its_port(tmp_path: Path, ready: str) -> None:
    with running(served_by(f"{SERVER}.serve_forever()", ready=ready), tmp_path) as started:
        started.wait_until_ready()
        assert httpx.get(started.base_url, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("code", "ready", "told"),
    [
        ("raise SystemExit('no thanks')", "", "mine ended at its start: no thanks"),
        ("pass", "", "mine ended at its start"),
        ("import time; time.sleep(60)", "", "mine was not ready within 3 s .*Connection refused"),
        (f"{SERVER}.serve_forever()", "/absent", "not ready within 3 s .status 404 of /absent"),
        (
            "import socket, time; one = socket.create_server(('127.0.0.1', 0)); time.sleep(60)",
            "",
            r"it was told to listen on port \d+ and listens on \d+",
        ),
    ],
)
def test_a_command_that_does_not_get_ready_says_why(
    tmp_path: Path, code: str, ready: str, told: str
) -> None:
    error = failure(served_by(code, ready=ready), tmp_path)
    assert re.search(told, str(error)), str(error)


@pytest.mark.parametrize("ready", ["", "/"])
def test_a_port_that_another_process_took_is_noticed(tmp_path: Path, ready: str) -> None:
    with running(served_by(f"{SERVER}.serve_forever()"), tmp_path) as first:
        first.wait_until_ready()
        port = int(first.base_url.rpartition(":")[2])
        late = served_by("import time; time.sleep(60)", ready=ready)
        assert "another process does" in str(failure(late, tmp_path, port))


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetFailedError, match="mine cannot start: absent-command: No such"):
        RunningTarget(Target(name="mine", command=("absent-command",)), tmp_path, "mine")


def test_a_url_is_neither_started_nor_ended(tmp_path: Path) -> None:
    with running(served_by(f"{SERVER}.serve_forever()"), tmp_path) as server:
        server.wait_until_ready()
        elsewhere = Target(name="there", url=server.base_url, ready="/")
        with running(elsewhere, tmp_path) as there:
            there.wait_until_ready()
            assert there.process is None
        assert server.is_alive
        absent = failure(Target(name="there", url=server.base_url, ready="/absent"), tmp_path)
        assert "there does not answer at http://127.0.0.1:" in str(absent)
    gone = failure(Target(name="there", url=server.base_url), tmp_path)
    assert re.search("there does not answer at http://.* refused", str(gone))
