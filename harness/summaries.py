"""From the samples and records of a cell to its summary. Pure: values in, values out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from harness import statistics, validity
from harness.vocabulary.cell import Cell
from harness.vocabulary.job import ErrorKind
from harness.vocabulary.load import Burst
from harness.vocabulary.record import RoundRecord
from harness.vocabulary.result import (
    AuditResult,
    CellResult,
    DriverUse,
    Interval,
    LoopLag,
    PercentileIntervals,
    Percentiles,
    RoundResult,
    StepResult,
    TargetUse,
)
from harness.vocabulary.scenario import Audit

COLUMNS = ("round", "user", "step", "due_ns", "sent_ns", "done_ns", "error")
"""The sample columns that summaries need."""

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
LATE_MS = 1.0

Latencies = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Round:
    """What one round that was measured to its end amounts to."""

    result: RoundResult
    latencies_ms: Latencies
    cpu_ms: float | None
    users: int
    littles_users: float
    halves_ratio: float | None
    send_spread_ms: float
    late_sends: float


def summarise(
    cell: Cell, records: Sequence[RoundRecord], samples: pd.DataFrame, audits: Sequence[Audit]
) -> CellResult:
    """Summarise one cell.

    Args:
        cell: As planned.
        records: Of the rounds that were begun.
        samples: Of all rounds, with the columns `COLUMNS`.
        audits: Of the cell's scenario.
    """
    rounds = [
        _round(cell, record, samples[samples["round"] == record.round])
        for record in records
        if record.state == "measured" and record.driver is not None
    ]
    measured = {one.result.round for one in rounds}
    in_windows = pd.concat(
        [
            _in_window(cell, record, samples[samples["round"] == record.round])
            for record in records
            if record.round in measured
        ]
        or [samples.iloc[:0]]
    )
    errors = samples["error"].astype(str)
    kinds = errors[errors != ""].value_counts()
    latencies = _joined([one.latencies_ms for one in rounds])
    throughputs = [one.result.throughput_rps for one in rounds]
    makespans = [one.result.makespan_s for one in rounds if one.result.makespan_s is not None]
    throughput = float(np.median(throughputs)) if throughputs else None
    makespan = float(np.median(makespans)) if makespans else None
    percentiles = _percentiles(latencies)
    intervals, intervals_from = _percentile_intervals(percentiles, latencies, rounds)
    audit_results = tuple(_audit(audit, records, samples) for audit in audits)
    driver_use = _driver_use(records, rounds)
    evidence = validity.Evidence(
        planned_rounds=cell.rounds,
        # A round without the driver's report has no window: it counts as not measured.
        states=tuple(
            "driver-died" if record.state == "measured" and record.driver is None else record.state
            for record in records
        ),
        error_kinds={str(kind): int(count) for kind, count in kinds.items()},
        requests=len(samples),
        answers=len(latencies),
        missing_samples=_missing_samples(records, samples),
        audits=audit_results,
        driver_use=driver_use,
        median_latency_ms=percentiles.p50,
        makespan_s=makespan,
        users_heard=tuple(one.users for one in rounds),
        littles_users=tuple(one.littles_users for one in rounds),
        halves_ratios=tuple(one.halves_ratio for one in rounds if one.halves_ratio is not None),
    )
    return CellResult(
        name=cell.name,
        scenario=cell.scenario,
        target=cell.target,
        driver=cell.driver,
        load=cell.load,
        rounds=len(rounds),
        requests=len(in_windows),
        errors=int((in_windows["error"].astype(str) != "").sum()),
        error_kinds=dict(evidence.error_kinds),
        error_examples=_examples(records),
        makespan_s=makespan,
        makespan_s_ci=_interval(makespan, makespans),
        throughput_rps=throughput,
        throughput_rps_ci=_interval(throughput, throughputs),
        latency_ms=percentiles,
        latency_ms_ci=intervals,
        latency_ci_from=intervals_from,
        target_use=_target_use(records, rounds),
        driver_use=driver_use,
        steps=_steps(in_windows),
        audits=audit_results,
        per_round=tuple(one.result for one in rounds),
        validity=validity.judge(cell.load, evidence),
        stderr_tail=next((r.stderr_tail for r in records if r.stderr_tail), ""),
    )


def _in_window(cell: Cell, record: RoundRecord, samples: pd.DataFrame) -> pd.DataFrame:
    """The requests answered within the measured window; under a burst, all of them."""
    if isinstance(cell.load, Burst):
        return samples
    assert record.driver is not None
    start, end = record.driver.window_start_ns, record.driver.window_end_ns
    return samples[(samples["done_ns"] >= start) & (samples["done_ns"] < end)]


def _round(cell: Cell, record: RoundRecord, samples: pd.DataFrame) -> _Round:
    assert record.driver is not None
    start, end = record.driver.window_start_ns, record.driver.window_end_ns
    window_s = (end - start) / 1e9
    inside = _in_window(cell, record, samples)
    right = inside[inside["error"].astype(str) == ""]
    latencies = _latencies_ms(right)
    waited_ms = (inside["sent_ns"] - inside["due_ns"]).to_numpy(dtype=float) / 1e6
    cpu_ms = _cpu_ms(cell, record)
    result = RoundResult(
        round=record.round,
        block=record.block,
        requests=len(inside),
        errors=len(inside) - len(right),
        window_s=window_s,
        makespan_s=window_s if isinstance(cell.load, Burst) else None,
        throughput_rps=len(right) / window_s if window_s > 0 else 0.0,
        latency_ms=_percentiles(latencies),
        cpu_ms_per_request=cpu_ms / len(inside) if cpu_ms is not None and len(inside) else None,
    )
    return _Round(
        result=result,
        latencies_ms=latencies,
        cpu_ms=cpu_ms,
        users=inside["user"].nunique(),
        littles_users=_users_in_flight(samples, start, end),
        halves_ratio=_halves_ratio(inside, start, end),
        send_spread_ms=float(waited_ms.max()) if waited_ms.size else 0.0,
        late_sends=float((waited_ms > LATE_MS).mean()) if waited_ms.size else 0.0,
    )


def _users_in_flight(samples: pd.DataFrame, start: int, end: int) -> float:
    """The mean number of requests in flight within the window.

    Little's law without its limit: throughput x latency over a long window is the time that all
    requests spent in flight within it over its length, and that is exact for any window.
    """
    if end <= start:
        return 0.0
    within = samples["done_ns"].clip(upper=end) - samples["sent_ns"].clip(lower=start)
    return float(within.clip(lower=0).sum()) / (end - start)


def _latencies_ms(samples: pd.DataFrame) -> Latencies:
    return (samples["done_ns"] - samples["sent_ns"]).to_numpy(dtype=float) / 1e6


def _joined(arrays: Sequence[Latencies]) -> Latencies:
    return np.concatenate(arrays) if arrays else np.empty(0)


def _halves_ratio(inside: pd.DataFrame, start: int, end: int) -> float | None:
    """Answers in the second half of the window for each one in the first; None without any."""
    first = int((inside["done_ns"] < (start + end) // 2).sum())
    if first == 0:
        return math.inf if len(inside) else None
    return (len(inside) - first) / first


def _cpu_ms(cell: Cell, record: RoundRecord) -> float | None:
    """CPU milliseconds of the target within the window; None unless the readings span it."""
    if len(record.target) < 2 or record.driver is None:  # noqa: PLR2004 - a difference needs two
        return None
    start, end = record.driver.window_start_ns, record.driver.window_end_ns
    times = np.array([reading.at_ns for reading in record.target])
    cpu = np.array([reading.cpu_ns for reading in record.target], dtype=float)
    if times[0] > start or times[-1] < end:
        return None
    if isinstance(cell.load, Burst):
        # Idle on both sides, busy within: the readings just outside miss nothing.
        before = int(np.searchsorted(times, start, side="right")) - 1
        after = int(np.searchsorted(times, end, side="left"))
        return float(cpu[after] - cpu[before]) / 1e6
    used = statistics.interpolated(end, times, cpu) - statistics.interpolated(start, times, cpu)
    return used / 1e6


def _percentiles(latencies: Latencies) -> Percentiles:
    found = {
        name: statistics.percentile(latencies, p)
        for name, p in PERCENTILES.items()
        if statistics.has_enough_beyond(latencies.size, p)
    }
    return Percentiles(**found, max=float(latencies.max()) if latencies.size else None)


def _percentile_intervals(
    percentiles: Percentiles, latencies: Latencies, rounds: Sequence[_Round]
) -> tuple[PercentileIntervals, str | None]:
    found: dict[str, Interval | None] = {}
    for name, p in PERCENTILES.items():
        value = getattr(percentiles, name)
        if value is None:
            continue
        if len(rounds) > 1:
            per_round = [
                statistics.percentile(one.latencies_ms, p)
                for one in rounds
                if one.latencies_ms.size
            ]
            found[name] = statistics.interval_over_rounds(value, per_round)
        else:
            found[name] = statistics.percentile_interval(latencies, p)
    origin = None if not found else "rounds" if len(rounds) > 1 else "samples"
    return PercentileIntervals(**found), origin


def _interval(estimate: float | None, per_round: Sequence[float]) -> Interval | None:
    return None if estimate is None else statistics.interval_over_rounds(estimate, per_round)


def _target_use(records: Sequence[RoundRecord], rounds: Sequence[_Round]) -> TargetUse:
    readings = [reading for record in records for reading in record.target]
    costs = [
        one.result.cpu_ms_per_request for one in rounds if one.result.cpu_ms_per_request is not None
    ]
    busy = [
        one.cpu_ms / 1e3 / one.result.window_s
        for one in rounds
        if one.cpu_ms is not None and one.result.window_s > 0
    ]
    lags_ms = np.array(
        [
            lag / 1e6
            for record in records
            if record.driver is not None
            for at, lag in record.loop_lag
            if record.driver.window_start_ns <= at <= record.driver.window_end_ns
        ]
    )
    cost = float(np.median(costs)) if costs else None
    return TargetUse(
        cpu_ms_per_request=cost,
        cpu_ms_per_request_ci=_interval(cost, costs),
        cpu_fraction=float(np.median(busy)) if busy else None,
        rss_mib=max((r.rss_bytes for r in readings), default=0) / 1024**2 if readings else None,
        threads=max(r.threads for r in readings) if readings else None,
        loop_lag_ms=LoopLag(
            p50=statistics.percentile(lags_ms, 0.5) if lags_ms.size else None,
            p99=statistics.percentile(lags_ms, 0.99) if lags_ms.size else None,
            max=float(lags_ms.max()) if lags_ms.size else None,
        ),
    )


def _driver_use(records: Sequence[RoundRecord], rounds: Sequence[_Round]) -> DriverUse:
    reports = [record.driver for record in records if record.driver is not None]
    if not reports or not rounds:
        return DriverUse()
    fractions = [
        report.cpu_s / ((report.window_end_ns - report.window_start_ns) / 1e9)
        for report in reports
        if report.window_end_ns > report.window_start_ns
    ]
    return DriverUse(
        cpu_fraction=max(fractions, default=None),
        loop_lag_ms=LoopLag(
            p50=None,
            p99=max(report.loop_lag_ms_p99 for report in reports),
            max=max(report.loop_lag_ms_max for report in reports),
        ),
        late_sends=max(one.late_sends for one in rounds),
        send_spread_ms=max(one.send_spread_ms for one in rounds),
    )


def _steps(samples: pd.DataFrame) -> tuple[StepResult, ...]:
    found = []
    for step, rows in samples.groupby("step", observed=True, sort=False):
        right = rows[rows["error"].astype(str) == ""]
        errors = len(rows) - len(right)
        latency = _percentiles(_latencies_ms(right))
        found.append(StepResult(str(step), len(rows), errors, latency))
    return tuple(found)


def _missing_samples(records: Sequence[RoundRecord], samples: pd.DataFrame) -> int:
    found = samples["round"].value_counts()
    return sum(
        max(0, record.driver.requests - int(found.get(record.round, 0)))
        for record in records
        if record.driver is not None
    )


def _audit(audit: Audit, records: Sequence[RoundRecord], samples: pd.DataFrame) -> AuditResult:
    """Hold the rows against the acknowledged writes, round by round: errors must not cancel out."""
    acknowledged = uncertain = found = 0
    ok = True
    for record in records:
        counts = [c.after - c.before for c in record.audits if c.what == audit.what]
        rows = samples[samples["round"] == record.round]
        if record.state != "measured" and (not counts or rows.empty):
            continue  # A driver that was killed left no samples to hold the rows against.
        relevant = rows[rows["step"].isin(list(audit.effect))]
        errors = relevant["error"].astype(str)
        effects = relevant["step"].astype(str).map(audit.effect).astype(int)
        surely = int(effects[errors == ""].sum())
        perhaps = effects[errors.isin(_UNCERTAIN)]
        # A create that has no answer may have added its row; it cannot excuse one that is gone.
        least = surely + int(perhaps[perhaps < 0].sum())
        most = surely + int(perhaps[perhaps > 0].sum())
        ok = ok and bool(counts) and least <= counts[0] <= most
        acknowledged += surely
        uncertain += int((perhaps != 0).sum())
        found += sum(counts)
    return AuditResult(audit.what, acknowledged, uncertain, found, ok)


_UNCERTAIN = frozenset(
    {
        ErrorKind.TIMEOUT,
        ErrorKind.RESET,
        ErrorKind.PROTOCOL,
        ErrorKind.SERVER_ERROR,
        ErrorKind.ABANDONED,
        # The status said that it was done, the body something else: it may have been done.
        ErrorKind.WRONG_ANSWER,
    }
)


def _examples(records: Sequence[RoundRecord]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.driver is not None:
            for kind, messages in record.driver.error_examples.items():
                found.setdefault(kind, {}).update(dict.fromkeys(messages))
    return {kind: tuple(messages)[:3] for kind, messages in found.items()}
