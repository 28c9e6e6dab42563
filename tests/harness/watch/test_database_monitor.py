"""A real PostgreSQL, seen through its own counters while sessions hold, wait and end."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from secrets import token_hex

import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from loopmark.harness.launch import database
from loopmark.harness.launch.database import URL_VARIABLE
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.vocabulary.record import DatabaseReading
from loopmark.harness.watch import database_monitor
from loopmark.harness.watch.database_monitor import database_readings
from loopmark.harness.watch.process_counters import LINUX

TARGET = "loopmark-of-the-test"


@pytest.fixture(scope="module")
def url(database_url: str) -> Iterator[str]:
    """A database of these tests' own: what others do with theirs is not counted in it."""
    name = f"monitored_{token_hex(4)}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        url = make_url(database_url).set(database=name)
        yield url.render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def own_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that a test may treat badly."""
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    with reaped() as token, database._embedded(token, (), 1) as url:
        yield url.set(drivername="postgresql").render_as_string(hide_password=False)


def session(url: str, name: str = TARGET) -> psycopg.Connection:
    return psycopg.connect(url, application_name=name, autocommit=True)


def awaited(
    readings: list[DatabaseReading], wanted: Callable[[DatabaseReading], bool]
) -> DatabaseReading:
    """The first reading from now on that is as wanted."""
    seen = len(readings)
    deadline = time.monotonic() + 30
    while True:
        for one in readings[seen:]:
            if wanted(one):
                return one
        assert time.monotonic() < deadline, readings[-3:]
        time.sleep(0.01)


def test_one_reading_before_and_one_after(url: str) -> None:
    with database_readings(url, TARGET, embedded=True) as readings:
        assert len(readings) >= 1
        ended_ns = time.monotonic_ns()
        assert readings[0].at_ns < ended_ns
    assert readings[-1].at_ns > ended_ns
    times = [one.at_ns for one in readings]
    assert times == sorted(times)


def test_sessions_of_the_target_and_of_nobody_else(url: str) -> None:
    with (
        closing(session(url)) as idle,
        closing(session(url, "somebody-else")),
        closing(session(url)) as holding,
        database_readings(url, TARGET, embedded=True) as readings,
    ):
        idle.execute("SELECT 1")
        assert awaited(readings, lambda one: one.connections == 2).idle_in_transaction == 0
        holding.execute("BEGIN")
        holding.execute("SELECT 1")
        found = awaited(readings, lambda one: one.idle_in_transaction == 1)
        assert (found.connections, found.active, found.waiting) == (2, 0, 0)
        holding.execute("ROLLBACK")
        awaited(readings, lambda one: one.idle_in_transaction == 0)
        holding.close()
        awaited(readings, lambda one: one.connections == 1)


def test_a_session_that_waits_for_a_lock_is_shown(url: str) -> None:
    with (
        closing(session(url)) as holder,
        closing(session(url)) as waiter,
        database_readings(url, TARGET, embedded=True) as readings,
    ):
        holder.execute("CREATE TABLE IF NOT EXISTS locked (n int)")
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE locked")
        thread = threading.Thread(target=waiter.execute, args=("SELECT * FROM locked",))
        thread.start()
        found = awaited(readings, lambda one: one.waiting == 1)
        assert (found.active, found.idle_in_transaction) == (1, 1)
        holder.execute("COMMIT")
        thread.join()
        awaited(readings, lambda one: one.waiting == 0)


def test_transactions_of_a_session_show_when_it_has_brought_them(url: str) -> None:
    with (
        closing(session(url)) as worker,
        database_readings(url, TARGET, embedded=True) as readings,
    ):
        before = readings[-1]
        for _ in range(50):
            worker.execute("SELECT count(*) FROM pg_class")
        for _ in range(5):
            worker.execute("BEGIN; SELECT 1; ROLLBACK")
        worker.close()  # Now it brings its counters, and not only when a second has passed.
        found = awaited(readings, lambda one: one.commits - before.commits >= 50)
        assert found.rollbacks - before.rollbacks >= 5
        assert found.blocks_hit > before.blocks_hit


def test_its_own_looks_are_not_among_the_transactions(url: str) -> None:
    with database_readings(url, TARGET, embedded=True) as readings:
        first = readings[0]
        awaited(readings, lambda one: one.at_ns - first.at_ns > 2.5e9)
    assert len(readings) > 20
    # Autovacuum may look at the database now and then; each look would be one more.
    assert readings[-1].commits - first.commits < 10


@pytest.mark.skipif(not LINUX, reason="the clocks of other processes are Linux's")
def test_cpu_of_the_server_and_of_sessions_that_have_ended(url: str) -> None:
    work = "SELECT count(*) FROM generate_series(1, 3000000)"
    with database_readings(url, TARGET, embedded=True) as readings:
        assert readings[0].cpu_ns == 0
        with closing(session(url)) as worker:
            worker.execute(work)
            pid = worker.info.backend_pid
            used_ns = time.clock_gettime_ns(~pid << 3 | 2)
            running = awaited(readings, lambda one: (one.cpu_ns or 0) >= used_ns * 0.9)
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait(30)
        ended = awaited(readings, lambda one: one.connections == 0)
        assert running.cpu_ns is not None
        assert ended.cpu_ns is not None
        assert ended.cpu_ns >= running.cpu_ns
    found = [one.cpu_ns or 0 for one in readings]
    assert found == sorted(found)


def test_processes_of_a_server_elsewhere_are_not_looked_at(url: str) -> None:
    with database_readings(url, TARGET, embedded=False) as readings:
        pass
    assert {one.cpu_ns for one in readings} == {None}


def test_a_server_that_goes_away_costs_readings_and_nothing_else(own_url: str) -> None:
    with closing(session(own_url)) as one:
        backend = psutil.Process(one.info.backend_pid)
        postmaster = psutil.Process(backend.ppid())
    with database_readings(own_url, TARGET, embedded=True) as readings:
        assert readings
        postmaster.send_signal(signal.SIGQUIT)
        postmaster.wait(30)
        until_now = len(readings)
    assert len(readings) == until_now
    with database_readings(own_url, TARGET, embedded=True) as none:
        assert none == []


def test_a_cut_connection_is_made_again(url: str) -> None:
    with (
        closing(session(url, "somebody-else")) as admin,
        database_readings(url, TARGET, embedded=True) as readings,
    ):
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            (database_monitor._OWN_NAME,),
        )
        awaited(readings, lambda _: True)


def test_a_server_that_hangs_is_given_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_monitor, "PATIENCE_S", 0.2)
    with closing(session(url, "somebody-else")) as admin:
        with database_readings(url, TARGET, embedded=True) as readings:
            found = admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s",
                (database_monitor._OWN_NAME,),
            ).fetchone()
            assert found is not None
            os.kill(found[0], signal.SIGSTOP)
            time.sleep(0.1)
            until_now = len(readings)
        try:
            assert len(readings) == until_now
        finally:
            os.kill(found[0], signal.SIGCONT)
        threads = [one for one in threading.enumerate() if one.name == database_monitor._OWN_NAME]
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive(), "it ends as soon as the server answers"
    assert len(readings) == until_now


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_monitor, "PATIENCE_S", 0.2)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        port = mute.getsockname()[1]
        with database_readings(f"postgresql://u@127.0.0.1:{port}/x", TARGET, embedded=False) as r:
            pass
    assert r == []


def test_an_interrupt_ends_it(url: str) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        database_readings(url, TARGET, embedded=True) as readings,
    ):
        raise KeyboardInterrupt
    assert readings
    assert not [one for one in threading.enumerate() if one.name == database_monitor._OWN_NAME]
