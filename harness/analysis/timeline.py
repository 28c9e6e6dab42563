"""The window of a round in equal intervals, for charts over time. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from loopmark.harness.analysis.resource_use import MIB, with_cpu
from loopmark.harness.vocabulary.figures import TimelinePoint
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.record import (
    RAN_TO_THEIR_END,
    DatabaseReading,
    RoundRecord,
    TargetReading,
)

MOST_MOMENTS = 60
LEAST_MOMENT_S = 0.1
"""An interval is at least as long as the time between readings, or it would only repeat them."""

Reading = TypeVar("Reading", TargetReading, DatabaseReading)
Numbers = npt.NDArray[np.float64]


def over_time(records: Sequence[RoundRecord]) -> tuple[TimelinePoint, ...]:
    """The window of the first round that was measured to its end, in at most 60 equal intervals."""
    for record in records:
        if record.state in RAN_TO_THEIR_END and record.driver is not None:
            return _points(record, record.driver)
    return ()


def _points(record: RoundRecord, driver: DriverReport) -> tuple[TimelinePoint, ...]:
    start, end = driver.window_start_ns, driver.window_end_ns
    count = min(MOST_MOMENTS, int((end - start) / 1e9 / LEAST_MOMENT_S + 1e-9))
    if count < 1:
        return ()
    edges = np.linspace(start, end, count + 1)
    target, database = record.target, record.database
    # Every column: a figure for each stretch.
    columns = {
        "cpu_fraction": _per_second(edges, target, lambda one: one.cpu_ns / 1e9),
        "rss_mib": _means(edges, target, lambda one: one.rss_bytes / MIB),
        "threads": _means(edges, target, lambda one: one.threads),
        "sockets": _means(edges, target, lambda one: one.sockets),
        "context_switches_per_s": _per_second(edges, target, lambda one: one.context_switches),
        "connections": _means(edges, database, lambda one: one.connections),
        "active": _means(edges, database, lambda one: one.active),
        "waiting": _means(edges, database, lambda one: one.waiting),
        "database_cpu_fraction": _per_second(
            edges, with_cpu(database), lambda one: (one.cpu_ns or 0) / 1e9
        ),
    }
    middles = (edges[:-1] + edges[1:]) / 2
    return tuple(
        TimelinePoint(
            t_s=_short((middle - start) / 1e9),
            **dict(zip(columns, figures, strict=True)),
        )
        for middle, *figures in zip(middles, *columns.values(), strict=True)
    )


def _per_second(
    edges: Numbers, readings: Sequence[Reading], counter: Callable[[Reading], float]
) -> list[float | None]:
    """The increase of a counter per second; None for an interval that the readings do not span."""
    if not readings:
        return [None] * (len(edges) - 1)
    times = [one.at_ns for one in readings]
    at_edges = np.interp(edges, times, [counter(one) for one in readings])
    rates = np.diff(at_edges) / np.diff(edges) * 1e9
    return [
        _short(rate) if times[0] <= before and after <= times[-1] else None
        for rate, before, after in zip(rates, edges[:-1], edges[1:], strict=True)
    ]


def _means(
    edges: Numbers, readings: Sequence[Reading], gauge: Callable[[Reading], float]
) -> list[float | None]:
    """The mean of the readings in each interval; without any, the last reading before."""
    times = [one.at_ns for one in readings]
    values = [gauge(one) for one in readings]
    found: list[float | None] = []
    for before, after in pairwise(edges):
        first, beyond = np.searchsorted(times, (before, after))
        if first < beyond:
            found.append(_short(float(np.mean(values[first:beyond]))))
        else:
            found.append(_short(values[first - 1]) if 0 < first < len(values) else None)
    return found


def _short(value: float) -> float:
    """Four digits are enough for a chart, and keep the results small."""
    return float(f"{value:.4g}")
