"""Reads PostgreSQL's own counters during a round."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from loopmark.harness.vocabulary.record import DatabaseReading
from loopmark.harness.watch.process_counters import LINUX, cpu_clock_ns

INTERVAL_S = 0.08
"""Over 12 readings a second, if the server keeps up. With 30 connections one takes 0.2 ms of the
server's CPU and 0.3 ms of ours: 0.6% of a processor, and the server's part is excluded from its
work for the target."""

PATIENCE_S = 1.0
"""Time limit for the readings before and after the round. A statement that takes longer, or a
server that does not answer, is given up: the run continues without these readings."""

RETRY_S = 0.5
CONNECT_TIMEOUT_S = 2
"""The minimum that libpq allows."""

_OWN_NAME = "loopmark-monitor"

_LOOK = """
SELECT
    a.connections, a.active, a.idle_in_transaction, a.waiting, a.pids,
    d.xact_commit, d.xact_rollback, d.blks_read, d.blks_hit
FROM pg_stat_database AS d CROSS JOIN (
    SELECT
        count(*) FILTER (WHERE is_target) AS connections,
        count(*) FILTER (WHERE is_target AND state = 'active') AS active,
        count(*) FILTER (WHERE is_target AND state LIKE 'idle in transaction%%')
            AS idle_in_transaction,
        count(*) FILTER (WHERE is_target AND wait_event_type = 'Lock') AS waiting,
        array_agg(pid) AS pids
    FROM (
        SELECT
            pid, state, wait_event_type,
            backend_type = 'client backend'
            AND datname = current_database()
            AND application_name = %s AS is_target
        FROM pg_stat_activity
        WHERE pid <> pg_backend_pid()
    ) AS sessions
) AS a
WHERE d.datname = current_database()
"""


@contextmanager
def database_readings(
    url: str, session_name: str, *, embedded: bool
) -> Iterator[list[DatabaseReading]]:
    """Read the database in a thread for as long as the context lasts.

    A server that is slow, gone or hostile costs only readings.

    Args:
        url: As the targets use it.
        session_name: The `application_name` of the target's sessions: those of other targets, of
            the harness and of other clients are excluded.
        embedded: Whether the server's processes can be read here.

    Yields:
        The readings so far, in time order. If the server answers in time, there is one before the
        context's body begins, and one after it has ended.
    """
    monitor = _Monitor(url, session_name, embedded=embedded)
    try:
        monitor.start()
        yield monitor.readings
    finally:
        monitor.stop()


class _Monitor:
    def __init__(self, url: str, session_name: str, *, embedded: bool) -> None:
        self.readings: list[DatabaseReading] = []
        self._url = url
        self._session_name = session_name
        self._sees_processes = embedded and LINUX
        self._has_read = threading.Event()
        self._stop = threading.Event()
        self._given_up = False
        # A daemon: it may hang on a server that hangs, and must not keep the run from ending.
        self._thread = threading.Thread(target=self._run, name=_OWN_NAME, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._has_read.wait(PATIENCE_S)

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_S)
        self._given_up = True

    def _run(self) -> None:
        while not self._stop.is_set():
            # Whatever it is that the server or the connection has: there are no readings then.
            with (
                suppress(psycopg.Error),
                psycopg.connect(
                    self._url, application_name=_OWN_NAME, connect_timeout=CONNECT_TIMEOUT_S
                ) as connection,
            ):
                self._read_until_stopped(connection)
            self._stop.wait(RETRY_S)

    def _read_until_stopped(self, connection: psycopg.Connection[Any]) -> None:
        # One transaction for all readings: each one of its own would be counted among the targets'.
        connection.execute(f"SET LOCAL statement_timeout = {round(PATIENCE_S * 1e3)}")
        cpu = _ServerCpu(connection.info.backend_pid) if self._sees_processes else None
        due = time.monotonic()
        while not self._given_up:
            is_last = self._stop.is_set()
            # Within a transaction PostgreSQL would show the same sessions again and again.
            connection.execute("SELECT pg_stat_clear_snapshot()", prepare=True)
            at_ns = time.monotonic_ns()
            row = connection.execute(_LOOK, (self._session_name,), prepare=True).fetchone()
            if row is not None and not self._given_up:
                self.readings.append(_reading(at_ns, row, cpu))
            self._has_read.set()
            if is_last:
                return
            # By the clock, and never two at once: a slow server is asked less often.
            now = time.monotonic()
            due = max(due + INTERVAL_S, now)
            self._stop.wait(due - now)


def _reading(at_ns: int, row: tuple[Any, ...], cpu: _ServerCpu | None) -> DatabaseReading:
    connections, active, idle_in_transaction, waiting, pids, *counters = row
    commits, rollbacks, blocks_read, blocks_hit = counters
    return DatabaseReading(
        at_ns=at_ns,
        connections=connections,
        active=active,
        idle_in_transaction=idle_in_transaction,
        waiting=waiting,
        commits=commits,
        rollbacks=rollbacks,
        blocks_read=blocks_read,
        blocks_hit=blocks_hit,
        cpu_ns=cpu.since_first_ns(pids or ()) if cpu is not None else None,
    )


class _ServerCpu:
    """CPU time of a server's processes, without the one that serves the monitor.

    Running processes are read by their clocks, ended ones from the sum that the kernel keeps in
    their parent: connections that a pool opens and closes are included.
    """

    def __init__(self, backend_pid: int) -> None:
        try:
            self._parent = psutil.Process(backend_pid).ppid()
        except psutil.Error:
            self._parent = 0
        self._first: int | None = None
        self._most = 0

    def since_first_ns(self, pids: Iterable[int]) -> int | None:
        """Nanoseconds since the first call; None if the server cannot be read."""
        try:
            total = cpu_clock_ns(self._parent) + _ended_children_ns(self._parent)
        except OSError:
            return None
        for pid in pids:
            with suppress(OSError):  # Ended meanwhile.
                total += cpu_clock_ns(pid)
        if self._first is None:
            self._first = total
        # The kernel shows what ended in steps of 10 ms, so the sum may fall by as much.
        self._most = max(self._most, total - self._first)
        return self._most


def _ended_children_ns(pid: int) -> int:
    """CPU time of the children that have ended, from fields 16 and 17 of /proc/PID/stat."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    fields = stat.rpartition(")")[2].split()  # The name before it may hold anything.
    ticks = int(fields[13]) + int(fields[14])
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
