"""Comparisons, loads and validity in words, so that they cannot be read as more than they are."""

from collections.abc import Mapping
from types import MappingProxyType

from loopmark.harness.vocabulary.cell import ValidityState
from loopmark.harness.vocabulary.comparison import Comparison, Disturbance, SweepResult
from loopmark.harness.vocabulary.figures import Figures, StageResult
from loopmark.harness.vocabulary.load import FANNING_OUT, Arriving, EventLoad, Load
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.record import RunRecord
from loopmark.harness.vocabulary.result import CellResult, Invalid
from loopmark.reports import formatting
from loopmark.reports.formatting import Bounds

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

_DELIVERY_SUBJECTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "latency_ms.p50": (
            "the median delivery takes {times} times as long with {other} as with {base}",
            "the median time from emitted to heard",
        ),
        "latency_ms.p90": (
            "90% of the deliveries come within {times} times as long with {other} as with {base}",
            "the 90th percentile from emitted to heard",
        ),
        "latency_ms.p99": (
            "99% of the deliveries come within {times} times as long with {other} as with {base}",
            "the 99th percentile from emitted to heard",
        ),
        "cpu_ms_per_request": (
            "{other} spends {times} times as much CPU on a delivery as {base}",
            "CPU per delivery",
        ),
    }
)
"""The same under a fan-out."""

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
            "requests failed, were refused or were never answered, events did not reach a client "
            "that reads, once and in order, or tasks of a locustfile raised exceptions"
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
            return f"{formatting.count(load.n)} requests at once"
        case Closed():
            return f"{formatting.count(load.users)} users{_thinking(load)}"
        case Open() | Steps() | Ramp():
            return f"{rates(load)} arrivals per second{_over(load)}{_spacing(load)}"
        case Population():
            return _crowd(load)
        case FanOut() | FanOutSteps():
            return f"{_audience(load)}, {_published(load)}"


def size(load: Load) -> str:
    """The size of a load, for a column whose heading says what it counts."""
    match load:
        case Burst() | Closed():
            many = formatting.count(load.concurrency)
            if isinstance(load, Closed) and load.think_s:
                return f"{many}, thinking {formatting.seconds(load.think_s)}"
            return many
        case Open() | Steps() | Ramp():
            poisson = ", Poisson" if load.arrivals == "poisson" else ""
            return f"{rates(load)}{poisson}"
        case Population():
            return "shape" if load.users is None else formatting.count(load.users)
        case FanOut() | FanOutSteps():
            return ", ".join([crowd(load), *others(load)])


def rates(load: Arriving | EventLoad) -> str:
    """Arrivals, or publications, per second, from the first to the last."""
    match load:
        case Open() | FanOut():
            return formatting.level(load.rate)
        case Steps() | FanOutSteps():
            ends = load.rates[0], load.rates[-1]
        case Ramp():
            ends = load.from_rate, load.to_rate
    return " to ".join(formatting.level(end) for end in ends)


def _audience(load: EventLoad) -> str:
    clients = f"{formatting.count(load.clients)} {'client' if load.clients == 1 else 'clients'}"
    if not isinstance(load, FanOut):
        return clients
    silent = [
        f"{formatting.count(many)} of them {what}"
        for what, many in (("slow", load.slow), ("stalled", load.stalled))
        if many
    ]
    users = f"{formatting.count(load.http_users)} {_users(load)}"
    return ", ".join([clients, *silent, *([users] if load.http_users else [])])


def crowd(load: EventLoad) -> str:
    """How many clients there are, and what they are told."""
    return f"{formatting.count(load.clients)} at {rates(load)}/s"


def others(load: Load) -> tuple[str, ...]:
    """Who is there under a fan-out beside clients that read, in few words."""
    if not isinstance(load, FanOut):
        return ()
    parts = ((load.slow, "slow"), (load.stalled, "stalled"), (load.http_users, _users(load)))
    return tuple(f"{formatting.count(many)} {what}" for many, what in parts if many)


def _users(load: FanOut) -> str:
    return "HTTP user" if load.http_users == 1 else "HTTP users"


def _published(load: EventLoad) -> str:
    return f"{rates(load)} publications per second{_over(load)}"


def _over(load: Arriving | EventLoad) -> str:
    """In how many steps, or how fast, a rate rises."""
    match load:
        case Steps() | FanOutSteps():
            return f" in {len(load.rates)} steps of {formatting.seconds(load.step_s)}"
        case Ramp():
            return f" over {formatting.seconds(load.duration_s)}"
        case _:
            return ""


def _thinking(load: Closed) -> str:
    if not load.think_s:
        return ""
    mean = " in the mean" if load.think == "exponential" else ""
    return f" who think {formatting.seconds(load.think_s)}{mean} between flows"


def _spacing(load: Arriving) -> str:
    return ", at random moments (Poisson)" if load.arrivals == "poisson" else ""


def asked(load: Load) -> str:
    """A load with its times, for the description of the method."""
    if isinstance(load, Burst):
        return at_once(load)
    if isinstance(load, Population):
        return _asked_of_population(load)
    times = (
        f"for {formatting.seconds(load.duration_s)} after {formatting.seconds(load.warmup_s)} "
        "of warm-up"
    )
    if isinstance(load, Closed | FanOut | FanOutSteps):
        return f"{at_once(load)}, {times}"
    most = formatting.count(load.max_in_flight)
    return f"{at_once(load)}, {times}, at most {most} flows under way"


def _crowd(load: Population) -> str:
    if load.users is None:
        return "as many users as the locustfile's shape says"
    return f"{formatting.count(load.users)} users of the locustfile"


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
    run_time = formatting.long_time(load.run_time_s)
    if load.users is None:
        return f"{at_once(load)}, for at most {run_time}"
    return (
        f"{at_once(load)}, {formatting.level(load.spawn_rate)} more per second until all are "
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
        case Closed():
            return _closed_note(load)
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
        case FanOut() | FanOutSteps():
            return _fan_out_note(load)


def _closed_note(load: Closed) -> str:
    if load.think_s:
        return (
            "Each user pauses between one flow and the next; what counts is how many requests are "
            "answered per second."
        )
    return (
        "Each user sends its next request as soon as the last one is answered; what counts is how "
        "many are answered per second."
    )


def _fan_out_note(load: EventLoad) -> str:
    if isinstance(load, FanOutSteps):
        return (
            "One publisher tells every client something, faster and faster; what counts is the "
            f"highest rate up to which everybody hears all of it, {IN_TIME}."
        )
    return (
        "One publisher tells every client something, at a constant rate, whatever the target does; "
        "what counts is that each client that reads hears all of it, once and in order, and how "
        "long that takes from the moment at which the target emitted it."
    )


IN_TIME = "99% within 100 ms of the moment at which it was due to be published"
"""When a stage of a fan-out is in time; the rule and its reason are in `analysis.validity`."""


def knee(figures: Figures) -> str:
    """Up to which rate a target kept up."""
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
    """The same in a sentence, only where it may be believed."""
    figures = cell.figures
    if isinstance(figures, Invalid):
        return (
            f"{cell.target}, {at_once(cell.load)}: not believable ({figures.validity.state}), so "
            "nothing is said of where its limit lies"
        )
    who = f"{cell.target}, {at_once(cell.load)}:"
    if isinstance(cell.load, FanOutSteps):
        return f"{who} {_heard_up_to(figures)}"
    if figures.knee_rps is None:
        fastest = max((stage.rate for stage in figures.stages), default=0.0)
        return (
            f"{who} it kept up with every stage, to {formatting.number(fastest)} per second; its "
            "limit lies beyond what was offered"
        )
    if figures.knee_rps == 0:
        return f"{who} it did not keep up with the slowest stage; its limit lies below"
    return f"{who} it kept up to {formatting.number(figures.knee_rps)} arrivals per second"


def _heard_up_to(figures: Figures) -> str:
    """Up to which rate of publications everybody heard all in time, and what happened beyond it."""
    stages = sorted(figures.stages, key=lambda stage: stage.rate)
    if not stages:
        return "nothing was measured"
    if figures.knee_rps is None:
        return (
            f"everybody heard all in time in every stage, to {_publications(stages[-1])}; the "
            "limit lies beyond what was offered"
        )
    broken = next((stage for stage in stages if not stage.kept_up), stages[-1])
    why = f"at {formatting.level(broken.rate)} {_what_broke(broken)}"
    if figures.knee_rps == 0:
        return f"not even in the slowest stage did everybody hear all in time: {why}"
    kept = next(stage for stage in stages if stage.rate == figures.knee_rps)
    return f"everybody heard all in time up to {_publications(kept)}; {why}"


def reached(stage: StageResult) -> float | None:
    """The share of the deliveries due in a stage that came right; None where none was due."""
    return stage.answered_rps / stage.offered_rps if stage.offered_rps else None


def _publications(stage: StageResult) -> str:
    return (
        f"{formatting.level(stage.rate)} publications per second, "
        f"{formatting.number(stage.answered_rps)} deliveries per second"
    )


def _what_broke(stage: StageResult) -> str:
    if (reach := reached(stage)) is not None and reach < 1:
        return f"the reach was {formatting.reach(reach)}"
    if stage.errors:
        return "publications failed or were refused"
    if stage.p99_ms is None:
        return "over 1% came late"
    return f"p99 was {formatting.milliseconds(stage.p99_ms)}"


def disturbance_sentence(found: Disturbance) -> str:
    """What those who do not just read do to those who do, in one metric."""
    who = f"{found.target}, {at_once(found.load)}"
    about = subject(found.metric, found.load)
    if found.ratio is None:
        why = "; ".join(found.reasons) or "no reason was stored"
        return f"{who}: against clients that all just read it is inconclusive ({why})"
    note = interval_note(found.ratio_ci, found.rounds)
    times = formatting.number(found.ratio)
    if found.ratio_ci is None or is_clear(found.ratio_ci):
        return (
            f"{who}: for those that read, {about} is {times} times what it is where all just read "
            f"({note})"
        )
    return (
        f"{who}: no difference in {about} that these rounds could show for those that read, "
        f"against a load where all do (ratio {times}, {note})"
    )


def sweep_sentence(found: SweepResult, of: str) -> str:
    """Which number of a series was best, and from where more did not help.

    Args:
        found: What the rounds can tell.
        of: What the number is.
    """
    who = f"{found.target}, {at_once(found.load)}"
    left_out = ""
    if found.left_out:
        numbers = formatting.listed(formatting.level(at) for at in found.left_out)
        left_out = (
            f"; {numbers} may not be believed and {_IS_ARE[len(found.left_out) == 1]} left out"
        )
    if found.best_at is None or found.enough_at is None:
        return f"{who}: too few numbers of {of} may be believed to hold them side by side{left_out}"
    best = formatting.level(found.best_at)
    about = subject(found.metric, found.load)
    if found.rounds < _PAIRS:
        return (
            f"{who}: best in {about} with {of} = {best}; one round only, it may be chance{left_out}"
        )
    parts = [f"best in {about} with {of} = {best}"]
    if found.enough_at < found.best_at:
        parts.append(
            f"from {formatting.level(found.enough_at)} on more made no difference that these "
            "rounds could show"
        )
    if found.worse_from is not None:
        parts.append(f"from {formatting.level(found.worse_from)} on it was clearly worse")
    return f"{who}: {'; '.join(parts)}{left_out}"


_PAIRS = 2
"""A single pair of rounds has no interval."""

_IS_ARE = {True: "is", False: "are"}


def subject(metric: str, load: Load | None = None) -> str:
    """What a metric is about; under a fan-out it is about deliveries."""
    return _subjects(load).get(metric, (metric, metric))[1]


def _subjects(load: Load | None) -> Mapping[str, tuple[str, str]]:
    return _DELIVERY_SUBJECTS if isinstance(load, FANNING_OUT) else _SUBJECTS


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
    return f"95% interval {formatting.interval(bounds)}, {formatting.count(rounds)} rounds"


def comparison_sentence(comparison: Comparison) -> str:
    """A comparison in words, without the load."""
    sentence, about = _subjects(comparison.load).get(comparison.metric, _OTHER_SUBJECT)
    pair = {"base": comparison.base, "other": comparison.other}
    if comparison.ratio is None:
        why = "; ".join(comparison.reasons) or "no reason was stored"
        return f"{comparison.other} against {comparison.base} is inconclusive ({why})"
    note = interval_note(comparison.ratio_ci, comparison.rounds)
    times = formatting.number(comparison.ratio)
    if comparison.ratio_ci is None or is_clear(comparison.ratio_ci):
        return f"{sentence.format(times=times, **pair)} ({note})"
    return (
        f"no difference between {comparison.other} and {comparison.base} in {about} "
        f"that these rounds could show (ratio {times}, {note})"
    )
