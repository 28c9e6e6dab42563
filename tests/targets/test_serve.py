"""How a target process starts, refuses to start, reports on itself and ends."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from loopmark.targets import serve
from loopmark.targets.loop_lag import RECORD
from tests.hang_limit import HANG_S
from tests.targets.conftest import (
    IMPLEMENTATIONS,
    INHERITED,
    SEEDS,
    TOKENS,
    ServedTarget,
    local_client,
    running,
)
from tests.targets.database_work import account

NOWHERE = "postgresql://someone@127.0.0.1:1/nowhere"


@pytest.mark.parametrize(
    ("variant", "url", "reason"),
    [
        ("asink", NOWHERE, "unknown variant 'asink'; did you mean 'async'?"),
        ("async", "", "DATABASE_URL is missing: "),
        ("sync", "mysql://root:secret@localhost/x", "DATABASE_URL: expected it to begin with"),
    ],
)
def test_a_process_that_cannot_serve_says_why_in_one_line(
    variant: str,
    url: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["serve", variant, "--port", "1"])
    monkeypatch.setenv("DATABASE_URL", url)
    assert serve.main() == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith(f"loopmark.targets.serve: {reason}")
    assert "secret" not in line


@pytest.mark.anyio
@pytest.mark.parametrize("variant", IMPLEMENTATIONS)
async def test_ready_is_503_while_the_database_is_gone(variant: str) -> None:
    async with (
        running(variant, DATABASE_URL=NOWHERE) as application,
        local_client(application, {}) as client,
    ):
        answer = await client.get("/ready")
        assert answer.status_code == 503
        detail = answer.json()["detail"]
        assert detail.startswith("The database does not answer. ")
        assert "\n" not in detail


def test_a_client_that_leaves_in_the_middle_does_not_stop_its_request(
    served: ServedTarget,
) -> None:
    body = json.dumps(account("gone", "gone")).encode()
    head = (
        "POST /api/v2/accounts HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        f"Authorization: {served.auth()['Authorization']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = :name AND "
        "wait_event_type = 'Lock'"
    )
    place = urlsplit(served.url)
    with served.database.connect() as blocker:
        blocker.execute(text("LOCK TABLE resources"))
        with socket.create_connection((str(place.hostname), place.port or 0)) as client:
            client.sendall(head.encode() + body)
            _wait_for(lambda: blocker.scalar(waiting, {"name": served.instance}) == 1)
        blocker.rollback()
    _wait_for(lambda: served.count("resources") == SEEDS + 1)
    assert served.count("users") == len(TOKENS) + 1


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_loop_lag_is_recorded(served: ServedTarget) -> None:
    deadline = time.monotonic() + HANG_S
    while not (content := served.loop_lag_file.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    records = list(RECORD.iter_unpack(content))
    times = [woke_ns for woke_ns, _lag_ns in records]
    assert times == sorted(times)
    assert 0 < times[-1] <= time.monotonic_ns()
    assert all(0 <= lag_ns < HANG_S * 1e9 for _woke_ns, lag_ns in records)


def test_the_command_serves_until_a_signal_and_flushes_the_loop_lag(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "lag"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"DATABASE_URL": database_url, "INSTANCE": "mine", "LOOP_LAG_FILE": str(file)}
    command = [sys.executable, "-P", "-m", "loopmark.targets.serve", "async", "--port", str(port)]
    with subprocess.Popen(command, env=INHERITED | environment) as process:
        deadline = time.monotonic() + HANG_S
        while True:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/ready", verify=False)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert answer.json() == {"status": "ready", "instance": "mine"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_S) == -signal.SIGTERM
    assert list(RECORD.iter_unpack(file.read_bytes()))
