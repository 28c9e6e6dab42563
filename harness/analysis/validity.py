"""Whether a cell may be believed. Fail-closed: what speaks against it is its state.

All thresholds are here, each with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loopmark.harness.analysis.littles_law import Balance
from loopmark.harness.analysis.steady_state import Change, most
from loopmark.harness.vocabulary.cell import Validity, ValidityState
from loopmark.harness.vocabulary.figures import AuditResult, DriverUse, FanOutFigures
from loopmark.harness.vocabulary.load import ARRIVING, FANNING_OUT, Arriving, EventLoad, Load
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import PUBLISHERS, FanOut, FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, RoundState
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import Materiality

MAX_DRIVER_CPU = 0.85
"""A single-threaded driver that is busier than this answers late itself: queueing grows as
1 / (1 - utilisation)."""

MAX_WAITED_SHARE = 0.15
WAITED_ALLOWANCE = 0.003
"""Of the time in which the driver was ready to run, it may have waited for its processor this
share; and whatever the share, this part of the window. With a processor of its own it waits for 0
to 13%, beside a busy loop for 18 to 71% (`make bench-starved`)."""

MAX_BURST_WAITED = 0.02
"""In a burst all the waiting together makes the time to the last answer longer by at most this
share of it: less than its rounds scatter, however little the driver had to do."""

LAG_ALLOWANCE_MS = 5.0
MAX_LAG_SHARE = 0.1
"""The driver's loop lag adds to every latency: it may be a tenth of it, and whatever the latency,
the few milliseconds that a scheduler takes. What a fan-out delivers comes in bulk, and the lag with
it: it falls on what is read last, so there the tail is held against the tail."""

MAX_SPREAD_SHARE = 0.2
SPREAD_ALLOWANCE_MS = 10.0
"""In a burst, the last request may be sent this late, as a share of the makespan."""

MIN_SEND_RATE = 0.99
"""Of the requests that an open load makes due, the driver must send this share within the window:
a rate that was not offered says nothing of the target."""

SCHEDULE_SIGMAS = 4.0
"""Poisson arrivals scatter by the square root of their number."""

MAX_LITTLE_DEVIATION = 0.03
"""Users, or requests in flight, as throughput x latency, against those there were: what is missing
was kept by the driver, or a queue grew through the window."""

MATERIAL_ANSWERS = Materiality(level=1.25, whole=1.1)
"""For answers per bin: neither may one part of the window be a quarter above the rest, nor may that
move the figure of the whole window by a tenth."""

MATERIAL_RESPONSES = Materiality(level=2.5, whole=1.6)
"""For mean response times of an open load: near saturation those of a steady queue wander to twice
their mean, while those of a growing one triple from one half of the window to the other."""

MIN_ANSWERS = 20
"""Fewer cannot carry a median: N (1 - p) >= 10."""

MIN_KEPT_SHARE = 0.97
"""A target keeps up with a stage of steps or of a ramp when this share of what was due in it was
answered right and in time. Not all: a stage of a few hundred requests has its outliers, and where
a target saturates the share falls by tens of per cent from one stage to the next."""

KNEE_SLOWDOWN = 5.0
KNEE_ALLOWANCE_MS = 5.0
"""In time means: within so many times the 99th percentile of the slowest stage. A queue at 80% use
is five times as slow as an empty one; beyond that latency grows without bound. The allowance is
what a scheduler takes, where the target answers in a fraction of a millisecond."""

MAX_YARDSTICK_GROWTH = 2.0
MAX_YARDSTICK_SLOPE = 0.1
"""The slowest stage is the yardstick, so it must hold its own level. It is overloaded itself if the
median response of its second half is over twice that of its first, or if response times rise by a
tenth of a second per second: then a tenth more is offered than is served."""

IN_TIME_MS = 100.0
IN_TIME_SHARE = 0.99
"""A fan-out keeps up with a stage when every delivery due in it came, and this share of them within
this time from the moment the publication was due: up to a tenth of a second what one sees seems to
happen at once (Miller, 1968). A count of what was in time, because it needs no thousand samples."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The schedule of one round of an open load or a fan-out, and what the driver made of it.

    Attributes:
        planned: Flows, or publications, that the load provides for within the window.
        due: Requests that were due there, the unsent ones included.
        sent: Of these, those that were sent before the window ended, or refused.
        unsent: Of these, those that the driver did not get to.
        window_s: Length of the window in seconds.
    """

    planned: float
    due: int
    sent: int
    unsent: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for or against a cell.

    Attributes:
        planned_rounds: Rounds in the plan.
        states: Of the rounds that were begun.
        error_kinds: Failed requests by kind, those outside of the windows included; those beyond
            the knee of steps and ramps are left out.
        requests: All requests, those outside of the windows included.
        answers: Right answers within the windows.
        missing_samples: Requests that the drivers report but the sample files lack.
        audits: Rows against acknowledged writes.
        driver_use: What the driver spent.
        median_latency_ms: Over all rounds.
        tail_latency_ms: The 99th percentile likewise; None where there are too few samples.
        makespan_s: Of a burst.
        users_heard: By round: users of whom an answer, right or wrong, came within the window.
        balances: By round of a steady load: both sides of Little's law.
        halves: By round with answers: the second half of the window against the first, in answers,
            or under an open load in response times.
        cuts: By round with answers: whether MSER found a material change.
        arrivals: By round of an open load: what was due, and what the driver made of it.
        late_ms: 99th percentile of the time from due to sent, in the worst round.
        knee_rps: Of steps and ramps; 0 where the target did not keep up with any stage.
        losses: Of a distributed driver: what became of the workers that did not deliver all.
        ended_early: Of a locustfile: why rounds ended before their time.
        remarks: Of a locustfile: examples of what went wrong in it beside its requests.
        fan_out: Of a fan-out: what became of its publications.
    """

    planned_rounds: int
    states: tuple[RoundState, ...]
    error_kinds: Mapping[str, int]
    requests: int
    answers: int
    missing_samples: int
    audits: tuple[AuditResult, ...]
    driver_use: DriverUse
    median_latency_ms: float | None
    makespan_s: float | None
    users_heard: tuple[int, ...]
    balances: tuple[Balance, ...] = ()
    halves: tuple[Change, ...] = ()
    cuts: tuple[bool, ...] = ()
    arrivals: tuple[Arrivals, ...] = ()
    late_ms: float | None = None
    knee_rps: float | None = None
    losses: tuple[str, ...] = ()
    tail_latency_ms: float | None = None
    ended_early: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    fan_out: FanOutFigures | None = None

    @property
    def ended(self) -> int:
        """How many rounds ran to their end: of these there should be figures."""
        return sum(state in RAN_TO_THEIR_END for state in self.states)


def judge(load: Load, evidence: Evidence) -> Validity:
    """Name the gravest objection as the state, and all of them as reasons, gravest first."""
    gravity = list(ValidityState)
    objections = sorted(_objections(load, evidence), key=lambda found: gravity.index(found[0]))
    if not objections:
        return Validity(ValidityState.VALID)
    return Validity(objections[0][0], tuple(reason for _, reason in objections))


def _objections(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    yield from _from_rounds(evidence)
    yield from _from_locustfile(evidence)
    yield from _from_answers(load, evidence)
    yield from _from_deliveries(load, evidence)
    if evidence.ended:
        yield from _from_driver(load, evidence)
        yield from _from_samples(load, evidence)
        if isinstance(load, FanOutSteps):
            yield from _from_knee(load, evidence)
        if isinstance(load, ARRIVING + FANNING_OUT):
            yield from _from_schedule(load, evidence)
        if not isinstance(load, Burst):
            yield from _from_flow_of_answers(load, evidence)


def _from_rounds(evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    if "target-died" in evidence.states:
        yield ValidityState.TARGET_DIED, "the target ended while it was driven, or did not start"
    if "driver-died" in evidence.states:
        yield ValidityState.INTERRUPTED, "the driver failed or did not end in time"
    if "interrupted" in evidence.states or len(evidence.states) < evidence.planned_rounds:
        reason = f"{evidence.ended} of {evidence.planned_rounds} rounds were measured to their end"
        yield ValidityState.INTERRUPTED, reason
    for loss in evidence.losses:
        yield ValidityState.INTERRUPTED, loss
    if "worker-lost" in evidence.states and not evidence.losses:
        yield ValidityState.INTERRUPTED, "the driver lost a worker"


def _from_locustfile(evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    for why in evidence.ended_early:
        yield ValidityState.INTERRUPTED, f"the locustfile did not run to its end: {why}"
    exceptions = evidence.error_kinds.get(ErrorKind.LOCUSTFILE, 0)
    times = "once" if exceptions == 1 else f"{exceptions} times"
    # Where it is the only one the example has the same number.
    first = evidence.remarks[0].removesuffix(f" ({times})") if evidence.remarks else ""
    example = f": {first}" if first else ""
    if exceptions:
        yield ValidityState.ERRORS, f"tasks raised an exception {times}{example}"
    elif evidence.remarks:
        yield ValidityState.ERRORS, f"the locustfile had a problem beside its requests{example}"


def _from_answers(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    wrong = sum(n for kind, n in evidence.error_kinds.items() if kind in ErrorKind.WRONG)
    # Requests that were abandoned fell with their round, which says so itself.
    unfinished = any(state != "measured" for state in evidence.states)
    told: frozenset[str] = ErrorKind.WRONG | ({ErrorKind.ABANDONED} if unfinished else set())
    refused = evidence.error_kinds.get(ErrorKind.REFUSED, 0)
    told |= {ErrorKind.REFUSED, ErrorKind.LOCUSTFILE, ErrorKind.MISSING} | ErrorKind.MISDELIVERED
    failed = sum(n for kind, n in evidence.error_kinds.items() if kind not in told)
    if wrong:
        yield ValidityState.WRONG_ANSWERS, f"{wrong} of {evidence.requests} answers were wrong"
    for audit in evidence.audits:
        if not audit.ok:
            reason = (
                f"{audit.what}: {audit.acknowledged:+d} rows acknowledged, {audit.found:+d} found"
            )
            yield ValidityState.WRONG_ANSWERS, reason
    if failed:
        # Beside so many deliveries the number of all samples would say nothing.
        fans_out = isinstance(load, FANNING_OUT)
        of = "requests or connections" if fans_out else f"of {evidence.requests} requests"
        yield ValidityState.ERRORS, f"{failed} {of} failed"
    if refused:
        yield ValidityState.ERRORS, _refusals(load, evidence, refused)


def _from_deliveries(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    kinds = evidence.error_kinds
    if missing := kinds.get(ErrorKind.MISSING, 0):
        reason = f"{_deliveries(missing)} did not come{_reach(load, evidence)}"
        yield ValidityState.ERRORS, reason
    if again := kinds.get(ErrorKind.DUPLICATE, 0):
        yield ValidityState.ERRORS, f"{_deliveries(again)} of what the client had heard before"
    if displaced := kinds.get(ErrorKind.OUT_OF_ORDER, 0):
        yield ValidityState.ERRORS, f"{_deliveries(displaced)} came after a later publication"
    found = evidence.fan_out
    if found is None or not found.reconnects:
        return
    # Where everybody heard all up to the knee, nobody was cut off before it.
    if not (isinstance(load, FanOutSteps) and evidence.knee_rps):
        times = "once" if found.reconnects == 1 else f"{found.reconnects} times"
        yield ValidityState.ERRORS, f"clients that read had to connect again, {times}"


def _deliveries(many: int) -> str:
    return "1 delivery" if many == 1 else f"{many} deliveries"


def _reach(load: Load, evidence: Evidence) -> str:
    """The reach in brackets, never rounded up to all; that of steps is mostly of the last ones."""
    found = evidence.fan_out
    if not isinstance(load, FanOut) or found is None or found.reach is None:
        return ""
    return f" (reach {math.floor(found.reach * 1e5) / 1e3:g}%)"


def _from_driver(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    use = evidence.driver_use
    if use.cpu_fraction is not None and use.cpu_fraction > MAX_DRIVER_CPU:
        reason = f"the driver used {use.cpu_fraction:.0%} of its processor"
        yield ValidityState.DRIVER_LIMITED, reason
    waited = use.waited_fraction
    allowed = MAX_BURST_WAITED if isinstance(load, Burst) else WAITED_ALLOWANCE
    if waited is not None and waited > allowed:
        share = waited / (waited + (use.cpu_fraction or 0.0))
        if share > MAX_WAITED_SHARE:
            reason = f"the driver waited for its processor {share:.0%} of the time it was ready"
            yield ValidityState.DRIVER_LIMITED, reason
    lag = use.loop_lag_ms.p99
    makespan_ms = 1e3 * (evidence.makespan_s or 0.0)
    # Too small a burst has no median, but its makespan.
    latency_ms = makespan_ms if evidence.median_latency_ms is None else evidence.median_latency_ms
    if isinstance(load, FANNING_OUT) and evidence.tail_latency_ms is not None:
        latency_ms = evidence.tail_latency_ms
    if lag is not None and lag > LAG_ALLOWANCE_MS + MAX_LAG_SHARE * latency_ms:
        reason = f"the driver's event loop lagged by {lag:.1f} ms (99th percentile)"
        yield ValidityState.DRIVER_LIMITED, reason
    spread = use.send_spread_ms
    allowed = SPREAD_ALLOWANCE_MS + MAX_SPREAD_SHARE * makespan_ms
    if isinstance(load, Burst) and spread is not None and spread > allowed:
        reason = f"the driver sent a request {spread:.0f} ms after it was due"
        yield ValidityState.DRIVER_LIMITED, reason


def _from_knee(load: FanOutSteps, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    """What the driver used is a mean over all stages: the first one not kept up with takes more."""
    found, knee = evidence.fan_out, evidence.knee_rps
    if knee is None or found is None or found.driver_cpu_us is None:
        return
    beyond = [rate for rate in load.rates if rate > knee]
    if not beyond:
        return
    broken = min(beyond)
    share = broken * load.readers * found.driver_cpu_us / 1e6
    if share > MAX_DRIVER_CPU:
        reason = (
            f"hearing {broken:g} publications per second takes {share:.0%} of the driver's "
            "processor: the knee may be its own"
        )
        yield ValidityState.DRIVER_LIMITED, reason


def _from_samples(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    if evidence.missing_samples:
        reason = f"{evidence.missing_samples} samples that the driver took are missing"
        yield ValidityState.TOO_FEW_SAMPLES, reason
    if isinstance(load, Burst):
        silent = evidence.ended - len(evidence.users_heard)
        fewest = 0 if silent > 0 else min(evidence.users_heard)
        if fewest >= load.n:
            return
        yield ValidityState.TOO_FEW_SAMPLES, f"only {fewest} of {load.n} users got an answer"


def _refusals(load: Load, evidence: Evidence, refused: int) -> str:
    if isinstance(load, FANNING_OUT):
        return f"{refused} publications found {PUBLISHERS} under way and were refused"
    return (
        f"{refused} of {evidence.requests} arrivals found {load.concurrency} flows under way "
        "and were refused"
    )


def _from_schedule(
    load: Arriving | EventLoad, evidence: Evidence
) -> Iterator[tuple[ValidityState, str]]:
    what = "publications" if isinstance(load, FANNING_OUT) else "requests"
    if unsent := sum(one.unsent for one in evidence.arrivals):
        due = sum(one.due for one in evidence.arrivals)
        reason = f"the driver did not get to {unsent} of {due} {what} that were due"
        yield ValidityState.DRIVER_LIMITED, reason
    silent = evidence.ended - len(evidence.arrivals)
    if silent > 0:
        reason = f"of {silent} rounds it is not known what was sent"
        yield ValidityState.DRIVER_LIMITED, reason
    for one in evidence.arrivals:
        least = one.planned - 1
        if isinstance(load, ARRIVING) and load.arrivals == "poisson":
            least -= SCHEDULE_SIGMAS * one.planned**0.5
        reached, asked = one.sent, max(one.due, least)
        if one.due < least or reached < MIN_SEND_RATE * asked:
            rates = (reached / one.window_s, asked / one.window_s) if one.window_s > 0 else (0, 0)
            digits = 0 if isinstance(load, ARRIVING) else 1  # A fan-out's rate may be 5 per second.
            low, high = (f"{rate:.{digits}f}" for rate in rates)
            reason = f"the driver reached {low} of {high} {what} per second"
            yield ValidityState.DRIVER_LIMITED, reason
            break
    late, latency_ms = evidence.late_ms, evidence.median_latency_ms or 0.0
    if late is not None and late > LAG_ALLOWANCE_MS + MAX_LAG_SHARE * latency_ms:
        reason = f"{what} were sent {late:.1f} ms after they were due (99th percentile)"
        yield ValidityState.DRIVER_LIMITED, reason


def _from_flow_of_answers(load: Load, evidence: Evidence) -> Iterator[tuple[ValidityState, str]]:
    if evidence.answers < MIN_ANSWERS:
        reason = f"{evidence.answers} right answers; a median needs {MIN_ANSWERS}"
        yield ValidityState.TOO_FEW_SAMPLES, reason
        return
    if isinstance(load, Closed | Open):
        yield from _from_steadiness(load, evidence)
        yield from _from_littles_law(load, evidence)
    elif isinstance(load, FanOut):
        # The driver hears what it is told, and holds nobody back: nothing is in flight that could
        # be counted in a second way.
        yield from _from_steadiness(load, evidence)
    elif isinstance(load, Population):
        # A shape changes the number of users on purpose, and how long a locustfile's users wait is
        # theirs to say: there is no number that Little's law could be held against.
        if load.users is not None:
            yield from _from_steadiness(load, evidence)
    elif evidence.knee_rps == 0 and not isinstance(load, FanOutSteps):
        # Not "with no stage": of several stages at the slowest rate some may be kept up with.
        yield ValidityState.UNSTEADY, "the target fell behind in the slowest stage; no baseline"


def _from_steadiness(
    load: Closed | Open | Population | FanOut, evidence: Evidence
) -> Iterator[tuple[ValidityState, str]]:
    silent = evidence.ended - len(evidence.halves)
    if silent > 0:
        yield ValidityState.UNSTEADY, f"{silent} rounds had no answer in their window"
    open_ = isinstance(load, Open | FanOut)
    found = drift(evidence.halves)
    if found.is_material((MATERIAL_RESPONSES if open_ else MATERIAL_ANSWERS).level):
        what = "response time" if open_ else "answers"
        reason = f"the second half of the window had {found.ratio:.2f} x the {what} of the first"
        yield ValidityState.UNSTEADY, reason
    elif most(evidence.cuts):
        what = "response times" if open_ else "answers per second"
        reason = (
            f"{what} changed within the window: what was steady in {sum(evidence.cuts)} of "
            f"{len(evidence.cuts)} rounds is a part of it, or differs from the whole (MSER)"
        )
        yield ValidityState.UNSTEADY, reason


def drift(halves: Sequence[Change]) -> Change:
    """The change between the halves of the windows, as the median of the rounds."""
    if not halves:
        return Change(0.0)
    return Change(
        float(np.median([one.ratio for one in halves])),
        float(np.median([one.chance for one in halves])),
    )


def _from_littles_law(
    load: Closed | Open, evidence: Evidence
) -> Iterator[tuple[ValidityState, str]]:
    if not evidence.balances:
        yield ValidityState.LITTLES_LAW, "it is not known how many users or requests there were"
        return
    if float(np.median([one.deviation for one in evidence.balances])) <= MAX_LITTLE_DEVIATION:
        return
    counted = float(np.median([one.counted for one in evidence.balances]))
    expected = float(np.median([one.expected for one in evidence.balances]))
    if isinstance(load, Closed):
        thinking = " and think time" if load.think_s else ""
        reason = (
            f"throughput x latency{thinking} makes {counted:.1f} users, there were {load.users}"
        )
    else:
        reason = (
            f"{counted:.1f} requests were in flight, arrival rate x response time makes "
            f"{expected:.1f}"
        )
    yield ValidityState.LITTLES_LAW, reason
