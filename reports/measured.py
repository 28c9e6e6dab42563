"""The headline of a run without documented figures."""

from __future__ import annotations

from collections.abc import Iterable

from loopmark.harness.vocabulary.figures import Figures, StepResult
from loopmark.harness.vocabulary.record import RunRecord
from loopmark.harness.vocabulary.result import CellResult, Invalid, RunResults
from loopmark.reports import formatting, objections, wording


def facts(run: RunRecord) -> tuple[tuple[str, str], ...]:
    """The measured locustfiles, as names and values; empty without any."""
    loads = dict.fromkeys(wording.planned(cell.load) for cell in run.cells)
    targets = ", ".join(target.url or target.name for target in run.targets)
    return tuple(
        fact
        for file in run.locustfiles
        for fact in (
            ("Locustfile", file.name),
            (
                "User classes" if len(file.user_classes) > 1 else "User class",
                ", ".join(file.user_classes),
            ),
            ("Shape", file.shape or "none: a fixed number of users"),
            ("Target", targets),
            ("Load", "; ".join(loads)),
        )
    )


_MOST_CELLS = 3
"""Of more than so many, the tables tell more than sentences do."""


def answer(results: RunResults) -> str:
    """The results, in a sentence for each cell if there are few."""
    cells = results.cells
    if not cells:
        return "nothing was measured"
    if len(cells) > _MOST_CELLS:
        valid = sum(cell.validity.is_valid for cell in cells) or "none"
        return (
            f"{len(cells)} cells were measured, {valid} of them valid; the tables have the figures"
        )
    return "; ".join(_answered(cell, _place(cell, results)) for cell in cells)


def sentences(results: RunResults) -> tuple[str, ...]:
    """The evidence for the answer; the tables have it where there are several cells."""
    return tuple(one for cell in results.cells for one in _behind(cell) if len(results.cells) == 1)


def _place(cell: CellResult, results: RunResults) -> str:
    """Which of several cells it is: its load, its driver and its scenario, where others differ."""
    others = [one for one in results.cells if one is not cell]
    parts = [wording.at_once(cell.load)] if any(one.load != cell.load for one in others) else []
    parts += [cell.driver] if any(one.driver != cell.driver for one in others) else []
    parts += [cell.scenario] if any(one.scenario != cell.scenario for one in others) else []
    return f" ({', '.join(parts)})" if parts else ""


def _answered(cell: CellResult, place: str) -> str:
    figures = cell.figures
    if isinstance(figures, Invalid):
        found = figures.validity
        why = next(iter(objections.sentences(found)), wording.VALIDITY[found.state])
        return f"the figures of {cell.target}{place} are invalid ({found.state}): {why}"
    if figures.makespan_s is not None:
        took = formatting.seconds(figures.makespan_s)
        many = formatting.count(cell.load.concurrency)
        return f"the target at {cell.target}{place} answered all {many} after {took}"
    rate = formatting.number(figures.throughput_rps)
    parts = [f"the target at {cell.target}{place} served {rate} requests per second"]
    median, tail = figures.latency_ms.p50, figures.latency_ms.p99
    if median is not None:
        parts.append(f"median latency {formatting.milliseconds(median)}")
    if tail is not None:
        parts.append(f"p99 {formatting.milliseconds(tail)}")
    return ", ".join(parts)


def _behind(cell: CellResult) -> Iterable[str]:
    figures = cell.figures
    if isinstance(figures, Invalid):
        return
    rounds = "one round" if cell.rounds == 1 else f"{formatting.count(cell.rounds)} rounds"
    yield f"{_measured(figures)} in {rounds}, by {wording.at_once(cell.load)}"
    if figures.makespan_s_ci is not None:
        interval = formatting.interval(figures.makespan_s_ci, formatting.seconds)
        yield f"the 95% interval of the time to the last response is {interval}"
    elif figures.throughput_rps_ci is not None:
        interval = formatting.interval(figures.throughput_rps_ci)
        yield f"the 95% interval of the throughput is {interval} requests per second"
    slowest = max(
        (step for step in figures.steps if step.latency_ms.p50 is not None),
        key=_median,
        default=None,
    )
    if slowest is not None and len(figures.steps) > 1:
        yield (
            f"of {len(figures.steps)} kinds of request, {slowest.step} has the highest median "
            f"latency, {formatting.milliseconds(slowest.latency_ms.p50)}"
        )


def _measured(figures: Figures) -> str:
    errors = "none failed" if not figures.errors else f"{figures.errors} failed"
    return f"{formatting.count(figures.requests)} requests were measured and {errors}"


def _median(step: StepResult) -> float:
    return step.latency_ms.p50 or 0.0
