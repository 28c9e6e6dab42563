"""The columns of the result tables, and their texts; those of a cell are the metrics."""

from collections.abc import Sequence

from loopmark.harness.vocabulary import metrics
from loopmark.harness.vocabulary.figures import Figures, StageResult, StepResult, WorkerUse
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import DELIVERY
from loopmark.harness.vocabulary.metrics import Metric, TableName, Value
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.reports import clocks, formatting, wording
from loopmark.reports.formatting import MISSING

FEW_SAMPLES_NOTE = (
    f"{MISSING} marks a percentile with too few samples: at least 10 must lie above it, so p99 "
    "needs 1,000 samples and p99.9 needs 10,000."
)

WORDS = frozenset(
    {"Target", "Driver", "Validity", "Scenario", "Load", "Figure", "In words", "Request", "Step"}
    | {"Kind", "Kind of error", "Examples", "Worker", "Clock", "Lost", "Cell", "Measured"}
    | {"Answer", "Ratio of", "Of", "What", "Passed"}
    | {"Mistake", "Symptom, as measured", "Showing"}
)
"""Headings of columns without figures."""

_TAIL = "latency_ms.p999"


def shown(cell: CellResult) -> Figures:
    """The figures of a cell, for tables and charts that show its validity beside them."""
    return cell.figures_despite(cell.validity)


def errors(cell: CellResult) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The errors of a cell: by kind and status, their number as text, and the first few messages.

    Failures of a locustfile outside its requests may have a message without a number.
    """
    alike = [(one.name, formatting.count(one.many), one.examples) for one in cell.failures]
    told = {one.kind for one in cell.failures}
    beside = [ErrorKind.LOCUSTFILE] if ErrorKind.LOCUSTFILE in cell.error_examples else []
    others = (
        (
            kind,
            formatting.count(cell.error_kinds.get(kind)),
            cell.error_examples.get(kind, ()),
        )
        for kind in dict.fromkeys([*cell.error_kinds, *beside])
        if kind not in told
    )
    return (*alike, *others)


def several_errors(cell: CellResult) -> str:
    """How many of each kind there are; empty where a reason says all."""
    told = [f"{many} {kind}" for kind, many, _ in errors(cell)]
    return formatting.listed(told) if len(told) > 1 else ""


def printed(metric: Metric, value: Value) -> str:
    """A value of a metric, with its unit."""
    return formatting.FORMS[metric.form](value)


def text(metric: Metric, figures: Figures) -> str:
    """A metric of a cell, with its unit."""
    if metric.form == "knee":
        return wording.knee(figures)
    value, whole = metric.of(figures), metric.whole(figures)
    return (
        formatting.share_of(value, whole or 0) if metric.form == "part" else printed(metric, value)
    )


def interval(metric: Metric, figures: Figures) -> str:
    """Its 95% interval, or what it is a share of; empty without either."""
    if metric.form == "reach":
        return f"of {formatting.count(metric.whole(figures))}" if figures.fan_out else ""
    bounds = metric.interval and metric.interval(figures)
    return formatting.interval(bounds, lambda bound: printed(metric, bound)) if bounds else ""


def table(name: TableName, cells: Sequence[CellResult]) -> tuple[Metric, ...]:
    """The columns of a table that have a value for at least one of these cells."""
    return present(metrics.table(name, cells[0].load.traits), cells)


def present(columns: Sequence[Metric], cells: Sequence[CellResult]) -> tuple[Metric, ...]:
    """The metrics that have a value for at least one of these cells."""
    return tuple(one for one in columns if any(text(one, shown(cell)) != MISSING for cell in cells))


def answers(load: Load) -> tuple[Metric, ...]:
    """The columns of responses, or deliveries, under a load."""
    return metrics.table("answers", load.traits)


def shown_answers(cells: Sequence[CellResult]) -> tuple[Metric, ...]:
    """The same columns for a page.

    Cells of locustfiles have long names: with few samples, the last percentile is omitted to make
    room.
    """
    found, load = answers(cells[0].load), cells[0].load
    seen = found if load.traits.has_dues else present(found, cells)
    return tuple(one for one in found if one in seen or one.key != _TAIL)


_CLIENTS_SHARE = 2.0
_CALIBRATED_RPS = 50.0
"""What Locust's clients add to a median, over the driver's CPU time per request: 1.2 to 2.4 from 50
to 400 requests per second. At fewer the driver's own rest is most of its CPU time
(docs/locust-accuracy.md)."""


def client_notes(cell: CellResult) -> tuple[str, ...]:
    """What a reader of times that a client of its own has measured must know: none of others."""
    figures = shown(cell)
    if cell.load.traits.has_dues or figures.latency_ms.max is None:
        return ()
    cost_ms, rate = figures.driver_use.cpu_ms_per_request, figures.throughput_rps or 0.0
    known = cost_ms is not None and rate >= _CALIBRATED_RPS
    adds = formatting.milliseconds(_CLIENTS_SHARE * (cost_ms or 0.0))
    found = [
        f"Locust's client measures these times itself: its own work adds about {adds} to each"
        if known
        else "Locust's client measures these times itself: a few milliseconds are its own work"
    ]
    found += [
        f"{name} needs {formatting.roughly(figures.seconds_for[name])} of measuring at this rate"
        for name in ("p50", "p99")
        if name in figures.seconds_for
    ]
    return tuple(found)


def metric(key: str, load: Load) -> Metric:
    """A metric, as it is worded under a load."""
    return metrics.metric(key, load.traits)


def headline(load: Load) -> Metric:
    """The figure of a load where there is room for only one."""
    return metric(load.traits.headline, load)


def cost(load: Load) -> Metric:
    """The target's CPU per request, or per delivery."""
    return metric("cpu_ms_per_request", load)


_STAGES = ("Offered", "Sent", "Correct", "Refused", "Errors", "p50", "p99", "Sustained")
"""Headings of the stages of steps and ramps; the first three per second."""

_DELIVERY_STAGES = ("Deliveries due", "Received", "Reach", "Errors", "p50", "p99", "Sustained")
"""Headings of the stages of a fan-out; the first two per second."""


def stages(load: Load) -> tuple[str, ...]:
    """Headings of the stages of a load."""
    return _DELIVERY_STAGES if load.traits.unit == DELIVERY else _STAGES


def stage_texts(load: Load, stage: StageResult) -> tuple[str, ...]:
    """A stage under the headings `stages`."""
    offered, sent, answered = map(
        formatting.number, (stage.offered_rps, stage.sent_rps, stage.answered_rps)
    )
    first: tuple[str, ...] = offered, sent, answered, formatting.count(stage.refused)
    if load.traits.unit == DELIVERY:
        first = offered, answered, formatting.reach(wording.reached(stage))
    return (
        *first,
        formatting.count(stage.errors),
        formatting.milliseconds(stage.p50_ms),
        formatting.milliseconds(stage.p99_ms),
        "yes" if stage.kept_up else "no",
    )


WORKERS = ("Worker", "Rounds", "Samples", "Clock", "CPU", "Loop lag p99", "Lost")
"""Headings of the workers of a distributed driver."""


def worker_texts(worker: WorkerUse) -> tuple[str, ...]:
    """A worker under the headings `WORKERS`."""
    return (
        worker.name,
        formatting.count(worker.rounds),
        formatting.count(worker.samples),
        clocks.words(worker),
        formatting.share(worker.cpu_fraction),
        formatting.milliseconds(worker.loop_lag_ms_p99),
        worker.lost or "no",
    )


STEPS = ("Requests", "Errors", "p50", "p90", "p95", "p99", "p99.9", "max")
"""Headings of a step of the flow, or of a request by its name."""


def step_texts(step: StepResult) -> tuple[str, ...]:
    """A step under the headings `STEPS`."""
    found = step.latency_ms
    percentiles = (found.p50, found.p90, found.p95, found.p99, found.p999, found.max)
    return (
        formatting.count(step.requests),
        formatting.share_of(step.errors, step.requests),
        *map(formatting.milliseconds, percentiles),
    )
