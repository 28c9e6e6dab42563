"""Do signals that ask for stacks ever crash a busy target? `make bench-probe-signals`.

Sends 100,000 to the event loop's thread and to another one, while routes compute, collect garbage,
run in threads and hold the GIL, and ends the target under signals once more.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import loopmark.harness
from loopmark.harness.launch.ports import HOST, free_port
from loopmark.harness.probe.page import Page, Word
from loopmark.harness.watch import thread_state
from loopmark.harness.watch.thread_signal import StackFile

ROUTES = (
    "/clean",
    "/in-thread",
    "/clean",
    "/power?ms=8",
    "/collect",
    "/sleep?ms=2",
    "/compute?ms=5",
)
START = Path(loopmark.harness.__file__).parent / "probe" / "start"
HERE = Path(__file__).parent
PATIENCE_S = 60
STARTS = 20
"""The signals are shared by so many starts: most crashes are expected at the end of a process."""


def main() -> int:
    """Send them; returns 1 if a target crashed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--signals", type=int, default=100_000)
    arguments.add_argument("--python", default=sys.executable, help="of the target")
    options = arguments.parse_args()
    wanted, python = options.signals, options.python
    sent = answered = crashes = 0
    for number in range(STARTS):
        loop = ("asyncio", "uvloop")[number % 2]
        with tempfile.TemporaryDirectory() as folder:
            of_one, stacks, crashed = one_start(python, Path(folder), loop, wanted // STARTS)
        sent, answered, crashes = sent + of_one, answered + stacks, crashes + crashed
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout
    print(  # noqa: T201 - the result
        f"{version.strip()}: {sent} signals to {STARTS} targets, "
        f"{answered} stacks, {crashes} crashes"
    )
    return int(crashes > 0)


def one_start(python: str, folder: Path, loop: str, wanted: int) -> tuple[int, int, bool]:
    """Signal one target; returns the signals sent, stacks written, and whether it crashed."""
    port = free_port()
    command = [python, "-P", "-m", "uvicorn", "busy_application:app", "--loop", loop]
    command += ["--app-dir", str(HERE), "--port", str(port), "--log-level", "error"]
    environment = os.environ | {"PYTHONPATH": str(START), "LOOPMARK_PROBE": str(folder)}
    process = subprocess.Popen(command, env=environment)
    page = page_of(folder, process.pid)
    path = folder / f"{process.pid}.stacks"
    stacks = StackFile(process.pid, path)
    number, loops = page.words[Word.SIGNAL], page.words[Word.LOOP_THREAD]
    if not number:
        process.kill()
        raise SystemExit(f"{python}: no stacks can be asked for (harness/probe/stacks.py says why)")
    ends = threading.Event()
    clients = [threading.Thread(target=ask_until, args=(port, ends, route)) for route in ROUTES]
    for client in clients:
        client.start()
    sent = 0
    while sent < wanted and process.poll() is None:
        for thread in (loops, *thread_state.threads(process.pid)[-1:]):
            if may_ask(page, process.pid, thread):
                sent += stacks.ask(thread, number)
        time.sleep(0.0001)
    ends.set()
    process.terminate()
    # As a watcher does: not once the process has said that it ends.
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if not page.words[Word.ENDS] and may_ask(page, process.pid, loops):
            stacks.ask(loops, number)
        time.sleep(0.001)
    process.kill()
    process.wait()
    for client in clients:
        client.join()
    written = path.read_bytes().count(b"most recent call first")
    page.close()
    return sent, written, process.returncode not in {0, -signal.SIGTERM}


def may_ask(page: Page, pid: int, thread: int) -> bool:
    """Whether the watcher would ask this thread now: in Python 3.12, not while it runs."""
    if page.words[Word.MAY_INTERRUPT]:
        return True
    doing = thread_state.doing(pid, thread)
    return doing is not None and doing.call is not None


def page_of(folder: Path, pid: int) -> Page:
    """The page of a process, once it is there."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            return Page(folder / f"{pid}.page")
        except (OSError, ValueError):
            time.sleep(0.01)
    raise TimeoutError("the target did not start")


def ask_until(port: int, ends: threading.Event, route: str) -> None:
    """Ask for one route until told to end, or until nobody answers any more."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)) as connection:
        while not ends.is_set():
            try:
                connection.request("GET", route)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
                ends.wait(0.05)


if __name__ == "__main__":
    sys.exit(main())
