"""How a target process starts, refuses to start, reports on itself and ends."""

import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from loopmark.targets.catalog import VARIANTS
from loopmark.targets.loop_lag import RECORD
from tests.targets.conftest import (
    DEADLINE_S,
    INHERITED,
    Target,
    first_answer,
    serve_command,
    serving,
)

NOWHERE = "postgresql://someone@127.0.0.1:1/nowhere"


def refusal(variant: str, **environment: str) -> str:
    """Return the one line with which a process refuses to start."""
    done = subprocess.run(
        serve_command(variant, 1),
        env=INHERITED | environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def test_unknown_variant_names_the_nearest() -> None:
    assert (
        refusal("asink") == "loopmark.targets.serve: unknown variant 'asink'; did you mean 'async'?"
    )


def test_missing_database_url_is_one_line() -> None:
    assert "DATABASE_URL is missing" in refusal("async")


def test_unusable_database_url_is_one_line() -> None:
    line = refusal("sync", DATABASE_URL="mysql://root:secret@localhost/x")
    assert "postgresql://" in line
    assert "secret" not in line


def test_ready_is_503_while_the_database_is_gone() -> None:
    with ExitStack() as stack:
        processes = [stack.enter_context(serving(name, DATABASE_URL=NOWHERE)) for name in VARIANTS]
        for process in processes:
            answer = first_answer(process)
            assert answer.status_code == 503
            detail = answer.json()["detail"]
            assert detail.startswith("The database does not answer. ")
            assert "\n" not in detail


def test_loop_lag_is_recorded(target: Target) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not (content := target.loop_lag_file.read_bytes()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    records = list(RECORD.iter_unpack(content))
    times = [woke_ns for woke_ns, _lag_ns in records]
    assert times == sorted(times)
    assert 0 < times[-1] <= time.monotonic_ns()
    assert all(0 <= lag_ns < DEADLINE_S * 1e9 for _woke_ns, lag_ns in records)


def test_a_signal_ends_the_process_and_flushes_the_loop_lag(tmp_path: Path) -> None:
    file = tmp_path / "lag"
    with serving("async", DATABASE_URL=NOWHERE, LOOP_LAG_FILE=str(file)) as process:
        first_answer(process)
        process.popen.send_signal(signal.SIGTERM)
        assert process.popen.wait(DEADLINE_S) == -signal.SIGTERM
    assert list(RECORD.iter_unpack(file.read_bytes()))
