"""Texts for comparisons, loads and validity, which claim no more than the figures show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from loopmark.harness.vocabulary import metrics
from loopmark.harness.vocabulary.cell import Validity, ValidityState
from loopmark.harness.vocabulary.comparison import Comparison, SeriesResult
from loopmark.harness.vocabulary.figures import Figures, StageResult
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import DELIVERY
from loopmark.harness.vocabulary.record import RunRecord
from loopmark.harness.vocabulary.result import CellResult, Invalid
from loopmark.reports import formatting
from loopmark.reports.formatting import Bounds

VALIDITY: Mapping[ValidityState, str] = MappingProxyType(
    {
        ValidityState.VALID: "all checks passed",
        ValidityState.INTERRUPTED: "not all planned rounds were completed",
        ValidityState.TARGET_DIED: "the target exited under load or did not start",
        ValidityState.WRONG_ANSWERS: (
            "some responses were wrong, or the rows in the database do not match the acknowledged "
            "writes"
        ),
        ValidityState.DRIVER_LIMITED: (
            "the load generator was saturated or late, so the figures show its own limit or a "
            "lower load than planned"
        ),
        ValidityState.ERRORS: (
            "requests failed, were refused or timed out, events did not reach every active client "
            "once and in order, or tasks of a locustfile raised exceptions"
        ),
        ValidityState.UNSTEADY: ("throughput or response time changed within the window"),
        ValidityState.LITTLES_LAW: (
            "throughput times latency does not equal the concurrency (Little's law): requests were "
            "miscounted, or a queue grew"
        ),
        ValidityState.TOO_FEW_SAMPLES: "too few responses for a median",
    }
)
"""Each state in plain words."""


def invalid(many: int, of: int) -> str:
    """How many of the cells are invalid."""
    cells = "cell" if of == 1 else "cells"
    return f"{many} of {of} {cells} {'is' if many == 1 else 'are'} invalid"


def bad_rounds(cells: Sequence[CellResult]) -> str:
    """How many rounds of valid cells do not count."""
    many = sum(len(cell.validity.rounds) for cell in cells)
    of = sum(cell.rounds for cell in cells)
    whose = "a valid cell" if len(cells) == 1 else f"{len(cells)} valid cells"
    return f"{many} of {of} rounds of {whose} {'does' if many == 1 else 'do'} not count"


def invalid_by_state(cells: Sequence[CellResult]) -> str:
    """How many cells are invalid, in groups of the same states; empty without any."""
    groups = Counter(
        formatting.listed(cell.validity.states) for cell in cells if not cell.validity.is_valid
    )
    if not groups:
        return ""
    parts = [f"{many} {states_}" for states_, many in groups.most_common()]
    return f"{invalid(groups.total(), len(cells))}: {', '.join(parts)}"


def interrupted(run: RunRecord) -> str:
    """The cells and rounds that an interrupted run did not reach."""
    what = "the plan was complete" if run.plan_toml else "the run time was over"
    return f"it ended before {what}"


def at_once(load: Load) -> str:
    """The load as part of a sentence."""
    return formatting.filled(load.words.at_once, load)


def size(load: Load) -> str:
    """The size of a load, for a column whose heading says what it counts."""
    return formatting.filled(load.words.size, load)


def crowd(load: Load) -> str:
    """The size, without slow and stalled clients and HTTP users."""
    return formatting.filled(load.words.crowd or load.words.size, load)


def others(load: Load) -> tuple[str, ...]:
    """The slow and stalled clients and HTTP users, in a few words."""
    return tuple(formatting.filled(one, load) for one in load.words.others)


def pace(load: Load) -> str:
    """The rate, where rate and size differ between loads; otherwise empty."""
    return formatting.filled(load.words.pace, load)


def planned(load: Load) -> str:
    """The load with its times, for the description of the method."""
    return formatting.filled(load.words.planned, load)


def knee(figures: Figures) -> str:
    """The rate up to which a target kept up."""
    if not figures.stages:
        return formatting.MISSING
    slowest = min(stage.rate for stage in figures.stages)
    fastest = max(stage.rate for stage in figures.stages)
    # The stages of a fan-out have round rates; those of a ramp are what it comes to.
    text = formatting.number if figures.fan_out is None else formatting.level
    if figures.knee_rps is None:
        return f"{text(fastest)} or more"
    return f"below {text(slowest)}" if figures.knee_rps == 0 else text(figures.knee_rps)


def knee_sentence(cell: CellResult) -> str:
    """The knee in a sentence, only if the cell is valid."""
    figures = cell.figures
    if isinstance(figures, Invalid):
        return (
            f"{cell.target}, {at_once(cell.load)}: invalid ({states(figures.validity)}), no limit "
            "reported"
        )
    who = f"{cell.target}, {at_once(cell.load)}:"
    if cell.load.traits.unit == DELIVERY:
        return f"{who} {_received_up_to(figures)}"
    if figures.knee_rps is None:
        fastest = max((stage.rate for stage in figures.stages), default=0.0)
        return (
            f"{who} sustained every stage, up to {formatting.number(fastest)} arrivals per second; "
            "its limit was not reached"
        )
    if figures.knee_rps == 0:
        return f"{who} fell behind in the slowest stage; its limit is below it"
    within = (
        f" (95% interval {formatting.interval(figures.knee_rps_ci)})" if figures.knee_rps_ci else ""
    )
    return (
        f"{who} sustained up to {formatting.number(figures.knee_rps)} arrivals per second{within}"
    )


def _received_up_to(figures: Figures) -> str:
    """The knee of a fan-out, and what happened beyond it."""
    stages = sorted(figures.stages, key=lambda stage: stage.rate)
    if not stages:
        return "nothing was measured"
    if figures.knee_rps is None:
        return (
            f"every client received every event in time in every stage, up to "
            f"{_publications(stages[-1])}; the limit was not reached"
        )
    broken = next((stage for stage in stages if not stage.kept_up), stages[-1])
    why = f"at {formatting.level(broken.rate)} {_what_broke(broken)}"
    if figures.knee_rps == 0:
        return f"not every client received every event in time, even in the slowest stage: {why}"
    kept = next(stage for stage in stages if stage.rate == figures.knee_rps)
    return f"every client received every event in time up to {_publications(kept)}; {why}"


def reached(stage: StageResult) -> float | None:
    """The share of the deliveries due in a stage that were correct; None if none was due."""
    return stage.answered_rps / stage.offered_rps if stage.offered_rps else None


def _publications(stage: StageResult) -> str:
    return (
        f"{formatting.level(stage.rate)} publications per second, "
        f"{formatting.number(stage.answered_rps)} deliveries per second"
    )


def _what_broke(stage: StageResult) -> str:
    if (reach := reached(stage)) is not None and reach < 1:
        return f"reach was {formatting.reach(reach)}"
    if stage.errors:
        return "publications failed or were refused"
    if stage.p99_ms is None:
        return "over 1% arrived late"
    return f"p99 was {formatting.milliseconds(stage.p99_ms)}"


def disturbance_sentence(found: Comparison) -> str:
    """The effect of slow and stalled clients on active ones, in one metric."""
    who = f"{found.target}, {at_once(found.load)}"
    about = subject(found.metric, found.load)
    if found.ratio is None:
        return f"{who}: the effect on active clients is inconclusive ({why(found)})"
    note = interval_note(found.ratio_ci, found.rounds)
    times = formatting.number(found.ratio)
    if found.ratio_ci is None or found.is_clear:
        return (
            f"{who}: {about} of active clients is {times} times that of a load where all clients "
            f"are active ({note})"
        )
    return (
        f"{who}: no significant difference in {about} of active clients from a load where all "
        f"clients are active (ratio {times}, {note})"
    )


def series_sentence(found: SeriesResult, of: str) -> str:
    """The best number of a series, and from which number on more made no difference.

    Args:
        found: The conclusion of the series.
        of: Name of the number.
    """
    who = f"{found.target}, {at_once(found.load)}"
    left_out = ""
    if found.left_out:
        numbers = formatting.listed(formatting.level(at) for at in found.left_out)
        left_out = f"; {numbers} excluded as invalid"
    if found.best_at is None:
        return f"{who}: too few valid values of {of} to compare{left_out}"
    best = formatting.level(found.best_at)
    about = subject(found.metric, found.load).removeprefix("the ")
    if found.rounds < _PAIRS:
        return f"{who}: best {about} with {of} = {best}; one round only, it may be chance{left_out}"
    parts = [f"best {about} with {of} = {best}"]
    if found.enough_at is None:
        parts.append("too few rounds to show which are as good")
    elif found.enough_at < found.best_at:
        parts.append(
            f"from {formatting.level(found.enough_at)} on within {found.margin:.0%} of the best"
        )
    if found.worse_from is not None:
        parts.append(f"significantly worse from {formatting.level(found.worse_from)} on")
    return f"{who}: {'; '.join(parts)}{left_out}"


_PAIRS = 2
"""A single pair of rounds has no interval."""


def subject(metric: str, load: Load) -> str:
    """The metric as the subject of a sentence."""
    return metrics.metric(metric, load.traits).subject


def state(cell: CellResult) -> str:
    """`valid`, or `invalid: ` and why."""
    found = cell.validity
    return "valid" if found.is_valid else f"invalid: {states(found)}"


def states(validity: Validity) -> str:
    """All states of a cell, most serious first: `driver-limited, errors`."""
    return ", ".join(validity.states)


def cell_label(cell: CellResult, *, driver: bool = False) -> str:
    """A cell in a sentence."""
    label = f"{cell.target} with {at_once(cell.load)}"
    return f"{label}, driven by {cell.driver}" if driver else label


def oriented(comparison: Comparison, base: str) -> tuple[float | None, Bounds | None]:
    """The ratio and its interval with `base` as the denominator, whichever way they were stored."""
    ratio, bounds = comparison.ratio, comparison.ratio_ci
    if comparison.base.label == base or ratio is None:
        return ratio, bounds
    return 1 / ratio, (1 / bounds[1], 1 / bounds[0]) if bounds else None


def is_clear(bounds: Bounds | None) -> bool:
    """Whether the interval of a ratio excludes 1."""
    return bounds is not None and not bounds[0] <= 1 <= bounds[1]


def interval_note(bounds: Bounds | None, rounds: int) -> str:
    """The text in brackets after a ratio."""
    if bounds is None:
        return "one round, no interval: it may be chance"
    return f"95% interval {formatting.ratio_interval(bounds)}, {formatting.count(rounds)} rounds"


def why(comparison: Comparison) -> str:
    """Why it has no ratio."""
    return "; ".join(comparison.reasons) or "no reason recorded"


def comparison_sentence(comparison: Comparison) -> str:
    """A comparison in words, without the load."""
    metric = metrics.metric(comparison.metric, comparison.load.traits)
    base, other = comparison.base.label, comparison.other.label
    if comparison.ratio is None:
        return f"{other} against {base} is inconclusive ({why(comparison)})"
    note = interval_note(comparison.ratio_ci, comparison.rounds)
    times = formatting.number(comparison.ratio)
    if comparison.ratio_ci is None or comparison.is_clear:
        return f"{metric.ratio.format(times=times, base=base, other=other)} ({note})"
    return (
        f"no significant difference between {other} and {base} in {metric.subject} "
        f"(ratio {times}, {note})"
    )
