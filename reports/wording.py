"""Comparisons, loads and validity in words, so that they cannot be read as more than they are."""

from collections.abc import Mapping
from types import MappingProxyType

from harness.vocabulary.cell import ValidityState
from harness.vocabulary.load import Arriving, Burst, Closed, Load, Open, Population, Ramp, Steps
from harness.vocabulary.record import RunRecord
from harness.vocabulary.result import CellResult, Comparison, Figures, NotBelieved
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
        "latency_ms.p90": (
            "the 90th percentile of latency is {times} times as long with {other} as with {base}",
            "the 90th percentile of latency",
        ),
        "latency_ms.p99": (
            "the 99th percentile of latency is {times} times as long with {other} as with {base}",
            "the 99th percentile of latency",
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
        ValidityState.DRIVER_LIMITED: (
            "the load generator was too busy or too late: it measured itself, or did not offer "
            "the load that was planned"
        ),
        ValidityState.ERRORS: (
            "requests failed, were refused or were never answered, or tasks of a locustfile raised "
            "exceptions"
        ),
        ValidityState.UNSTEADY: (
            "one part of the window differs from the rest, or under steps and ramps there was no "
            "rate that the target kept up with"
        ),
        ValidityState.LITTLES_LAW: (
            "throughput times latency does not make the number of users or requests there were "
            "(Little's law): something was counted wrongly, or a queue grew"
        ),
        ValidityState.TOO_FEW_SAMPLES: "too few answers to carry even a median",
    }
)
"""Each state in plain words."""


def interrupted(run: RunRecord) -> str:
    """What an interrupted run did not come to."""
    what = "its plan was done" if run.locustfile is None else "its time was over"
    return f"it ended before {what}"


def at_once(load: Load) -> str:
    """The load in a sentence."""
    match load:
        case Burst():
            return f"{quantities.count(load.n)} requests at once"
        case Closed():
            return f"{quantities.count(load.users)} users{_thinking(load)}"
        case Open():
            return f"{rates(load)} arrivals per second{_spacing(load)}"
        case Steps():
            steps = f"{len(load.rates)} steps of {quantities.seconds(load.step_s)}"
            return f"{rates(load)} arrivals per second in {steps}{_spacing(load)}"
        case Ramp():
            over = quantities.seconds(load.duration_s)
            return f"{rates(load)} arrivals per second over {over}{_spacing(load)}"
        case Population():
            return _crowd(load)


def size(load: Load) -> str:
    """The size of a load, for a column whose heading says what it counts."""
    match load:
        case Burst() | Closed():
            many = quantities.count(load.concurrency)
            if isinstance(load, Closed) and load.think_s:
                return f"{many}, thinking {quantities.seconds(load.think_s)}"
            return many
        case Open() | Steps() | Ramp():
            poisson = ", Poisson" if load.arrivals == "poisson" else ""
            return f"{rates(load)}{poisson}"
        case Population():
            return "shape" if load.users is None else quantities.count(load.users)


def rates(load: Arriving) -> str:
    """Arrivals per second, from the first to the last."""
    match load:
        case Open():
            return quantities.level(load.rate)
        case Steps():
            ends = load.rates[0], load.rates[-1]
        case Ramp():
            ends = load.from_rate, load.to_rate
    return " to ".join(quantities.level(end) for end in ends)


def _thinking(load: Closed) -> str:
    if not load.think_s:
        return ""
    mean = " in the mean" if load.think == "exponential" else ""
    return f" who think {quantities.seconds(load.think_s)}{mean} between flows"


def _spacing(load: Arriving) -> str:
    return ", at random moments (Poisson)" if load.arrivals == "poisson" else ""


def asked(load: Load) -> str:
    """A load with its times, for the description of the method."""
    if isinstance(load, Burst):
        return at_once(load)
    if isinstance(load, Population):
        return _asked_of_population(load)
    times = (
        f"for {quantities.seconds(load.duration_s)} after {quantities.seconds(load.warmup_s)} "
        "of warm-up"
    )
    if isinstance(load, Closed):
        return f"{at_once(load)}, {times}"
    most = quantities.count(load.max_in_flight)
    return f"{at_once(load)}, {times}, at most {most} flows under way"


def _crowd(load: Population) -> str:
    if load.users is None:
        return "as many users as the locustfile's shape says"
    return f"{quantities.count(load.users)} users of the locustfile"


def _crowd_note(load: Population) -> str:
    if load.users is None:
        return (
            "Users come and go as the locustfile's shape says, ask and wait as its tasks say; all "
            "of it is measured, so the figures are of all sizes of the crowd together."
        )
    return (
        "Users ask and wait as the locustfile says; what counts is how many requests are answered "
        "per second once all users are there."
    )


def _asked_of_population(load: Population) -> str:
    run_time = quantities.long_time(load.run_time_s)
    if load.users is None:
        return f"{at_once(load)}, for at most {run_time}"
    return (
        f"{at_once(load)}, {quantities.level(load.spawn_rate)} more per second until all are "
        f"there, {run_time} in all"
    )


def model_note(load: Load) -> str:
    """What is asked under a load model, and what counts."""
    match load:
        case Burst():
            return (
                "All requests are due at one moment; what counts is the time until the last one "
                "is answered."
            )
        case Closed(think_s=0):
            return (
                "Each user sends its next request as soon as the last one is answered; what counts "
                "is how many are answered per second."
            )
        case Closed():
            return (
                "Each user pauses between one flow and the next; what counts is how many requests "
                "are answered per second."
            )
        case Open():
            return (
                "Flows arrive at a constant rate, whatever the target does; what counts is how "
                "long an answer takes from the moment at which its request was due."
            )
        case Steps() | Ramp():
            return (
                "Flows arrive faster and faster, whatever the target does; what counts is up to "
                "which rate it keeps up."
            )
        case Population():
            return _crowd_note(load)


def knee(figures: Figures) -> str:
    """Up to which rate a target kept up."""
    if not figures.stages:
        return quantities.MISSING
    slowest = min(stage.rate for stage in figures.stages)
    fastest = max(stage.rate for stage in figures.stages)
    if figures.knee_rps is None:
        return f"{quantities.number(fastest)} or more"
    if figures.knee_rps == 0:
        return f"below {quantities.number(slowest)}"
    return quantities.number(figures.knee_rps)


def knee_sentence(cell: CellResult) -> str:
    """The same in a sentence, only where it may be believed."""
    figures = cell.figures
    if isinstance(figures, NotBelieved):
        return (
            f"{cell.target}, {at_once(cell.load)}: not believable ({figures.validity.state}), so "
            "nothing is said of where its limit lies"
        )
    who = f"{cell.target}, {at_once(cell.load)}:"
    if figures.knee_rps is None:
        fastest = max((stage.rate for stage in figures.stages), default=0.0)
        return (
            f"{who} it kept up with every stage, to {quantities.number(fastest)} per second; its "
            "limit lies beyond what was offered"
        )
    if figures.knee_rps == 0:
        return f"{who} it did not keep up with the slowest stage; its limit lies below"
    return f"{who} it kept up to {quantities.number(figures.knee_rps)} arrivals per second"


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
