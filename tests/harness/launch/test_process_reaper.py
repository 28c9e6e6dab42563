"""No process is left behind, however a run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loopmark.harness.launch.process_reaper import MARK, end, reaped, temporary_folder
from tests.hang_limit import HANG_S

RUN = """
import subprocess, sys, time
from loopmark.harness.launch.process_reaper import reaped, temporary_folder
SLEEP = sys.argv[1]
FORKING = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEP!r}])"
with reaped() as token:
    folder = temporary_folder(token, "test")
    stubborn = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    parent = subprocess.Popen([sys.executable, "-c", FORKING], start_new_session=True)
    print(token, folder, stubborn.pid, parent.pid, flush=True)
    time.sleep(300)
"""


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        time.sleep(0.02)


def marked(token: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == token:
                found.append(process)
        except psutil.Error:
            continue
    return found


SLEEP = "import time; time.sleep(300)"
SLEEP_ON = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {SLEEP}"


@pytest.mark.parametrize(
    ("number", "sleep"),
    [(signal.SIGKILL, SLEEP), (signal.SIGKILL, SLEEP_ON), (signal.SIGTERM, SLEEP)],
    ids=["killed", "killed-stubborn-child", "terminated"],
)
def test_everything_ends_with_a_killed_run(number: signal.Signals, sleep: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, sleep],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as run:
        assert run.stdout is not None
        token, folder, *_ = run.stdout.readline().split()
        # Both children and the grandchild, which nobody has registered anywhere.
        wait_until(lambda: len(marked(token)) == 3)
        run.send_signal(number)
        run.wait(HANG_S)
    wait_until(lambda: not marked(token))
    wait_until(lambda: not Path(folder).exists())


def test_a_run_that_ends_well_leaves_nothing_either() -> None:
    with reaped() as token:
        folder = temporary_folder(token, "test")
        # A program that knows no Ctrl-C: a Python that has not started yet would end otherwise.
        child = subprocess.Popen(["sleep", "300"])
        assert folder.parent == Path(tempfile.gettempdir())
        assert os.environ[MARK] == token
    # The reaper has finished when the block ends.
    assert child.wait(1) == -signal.SIGINT
    assert not folder.exists()
    assert MARK not in os.environ


def test_processes_of_another_run_are_left_alone() -> None:
    with reaped():
        other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        with reaped():
            pass
        assert other.poll() is None
    other.wait(HANG_S)


def test_end_asks_first_and_kills_the_whole_group_then() -> None:
    polite = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True
    )
    end(polite)
    assert polite.returncode == -signal.SIGTERM

    code = (
        "import signal, subprocess, sys, time;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
        "print(child.pid, flush=True); time.sleep(300)"
    )
    stubborn = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE
    )
    assert stubborn.stdout is not None
    with stubborn.stdout:
        child = int(stubborn.stdout.readline())
    end(stubborn, grace_s=0.2)
    assert stubborn.returncode == -signal.SIGKILL
    wait_until(lambda: not psutil.pid_exists(child) or _is_zombie(child))


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
