"""The deliveries of a fan-out load: by which clients, when, how often, and in which order.

A delivery is a sample like any other (see `DELIVERY_STEP`). Publications, connections, requests of
HTTP users and deliveries to slow clients are in the same file, under steps of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from loopmark.harness.analysis import schedule, stages
from loopmark.harness.analysis.latencies import Latencies, joined, percentiles
from loopmark.harness.analysis.schedule import Arrivals
from loopmark.harness.analysis.stages import StageCount
from loopmark.harness.analysis.windows import right, within
from loopmark.harness.vocabulary.figures import FanOutFigures
from loopmark.harness.vocabulary.job import DriverReport, FanOutReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import Stage
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.sample import (
    CONNECT_STEP,
    DELIVERY_STEP,
    SLOW_DELIVERY_STEP,
    ErrorKind,
)

KIB = 1024


@dataclass(frozen=True, slots=True)
class FanOutCount:
    """The outcome of the publications of one round.

    Attributes:
        report: The driver's counts beside its samples.
        expected: Deliveries to active clients due in the window.
        received: Of these, those that were made.
        duplicates: Deliveries of an event that the client already had.
        out_of_order: Deliveries that came after a later publication.
        spread: For each publication, from the first client that received it to the last,
            milliseconds.
        connect: From connecting until the target's greeting, milliseconds.
        delivered_per_s: Correct deliveries received within the window, per second.
        driver_cpu_us: CPU microseconds of the driver per delivery received within the window.
        kib_per_connection: Growth of the target's memory while the clients connected, divided by
            their number.
    """

    report: FanOutReport
    expected: int
    received: int
    duplicates: int
    out_of_order: int
    spread: Latencies
    connect: Latencies
    delivered_per_s: float
    driver_cpu_us: float | None
    kib_per_connection: float | None


def deliveries(samples: pd.DataFrame) -> pd.DataFrame:
    """The deliveries to active clients."""
    return samples[samples["step"] == DELIVERY_STEP]


def heard(deliveries: pd.DataFrame) -> pd.DataFrame:
    """The deliveries made, each publication once per client, in any order."""
    return deliveries[deliveries["error"].isin(["", ErrorKind.OUT_OF_ORDER])]


def requests(samples: pd.DataFrame) -> pd.DataFrame:
    """The samples of publications and of HTTP users' requests."""
    return samples[~samples["step"].isin([DELIVERY_STEP, SLOW_DELIVERY_STEP, CONNECT_STEP])]


def publications(samples: pd.DataFrame) -> pd.DataFrame:
    """The publications of the deliveries.

    A delivery is due when its publication is, to the nanosecond; requests of HTTP users are due at
    other times. A failed publication may have no delivery; the driver reports the number of these.
    """
    due = pd.unique(deliveries(samples)["due_ns"])
    asked = requests(samples)
    return right(asked[asked["due_ns"].isin(due)])


def lateness_ms(report: DriverReport, samples: pd.DataFrame) -> Latencies:
    """From due to sent of the publications due in the window: the driver's own delay."""
    inside = within(publications(samples), "due_ns", report.window_start_ns, report.window_end_ns)
    found: Latencies = (inside["sent_ns"] - inside["due_ns"]).to_numpy(dtype=float) / 1e6
    return found


def arrivals(planned: float, report: DriverReport, samples: pd.DataFrame) -> Arrivals | None:
    """The schedule of one round and how it was kept; None where the driver does not report it.

    Args:
        planned: How many publications were to be due within the window.
        report: Of the driver.
        samples: All of the round's.
    """
    if report.fan_out is None:
        return None
    start, end = report.window_start_ns, report.window_end_ns
    inside = within(publications(samples), "due_ns", start, end)
    asked = within(requests(samples), "due_ns", start, end)
    # HTTP users are never refused: each has a connection of its own.
    others = report.fan_out.failed + int((asked["error"] == ErrorKind.REFUSED).sum())
    return schedule.arrivals(planned, report, inside, others)


def missing_samples(load: Load, report: DriverReport, samples: pd.DataFrame) -> int:
    """How many deliveries of acknowledged publications have no sample, neither made nor missed."""
    if report.fan_out is None:
        return 0
    due = within(deliveries(samples), "due_ns", report.window_start_ns, report.window_end_ns)
    expected = int((due["error"] != ErrorKind.DUPLICATE).sum())
    return max(0, report.fan_out.published * load.readers - expected)


def count(load: Load, record: RoundRecord, samples: pd.DataFrame) -> FanOutCount | None:
    """Evaluate one round; None where the driver reported no counts."""
    report = record.driver
    if report is None or report.fan_out is None:
        return None
    start, end = report.window_start_ns, report.window_end_ns
    every = deliveries(samples)
    due = within(every, "due_ns", start, end)
    made = heard(due)
    kinds = due["error"].value_counts()
    in_time = within(heard(every), "done_ns", start, end)
    window_s = (end - start) / 1e9
    connects = right(samples[samples["step"] == CONNECT_STEP])
    return FanOutCount(
        report=report.fan_out,
        expected=len(due) - int(kinds.get(ErrorKind.DUPLICATE, 0)),
        received=len(made),
        duplicates=int(kinds.get(ErrorKind.DUPLICATE, 0)),
        out_of_order=int(kinds.get(ErrorKind.OUT_OF_ORDER, 0)),
        spread=_spread_ms(made),
        connect=(connects["done_ns"] - connects["sent_ns"]).to_numpy(dtype=float) / 1e6,
        delivered_per_s=len(right(in_time)) / window_s if window_s > 0 else 0.0,
        driver_cpu_us=report.cpu_s * 1e6 / len(in_time) if len(in_time) else None,
        kib_per_connection=_kib_per_connection(load, record, start),
    )


def figures(rounds: Sequence[FanOutCount]) -> FanOutFigures | None:
    """All rounds combined; None without any."""
    if not rounds:
        return None
    reports = [one.report for one in rounds]
    expected, received = (
        sum(one.expected for one in rounds),
        sum(one.received for one in rounds),
    )
    return FanOutFigures(
        published=sum(one.published for one in reports),
        expected=expected,
        received=received,
        reach=received / expected if expected else None,
        duplicates=sum(one.duplicates for one in rounds),
        out_of_order=sum(one.out_of_order for one in rounds),
        spread_ms=percentiles(joined([one.spread for one in rounds])),
        delivered_per_s=_median([one.delivered_per_s for one in rounds]),
        reconnects=sum(one.reconnects for one in reports),
        closed=sum(one.closed for one in reports),
        slow_heard=sum(one.slow_heard for one in reports),
        dropped=_dropped(reports),
        driver_cpu_us=_median([one.driver_cpu_us for one in rounds]),
        kib_per_connection=_median([one.kib_per_connection for one in rounds]),
        connect_ms=percentiles(joined([one.connect for one in rounds])),
    )


def stage_counts(
    of: Sequence[Stage], report: DriverReport, samples: pd.DataFrame
) -> tuple[StageCount, ...]:
    """Count one round of steps, stage by stage: due are the expected deliveries.

    Duplicates are not due, and publications that failed or were refused have no deliveries due; all
    still count as errors of their stage. There are no HTTP users under this load.
    """
    again = samples["error"] == ErrorKind.DUPLICATE
    delivery = samples["step"] == DELIVERY_STEP
    expected = stages.counts(of, report, samples[delivery & ~again])
    others = stages.counts(of, report, pd.concat([samples[delivery & again], requests(samples)]))
    return tuple(
        replace(one, error_kinds=one.error_kinds + other.error_kinds)
        for one, other in zip(expected, others, strict=True)
    )


def _spread_ms(made: pd.DataFrame) -> Latencies:
    """From the first to the last client, by publication: no two are due at the same moment."""
    times = made.groupby("due_ns", sort=False)["done_ns"].agg(["min", "max"])
    found: Latencies = (times["max"] - times["min"]).to_numpy(dtype=float) / 1e6
    return found


def _kib_per_connection(load: Load, record: RoundRecord, start_ns: int) -> float | None:
    """The driver connects between the first reading and the start of the window."""
    if not record.target:
        return None
    before = record.target[0]
    after = min(record.target, key=lambda reading: abs(reading.at_ns - start_ns))
    if after is before:
        return None
    return (after.rss_bytes - before.rss_bytes) / KIB / load.audience


def _dropped(reports: Sequence[FanOutReport]) -> int | None:
    """By the target's own count; None unless it was reported in every round."""
    found = 0
    for report in reports:
        if report.before is None or report.after is None:
            return None
        found += report.after.dropped - report.before.dropped
    return found


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
