"""A real process, seen from outside: its threads, files and switches, and those of its child."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.watch import process_counters, target_monitor
from loopmark.harness.watch.process_counters import (
    LINUX,
    SOCKET_TURNS,
    Increasing,
    LinuxCounters,
    PortableCounters,
)
from loopmark.harness.watch.target_monitor import TargetMonitor

WATCHED = """
import os, socket, subprocess, sys, threading, time

kept, running = [], []

def thread():
    may_end = threading.Event()
    def run():
        while not may_end.wait(0.001):
            pass
    running.append((may_end, threading.Thread(target=run)))
    running[-1][1].start()

def end_threads():
    for may_end, started in running:
        may_end.set()
        started.join()

def closed():
    kept.pop().close()

def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass

def child():
    code = "import time; t = time.process_time\\nwhile t() < 0.3: pass\\ninput()"
    kept.append(subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE))

for line in sys.stdin:
    exec(line)
    print("done", flush=True)
os._exit(0)
"""

Tell = Callable[[str], None]


@pytest.fixture
def watched() -> Iterator[tuple[int, Tell]]:
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def tell(line: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"

    try:
        tell("pass")
        yield process.pid, tell
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def monitor(watched: tuple[int, Tell]) -> Iterator[TargetMonitor]:
    made = TargetMonitor(watched[0])
    yield made
    made.close()


def test_threads_come_and_go_and_their_switches_stay(
    watched: tuple[int, Tell], monitor: TargetMonitor
) -> None:
    _, tell = watched
    monitor.read()
    tell("for _ in range(10): thread()")
    tell("time.sleep(0.1)")
    monitor.read()
    tell("end_threads()")
    # The kernel forgets them a moment after they are joined.
    while len(monitor.readings) < 3 or monitor.readings[-1].threads > 1:
        monitor.read()
    first, many, *_, few = monitor.readings
    assert (first.threads, many.threads, few.threads) == (1, 11, 1)
    switches = [one.context_switches for one in monitor.readings]
    assert switches == sorted(switches)
    # Ten threads that woke again and again: the main thread alone has no such number.
    assert many.context_switches - first.context_switches > 50


def test_sockets_and_files_are_counted_apart(
    watched: tuple[int, Tell], monitor: TargetMonitor
) -> None:
    _, tell = watched
    monitor.read()
    tell("kept += [socket.socket() for _ in range(30)]")
    monitor.read()
    tell("kept += [open(os.devnull) for _ in range(10)]")
    monitor.read()
    tell("[closed() for _ in range(25)]")
    monitor.read()
    tell("kept += [socket.socket()]")
    monitor.read()
    found = [one.sockets - monitor.readings[0].sockets for one in monitor.readings]
    assert found == [0, 30, 30, 15, 16]
    files = [one.files - monitor.readings[0].files for one in monitor.readings]
    assert files == [0, 0, 10, 0, 0]


def test_what_a_child_has_open_is_counted_too(
    watched: tuple[int, Tell], monitor: TargetMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_monitor, "CHILDREN_INTERVAL_S", 0.0)
    _, tell = watched
    monitor.read()
    opening = "kept = [open('/dev/null') for _ in range(40)]; print(); input()"
    start = "subprocess.Popen([sys.executable, '-c', code], stdin=pipe, stdout=pipe)"
    tell(
        f"pipe, code = subprocess.PIPE, {opening!r}; kept += [{start}]; kept[-1].stdout.readline()"
    )
    monitor.read()
    before, after = monitor.readings
    # The child's own three, and the parent's ends of two pipes.
    assert after.files - before.files == 40 + 3 + 2
    tell("kept.pop().communicate(b'\\n')")


@pytest.mark.skipif(not LINUX, reason="elsewhere nothing is remembered")
def test_a_descriptor_that_is_used_anew_is_noticed_in_time(watched: tuple[int, Tell]) -> None:
    pid, tell = watched
    counters = LinuxCounters(pid)
    tell("kept += [socket.socket()]")
    before = counters.read().sockets
    tell("number = kept[-1].fileno(); closed(); kept += [open(os.devnull)]")
    tell("assert kept[-1].fileno() == number")
    found = [counters.read().sockets for _ in range(SOCKET_TURNS)]
    assert found[-1] == before - 1
    counters.close()


def test_what_a_child_used_stays_when_it_has_ended(
    watched: tuple[int, Tell], monitor: TargetMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_monitor, "CHILDREN_INTERVAL_S", 0.0)
    _, tell = watched
    monitor.read()
    tell("child()")
    deadline = time.monotonic() + 30
    while monitor.readings[-1].cpu_ns - monitor.readings[0].cpu_ns < 0.3e9:
        assert time.monotonic() < deadline
        monitor.read()
    with_child = monitor.readings[-1]
    tell("one = kept.pop(); one.communicate(b'\\\\n'); time.sleep(0.01)")
    monitor.read()
    without = monitor.readings[-1]
    assert without.rss_bytes < with_child.rss_bytes
    assert without.threads == with_child.threads - 1
    assert without.cpu_ns >= with_child.cpu_ns
    assert without.context_switches >= with_child.context_switches


def test_a_process_that_is_gone_yields_no_reading(watched: tuple[int, Tell]) -> None:
    pid, _ = watched
    monitor = TargetMonitor(pid)
    monitor.read()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    monitor.read()
    monitor.read()
    assert len(monitor.readings) == 1
    TargetMonitor(pid).read()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not LINUX, reason="descriptors are held open on Linux only")
def test_nothing_stays_open(watched: tuple[int, Tell]) -> None:
    pid, tell = watched
    before = open_files()
    monitor = TargetMonitor(pid)
    for _ in range(3):
        tell("for _ in range(5): thread()")
        monitor.read()
        tell("end_threads()")
        monitor.read()
    monitor.close()
    assert open_files() == before
    monitor.read()
    assert open_files() == before


def test_the_portable_way_sees_the_same(watched: tuple[int, Tell]) -> None:
    pid, tell = watched
    tell("kept += [socket.socket(), socket.create_server(('127.0.0.1', 0))]")
    tell("for _ in range(3): thread()")
    tell("burn(0.1)")
    native, portable = process_counters.process_counters(pid), PortableCounters(pid)
    a, b = native.read(), portable.read()
    native.close()
    portable.close()
    assert a.threads == b.threads == 4
    assert a.sockets + a.files == b.sockets + b.files, "all of them are descriptors"
    assert b.sockets >= 1  # A socket that is not bound is in no table of the kernel's.
    assert b.cpu_ns > 0.05e9
    assert b.rss_bytes > 2**20
    assert b.context_switches > 0


# ---- sums of counters that come and go ----


def test_what_ended_stays_in_the_sum() -> None:
    total = Increasing()
    assert total.update({1: 10, 2: 5}) == 15
    assert total.update({1: 12}) == 17
    assert total.update({1: 12, 3: 4}) == 21
    assert total.update({1: 2}) == 23, "a new one with an old number"
    assert total.update({}) == 23


@given(st.lists(st.dictionaries(st.integers(0, 5), st.integers(0, 1000))))
def test_a_sum_never_falls(looks: list[dict[int, int]]) -> None:
    total = Increasing()
    sums = [total.update(look) for look in looks]
    assert sums == sorted(sums)
    for look, found in zip(looks, sums, strict=True):
        assert found >= sum(look.values())
