"""Comparisons, loads and validity in words, so that they cannot be read as more than they are."""

from collections.abc import Mapping
from types import MappingProxyType

from harness.vocabulary.cell import ValidityState
from harness.vocabulary.load import Burst, Load
from harness.vocabulary.result import CellResult, Comparison
from reports import quantities
from reports.quantities import Bounds

_SUBJECTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "throughput_rps": (
            "{other} answers {times} times as many requests per second as {base}",
            "requests per second",
        ),
        "makespan_s": (
            "{other} takes {times} times as long as {base} until the last answer",
            "the time to the last answer",
        ),
        "latency_ms.p50": (
            "the median request takes {times} times as long with {other} as with {base}",
            "the median latency",
        ),
        "cpu_ms_per_request": (
            "{other} spends {times} times as much CPU on a request as {base}",
            "CPU per request",
        ),
    }
)
"""By metric: the sentence about a ratio, and what it is about."""

_OTHER_SUBJECT = ("the figure is {times} times as large for {other} as for {base}", "this figure")

VALIDITY: Mapping[ValidityState, str] = MappingProxyType(
    {
        ValidityState.VALID: "nothing speaks against the figures",
        ValidityState.INTERRUPTED: "not all planned rounds were measured to their end",
        ValidityState.TARGET_DIED: "the target ended while it was driven, or did not start",
        ValidityState.WRONG_ANSWERS: (
            "answers came that were not the right ones, or the rows in the database do not agree "
            "with the writes that were acknowledged"
        ),
        ValidityState.ERRORS: "requests failed or were never answered",
        ValidityState.DRIVER_LIMITED: (
            "the load generator was too busy or too late: it measured itself"
        ),
        ValidityState.UNSTEADY: "the second half of a window differs from the first",
        ValidityState.LITTLES_LAW: (
            "throughput times latency does not make the number of users there were (Little's law): "
            "something was counted wrongly"
        ),
        ValidityState.TOO_FEW_SAMPLES: "too few answers to carry even a median",
    }
)
"""Each state in plain words."""


def at_once(load: Load) -> str:
    """The load in a sentence."""
    many = quantities.count(load.concurrency)
    return f"{many} requests at once" if isinstance(load, Burst) else f"{many} users"


def subject(metric: str) -> str:
    """What a metric is about."""
    return _SUBJECTS.get(metric, (metric, metric))[1]


def state(cell: CellResult) -> str:
    """`valid`, or `not valid: ` and why."""
    found = cell.validity
    return "valid" if found.is_valid else f"not valid: {found.state}"


def cell_label(cell: CellResult, *, driver: bool = False) -> str:
    """A cell in a sentence."""
    label = f"{cell.target} with {at_once(cell.load)}"
    return f"{label}, driven by {cell.driver}" if driver else label


def oriented(comparison: Comparison, base: str) -> tuple[float | None, Bounds | None]:
    """The ratio and its interval with `base` as the denominator, whichever way they were stored."""
    ratio, bounds = comparison.ratio, comparison.ratio_ci
    if comparison.base == base or ratio is None:
        return ratio, bounds
    return 1 / ratio, (1 / bounds[1], 1 / bounds[0]) if bounds else None


def is_clear(bounds: Bounds | None) -> bool:
    """Whether the interval of a ratio leaves 1 out."""
    return bounds is not None and not bounds[0] <= 1 <= bounds[1]


def interval_note(bounds: Bounds | None, rounds: int) -> str:
    """What stands in brackets behind a ratio."""
    if bounds is None:
        return "one round only, no interval: it may be chance"
    return f"95% interval {quantities.interval(bounds)}, {quantities.count(rounds)} rounds"


def comparison_sentence(comparison: Comparison) -> str:
    """A comparison in words, without the load."""
    sentence, about = _SUBJECTS.get(comparison.metric, _OTHER_SUBJECT)
    pair = {"base": comparison.base, "other": comparison.other}
    if comparison.ratio is None:
        why = "; ".join(comparison.reasons) or "no reason was stored"
        return f"{comparison.other} against {comparison.base} is inconclusive ({why})"
    note = interval_note(comparison.ratio_ci, comparison.rounds)
    times = quantities.number(comparison.ratio)
    if comparison.ratio_ci is None or is_clear(comparison.ratio_ci):
        return f"{sentence.format(times=times, **pair)} ({note})"
    return (
        f"no difference between {comparison.other} and {comparison.base} in {about} "
        f"that these rounds could show (ratio {times}, {note})"
    )
