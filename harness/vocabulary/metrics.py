"""The metrics: one row each, from which tables, CSV columns, comparisons and series are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Literal, TypeAlias

from loopmark.harness.vocabulary.figures import Figures, Interval, RoundResult
from loopmark.harness.vocabulary.loads.model import DELIVERY, Traits

Value: TypeAlias = str | int | float | None
"""None where there are too few samples, or nothing was sampled."""

Form: TypeAlias = Literal[
    "count",
    "number",
    "share",
    "part",
    "reach",
    "knee",
    "words",
    "seconds",
    "milliseconds",
    "ms_in_us",
    "microseconds",
    "mebibytes",
    "kibibytes",
]
"""How a value is printed, with its unit. `part`: a count and its share of `whole`; `ms_in_us`:
milliseconds of something small."""

TableName: TypeAlias = Literal["answers", "clients", "costs", "database", "times"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a cell.

    Attributes:
        key: Its name in `results.json`.
        of: Its value in the figures of a cell, over all rounds.
        interval: Its 95% interval there; None where it never has one.
        of_round: Its value in a single round; None for what is not compared.
        better: Which direction is better; empty where neither is.
        form: How it is printed.
        whole: What a `part` or a `reach` is a share of.
        heading: The column's heading; empty for metrics that only data formats show.
        short: The same where there is little room.
        subject: What it is, in a sentence.
        ratio: The sentence about a ratio of two of them.
        brief: The same without names; with `{speed}` in place of `{times}` it is about the inverse
            ratio. Empty: a multiple of the subject.
        gain: What the other one is when its figure is better.
        csv: Name of its CSV column, for programs: it stays once it is released. Empty: the key.
        applies: Whether a load has it.
    """

    key: str
    of: Callable[[Figures], Any]
    interval: Callable[[Figures], Interval | None] | None = None
    of_round: Callable[[RoundResult], float | None] | None = None
    better: Literal["more", "less", ""] = ""
    form: Form = "number"
    whole: Callable[[Figures], int | None] = attrgetter("requests")
    heading: str = ""
    short: str = ""
    subject: str = ""
    ratio: str = ""
    brief: str = ""
    gain: str = "better"
    csv: str = ""
    applies: Callable[[Traits], bool] = lambda _: True

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its CSV columns: its own, and those of the interval's bounds."""
        name = self.csv or self.key
        return (name, f"{name}_low", f"{name}_high") if self.interval else (name,)


def _has_dues(traits: Traits) -> bool:
    return traits.has_dues


def _is_scheduled(traits: Traits) -> bool:
    return traits.is_scheduled


def _latency(share: str, heading: str, **more: Any) -> Metric:  # noqa: ANN401 - fields of a metric
    return Metric(
        key=f"latency_ms.{share}",
        of=attrgetter(f"latency_ms.{share}"),
        interval=None if share == "max" else attrgetter(f"latency_ms_ci.{share}"),
        better="less",
        form="milliseconds",
        heading=heading,
        brief=f"{{times}} times the {heading}",
        gain="faster",
        csv=f"latency_{share}_ms",
        **more,
    )


def _compared_latency(share: str, percent: str) -> Metric:
    subject = f"the {percent}th percentile of latency"
    return _latency(
        share,
        share,
        of_round=attrgetter(f"latency_ms.{share}"),
        subject=subject,
        ratio=f"{subject} of {{other}} is {{times}} times that of {{base}}",
    )


def _figure(key: str, of: str, form: Form = "number", heading: str = "", **more: Any) -> Metric:  # noqa: ANN401 - fields of a metric
    return Metric(key=key, of=attrgetter(of), form=form, heading=heading, **more)


def _percentiles(of: str, what: str, **more: Any) -> tuple[Metric, ...]:  # noqa: ANN401 - fields of a metric
    return tuple(
        _figure(f"{of}_{share}_ms", f"{of}_ms.{share}", "milliseconds", f"{what} {share}", **more)
        for share in ("p50", "p90", "p95", "p99", "p999", "max")
    )


def _phase(of: str, what: str, **more: Any) -> tuple[Metric, ...]:  # noqa: ANN401 - fields of a metric
    return tuple(
        _figure(f"{of}_{share}_ms", f"phases_ms.{of}.{share}", "milliseconds", heading, **more)
        for share in ("p50", "p99")
        for heading in [f"{what} {share}"]
    )


def _of_fan_out(name: str, heading: str = "", form: Form = "count", of: str = "") -> Metric:
    """Whether the load is a fan-out."""
    value = attrgetter(of or name)
    return Metric(
        key=f"fan_out_{name}",
        of=lambda figures: None if figures.fan_out is None else value(figures.fan_out),
        form=form,
        heading=heading,
    )


def _fan_out_percentiles(of: str, what: str) -> tuple[Metric, ...]:
    return tuple(
        _of_fan_out(f"{of}_{share}_ms", f"{what} {share}", "milliseconds", f"{of}_ms.{share}")
        for share in ("p50", "p90", "p99", "max")
    )


_ROWS = (
    _figure("requests", "requests", "count", "Requests"),
    _figure("errors", "errors", "part", "Errors", better="less"),
    Metric(
        key="makespan_s",
        of=attrgetter("makespan_s"),
        interval=attrgetter("makespan_s_ci"),
        of_round=attrgetter("makespan_s"),
        better="less",
        form="seconds",
        heading="Time to last response",
        short="last",
        subject="the time to the last response",
        ratio="{other} takes {times} times as long as {base} to the last response",
        brief="{speed} times as fast",
        gain="faster",
        applies=lambda traits: traits.ends_with_last_answer,
    ),
    Metric(
        key="throughput_rps",
        of=attrgetter("throughput_rps"),
        interval=attrgetter("throughput_rps_ci"),
        of_round=attrgetter("throughput_rps"),
        better="more",
        heading="Requests/s",
        short="rate/s",
        subject="throughput",
        ratio="{other} has {times} times the throughput of {base}",
        brief="{times} times the throughput",
        gain="faster",
        applies=lambda traits: not traits.ends_with_last_answer,
    ),
    _latency(
        "p50",
        "p50",
        of_round=attrgetter("latency_ms.p50"),
        subject="the median latency",
        ratio="the median latency of {other} is {times} times that of {base}",
    ),
    _compared_latency("p90", "90"),
    _latency("p95", "p95"),
    _compared_latency("p99", "99"),
    _latency("p999", "p99.9"),
    _latency("max", "max"),
    _figure("latency_intervals_from", "latency_ci_from", "words"),
    Metric(
        key="cpu_ms_per_request",
        of=attrgetter("target_use.cpu_ms_per_request"),
        interval=attrgetter("target_use.cpu_ms_per_request_ci"),
        of_round=attrgetter("cpu_ms_per_request"),
        better="less",
        form="milliseconds",
        heading="CPU per request",
        short="CPU/req",
        subject="CPU per request",
        ratio="{other} uses {times} times the CPU per request of {base}",
        brief="{times} times the CPU",
        gain="cheaper",
        csv="target_cpu_ms_per_request",
    ),
    _figure("target_cpu_fraction", "target_use.cpu_fraction", "share", "CPU utilization"),
    _figure("target_rss_mib", "target_use.rss_mib", "mebibytes", "Memory", better="less"),
    _figure("target_threads", "target_use.threads", "count", "Threads"),
    _figure("target_loop_lag_p50_ms", "target_use.loop_lag_ms.p50", "milliseconds"),
    _figure("target_loop_lag_p99_ms", "target_use.loop_lag_ms.p99", "milliseconds", "Loop lag p99"),
    _figure("target_loop_lag_max_ms", "target_use.loop_lag_ms.max", "milliseconds", "Loop lag max"),
    _figure("driver_cpu_fraction", "driver_use.cpu_fraction", "share", "Driver CPU"),
    _figure(
        "driver_loop_lag_p99_ms", "driver_use.loop_lag_ms.p99", "milliseconds", "Driver lag p99"
    ),
    _figure("driver_loop_lag_max_ms", "driver_use.loop_lag_ms.max", "milliseconds"),
    _figure("driver_late_sends_fraction", "driver_use.late_sends", "share"),
    _figure(
        "driver_send_spread_ms",
        "driver_use.send_spread_ms",
        "milliseconds",
        "Send spread",
        applies=_has_dues,
    ),
    _figure("refused", "refused", "part", "Refused", better="less", applies=_is_scheduled),
    _figure("offered_rps", "offered_rps", "number", "Offered/s", applies=_is_scheduled),
    _figure(
        "knee_rps",
        "knee_rps",
        "knee",
        "Max sustained rate",
        interval=attrgetter("knee_rps_ci"),
        short="sustained",
        better="more",
        applies=lambda traits: traits.is_staged,
    ),
    *_percentiles("response", "Response", applies=_has_dues),
    *_percentiles("service", "Service"),
    *_phase("to_send", "To send", applies=_has_dues),
    _figure("new_connections", "phases_ms.connecting.requests", "count", "New connections"),
    *_phase("connecting", "Connecting"),
    *_phase("to_first_byte", "To first byte"),
    *_phase("transfer", "Transfer"),
    _figure("target_sockets", "target_use.sockets", "count", "Sockets"),
    _figure(
        "target_context_switches_per_request",
        "target_use.context_switches_per_request",
        heading="Context switches per request",
    ),
    _figure(
        "database_cpu_ms_per_request",
        "database_use.cpu_ms_per_request",
        "milliseconds",
        "Database CPU per request",
    ),
    _figure("database_cpu_fraction", "database_use.cpu_fraction", "share", "CPU utilization"),
    _figure("database_connections", "database_use.connections", "count", "Connections"),
    _figure("database_active", "database_use.active", heading="Active"),
    _figure(
        "database_idle_in_transaction",
        "database_use.idle_in_transaction",
        heading="Idle in transaction",
    ),
    _figure("database_waiting", "database_use.waiting", heading="Waiting for a lock"),
    _figure("database_waiting_max", "database_use.waiting_max", "count", "Waiting, max"),
    _figure(
        "database_transactions_per_request",
        "database_use.transactions_per_request",
        heading="Transactions per request",
    ),
    _figure(
        "database_rollbacks_per_request",
        "database_use.rollbacks_per_request",
        heading="Rollbacks per request",
    ),
    _figure(
        "database_cache_hits_fraction",
        "database_use.cache_hits",
        "share",
        "Buffer cache hits",
    ),
    _figure("target_files", "target_use.files", "count", "Open files"),
    _of_fan_out("published"),
    _of_fan_out("expected"),
    _of_fan_out("received"),
    replace(
        _of_fan_out("reach", "Reach", "reach"),
        whole=lambda figures: figures.fan_out.expected if figures.fan_out else None,
        short="reach",
        better="more",
    ),
    _of_fan_out("duplicates", "Duplicates"),
    _of_fan_out("out_of_order", "Out of order"),
    # There are as many spreads as publications: hardly ever enough for a 99th percentile.
    *_fan_out_percentiles("spread", "Spread"),
    _of_fan_out("delivered_per_s", "Deliveries per second", "number"),
    _of_fan_out("reconnects", "Reconnects"),
    _of_fan_out("closed", "Closed by the target"),
    _of_fan_out("slow_heard", "Received by slow clients"),
    _of_fan_out("dropped", "Dropped by the target"),
    _of_fan_out("driver_cpu_us", "Driver CPU per delivery", "microseconds"),
    _of_fan_out("kib_per_connection", "Memory per connection", "kibibytes"),
    *_fan_out_percentiles("connect", "Connect"),
)

METRICS: Mapping[str, Metric] = {row.key: row for row in _ROWS}
"""By key, in the order of the CSV columns: a new one goes to the end."""


def _of_deliveries(key: str, **changed: Any) -> Metric:  # noqa: ANN401 - fields of a metric
    return replace(METRICS[key], **changed)


def _within(share: str, percent: int, **changed: Any) -> Metric:  # noqa: ANN401 - fields of a metric
    return _of_deliveries(
        f"latency_ms.{share}",
        subject=f"the {percent}th percentile of delivery latency",
        ratio=(
            f"the {percent}th percentile of delivery latency of {{other}} is {{times}} times that "
            "of {base}"
        ),
        **changed,
    )


def _at_one_rate(traits: Traits) -> bool:
    """A load with stages shows only these figures of all its rates together."""
    return not traits.is_staged


_DELIVERY_ROWS = (
    _of_deliveries(
        "latency_ms.p50",
        subject="the median delivery latency",
        ratio="the median delivery latency of {other} is {times} times that of {base}",
        # The interval of the tail is the one to look at, and there is no room for more.
        interval=None,
    ),
    _within("p90", 90, applies=_at_one_rate),
    _within("p99", 99),
    _of_deliveries("fan_out_spread_p50_ms", applies=_at_one_rate),
    _of_deliveries("fan_out_spread_p90_ms", applies=_at_one_rate),
    _of_deliveries(
        "cpu_ms_per_request",
        heading="CPU per delivery",
        short="CPU/dlv",
        form="ms_in_us",
        subject="CPU per delivery",
        ratio="{other} uses {times} times the CPU per delivery of {base}",
    ),
    _of_deliveries("target_context_switches_per_request", heading="Context switches per delivery"),
    _of_deliveries(
        "database_cpu_ms_per_request", heading="Database CPU per delivery", form="ms_in_us"
    ),
    _of_deliveries("database_transactions_per_request", heading="Transactions per delivery"),
    _of_deliveries("database_rollbacks_per_request", heading="Rollbacks per delivery"),
    *(
        _of_deliveries(f"{of}_{share}_ms", heading=f"{what} {share}")
        for of, what in (("response", "Due to received"), ("service", "Emitted to received"))
        for share in ("p50", "p99", "max")
    ),
    *(
        _of_deliveries(f"to_send_{share}_ms", heading=f"Due to emitted {share}")
        for share in ("p50", "p99")
    ),
)
_OF_DELIVERIES = {**METRICS, **{row.key: row for row in _DELIVERY_ROWS}}

_BOTH_TIMES = tuple(
    f"{of}_{share}_ms" for share in ("p50", "p99", "max") for of in ("response", "service")
)
_TABLES: Mapping[TableName, tuple[str, ...]] = {
    "answers": (
        *("requests", "errors", "makespan_s", "refused", "knee_rps", "offered_rps"),
        "throughput_rps",
        *(f"latency_ms.{share}" for share in ("p50", "p90", "p95", "p99", "p999", "max")),
    ),
    # The connections, and what became of clients that hardly read.
    "clients": (
        *(f"fan_out_connect_{share}_ms" for share in ("p50", "p99", "max")),
        *("fan_out_reconnects", "fan_out_dropped", "fan_out_closed", "fan_out_slow_heard"),
    ),
    # The target's resources, then the driver's.
    "costs": (
        *("cpu_ms_per_request", "fan_out_driver_cpu_us", "fan_out_kib_per_connection"),
        *("target_cpu_fraction", "target_rss_mib", "target_threads", "target_sockets"),
        *("target_files", "target_context_switches_per_request", "target_loop_lag_p99_ms"),
        *("target_loop_lag_max_ms", "driver_cpu_fraction", "driver_loop_lag_p99_ms"),
        "driver_send_spread_ms",
    ),
    "database": (
        *("database_cpu_ms_per_request", "database_cpu_fraction", "database_connections"),
        *("database_active", "database_idle_in_transaction", "database_waiting"),
        *("database_waiting_max", "database_transactions_per_request"),
        *("database_rollbacks_per_request", "database_cache_hits_fraction"),
    ),
    # Response time and service time side by side, then the parts that they are made of.
    "times": (
        *_BOTH_TIMES,
        *("to_send_p50_ms", "to_send_p99_ms", "new_connections"),
        *("connecting_p50_ms", "connecting_p99_ms", "to_first_byte_p50_ms"),
        *("to_first_byte_p99_ms", "transfer_p50_ms", "transfer_p99_ms"),
    ),
}
_DELIVERY_TABLES: Mapping[TableName, tuple[str, ...]] = {
    **_TABLES,
    # Deliveries to active clients; percentiles from emitted to received.
    "answers": (
        *("knee_rps", "fan_out_reach", "fan_out_duplicates", "fan_out_out_of_order"),
        "fan_out_delivered_per_s",
        *(f"latency_ms.{share}" for share in ("p50", "p90", "p99", "max")),
        *("fan_out_spread_p50_ms", "fan_out_spread_p90_ms"),
    ),
    # Until the target emitted it, and from there on.
    "times": (*_BOTH_TIMES, "to_send_p50_ms", "to_send_p99_ms"),
}


def metric(key: str, traits: Traits) -> Metric:
    """A metric, as it is worded for what a load's samples are.

    Raises:
        KeyError: There is no such metric.
    """
    return (_OF_DELIVERIES if traits.unit == DELIVERY else METRICS)[key]


def table(name: TableName, traits: Traits) -> tuple[Metric, ...]:
    """The metrics of a table under a load, in reading order."""
    keys = (_DELIVERY_TABLES if traits.unit == DELIVERY else _TABLES)[name]
    return tuple(one for key in keys if (one := metric(key, traits)).applies(traits))
