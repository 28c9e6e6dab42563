"""Resource use of target and database in the windows of a cell. Pure: records in, figures out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from loopmark.harness.analysis import statistics
from loopmark.harness.vocabulary.figures import DatabaseUse, Interval, LoopLag, TargetUse
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.record import DatabaseReading, RoundRecord, TargetReading

MIB = 1024**2

COUNTERS_SETTLE_NS = 1_000_000_000
"""A session adds to PostgreSQL's counters at most once a second (PGSTAT_MIN_INTERVAL)."""

Reading = TypeVar("Reading", TargetReading, DatabaseReading)
Numbers = npt.NDArray[np.float64]


def cpu_ms(load: Load, record: RoundRecord) -> float | None:
    """CPU milliseconds of the target within the window; None unless the readings span it."""
    used = _spent(load, record, record.target, lambda reading: reading.cpu_ns)
    return None if used is None else used / 1e6


def database_cpu_ms(load: Load, record: RoundRecord) -> float | None:
    """CPU milliseconds of the database within the window; None as for the target's."""
    used = _spent(load, record, with_cpu(record.database), lambda reading: reading.cpu_ns or 0)
    return None if used is None else used / 1e6


def with_cpu(readings: Sequence[DatabaseReading]) -> list[DatabaseReading]:
    """The readings of a server whose processes are visible."""
    return [reading for reading in readings if reading.cpu_ns is not None]


def target_use(
    load: Load, records: Sequence[RoundRecord], requests: Mapping[int, int]
) -> TargetUse:
    """The target's resource use.

    Args:
        load: Of the cell.
        records: Of the rounds that were started.
        requests: By number of the round, for those that were measured to their end: the requests
            answered within the window.
    """
    readings = [reading for record in records for reading in record.target]
    measured = _measured(records, requests)
    cpu = {record.round: cpu_ms(load, record) for record in measured}
    switches = {
        record.round: _spent(load, record, record.target, lambda one: one.context_switches)
        for record in measured
    }
    cost, cost_interval = _per_request(cpu, requests)
    lags_ms = [
        lag / 1e6
        for record in records
        if record.driver is not None
        for at, lag in record.loop_lag
        if record.driver.window_start_ns <= at <= record.driver.window_end_ns
    ]
    return TargetUse(
        cpu_ms_per_request=cost,
        cpu_ms_per_request_ci=cost_interval,
        cpu_fraction=_cpu_fraction(cpu, measured),
        rss_mib=max(one.rss_bytes for one in readings) / MIB if readings else None,
        threads=max(one.threads for one in readings) if readings else None,
        loop_lag_ms=LoopLag(
            p50=statistics.percentile(lags_ms, 0.5) if lags_ms else None,
            p99=statistics.percentile(lags_ms, 0.99) if lags_ms else None,
            max=max(lags_ms) if lags_ms else None,
        ),
        sockets=max(one.sockets for one in readings) if readings else None,
        # Every process has some: none at all means that it was not sampled.
        files=max((one.files for one in readings), default=0) or None,
        context_switches_per_request=_per_request(switches, requests)[0],
    )


def database_use(
    load: Load, records: Sequence[RoundRecord], requests: Mapping[int, int]
) -> DatabaseUse:
    """The database's use by the target; the arguments are those of `target_use`."""
    measured = _measured(records, requests)
    within = [reading for record in measured for reading in _within(record, record.database)]
    cpu = {record.round: database_cpu_ms(load, record) for record in measured}
    commits = _rates(load, measured, lambda one: one.commits)
    rollbacks = _rates(load, measured, lambda one: one.rollbacks)
    ended = {number: commits[number] + rollbacks[number] for number in commits}
    answers = {
        record.round: requests[record.round] / window_s
        for record in measured
        if (window_s := _window_s(record)) > 0
    }
    hits = sum(_rates(load, measured, lambda one: one.blocks_hit).values())
    reads = sum(_rates(load, measured, lambda one: one.blocks_read).values())
    return DatabaseUse(
        connections=max((one.connections for one in within), default=None),
        active=_mean([one.active for one in within]) if within else None,
        idle_in_transaction=_mean([one.idle_in_transaction for one in within]) if within else None,
        waiting=_mean([one.waiting for one in within]) if within else None,
        waiting_max=max((one.waiting for one in within), default=None),
        transactions_per_request=_per_request(ended, answers)[0],
        rollbacks_per_request=_per_request(rollbacks, answers)[0],
        cache_hits=hits / (hits + reads) if hits + reads > 0 else None,
        cpu_ms_per_request=_per_request(cpu, requests)[0],
        cpu_fraction=_cpu_fraction(cpu, measured),
    )


def _spent(
    load: Load,
    record: RoundRecord,
    readings: Sequence[Reading],
    counter: Callable[[Reading], float],
) -> float | None:
    """How much a counter rose within the window; None unless the readings span it."""
    if len(readings) < 2 or record.driver is None:  # noqa: PLR2004 - a difference needs two
        return None
    start, end = record.driver.window_start_ns, record.driver.window_end_ns
    times = _times(readings)
    values = np.array([counter(reading) for reading in readings], dtype=float)
    if times[0] > start or times[-1] < end:
        return None
    if load.traits.ends_with_last_answer:
        # Idle on both sides, busy within: the readings just outside miss nothing.
        before = int(np.searchsorted(times, start, side="right")) - 1
        after = int(np.searchsorted(times, end, side="left"))
        return float(values[after] - values[before])
    return statistics.interpolated(end, times, values) - statistics.interpolated(
        start, times, values
    )


def _rates(
    load: Load, records: Sequence[RoundRecord], counter: Callable[[DatabaseReading], int]
) -> dict[int, float]:
    """By round: how much one of PostgreSQL's own counters rose per second of the window.

    A session's counts appear at most a second later. Over any whole second the mean delay is the
    same, so the means of the window's first and last second are compared, not its edges. A window
    of less than two seconds has no figure, nor has a burst: the last counts of its sessions appear
    when these are next used, or after ten seconds.
    """
    found: dict[int, float] = {}
    if load.traits.ends_with_last_answer:
        return found
    for record in records:
        readings = _within(record, record.database)
        if record.driver is None:
            continue
        start, end = record.driver.window_start_ns, record.driver.window_end_ns
        first = [one for one in readings if one.at_ns < start + COUNTERS_SETTLE_NS]
        last = [one for one in readings if one.at_ns >= end - COUNTERS_SETTLE_NS]
        if end - start < 2 * COUNTERS_SETTLE_NS or not first or not last:
            continue
        rise = _mean([counter(one) for one in last]) - _mean([counter(one) for one in first])
        passed_ns = _mean([one.at_ns - start for one in last]) - _mean(
            [one.at_ns - start for one in first]
        )
        if passed_ns > 0:
            found[record.round] = rise / passed_ns * 1e9
    return found


def _per_request(
    spent: Mapping[int, float | None], requests: Mapping[int, float]
) -> tuple[float | None, Interval | None]:
    """The median over the rounds of the use per request, and its interval."""
    costs = [
        used / requests[number]
        for number, used in spent.items()
        if used is not None and requests.get(number)
    ]
    if not costs:
        return None, None
    cost = float(np.median(costs))
    return cost, statistics.interval_over_rounds(cost, costs)


def _cpu_fraction(cpu: Mapping[int, float | None], records: Sequence[RoundRecord]) -> float | None:
    fractions = [
        used / 1e3 / window_s
        for record in records
        if (used := cpu.get(record.round)) is not None and (window_s := _window_s(record)) > 0
    ]
    return float(np.median(fractions)) if fractions else None


def _measured(
    records: Sequence[RoundRecord], requests: Mapping[int, int]
) -> tuple[RoundRecord, ...]:
    return tuple(
        record for record in records if record.driver is not None and record.round in requests
    )


def _within(record: RoundRecord, readings: Sequence[Reading]) -> list[Reading]:
    if record.driver is None:
        return []
    start, end = record.driver.window_start_ns, record.driver.window_end_ns
    return [reading for reading in readings if start <= reading.at_ns < end]


def _window_s(record: RoundRecord) -> float:
    if record.driver is None:
        return 0.0
    return (record.driver.window_end_ns - record.driver.window_start_ns) / 1e9


def _times(readings: Sequence[Reading]) -> Numbers:
    return np.array([reading.at_ns for reading in readings], dtype=float)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
