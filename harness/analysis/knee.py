"""The highest rate with which the target keeps up, and the failures beyond it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from loopmark.harness.analysis import statistics
from loopmark.harness.analysis.latencies import joined
from loopmark.harness.analysis.stages import StageCount
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.figures import StageResult
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import Stage
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import Thresholds


def kept_up(
    load: Load, rounds: Sequence[Sequence[StageCount]], thresholds: Thresholds
) -> tuple[bool, ...]:
    """Whether the target kept up, stage by stage, over all rounds; there must be at least one.

    Args:
        load: A load with stages.
        rounds: By round, the counts of each stage.
        thresholds: Those in force.
    """
    rule = _all_received_in_time if load.traits.knee == "all-received" else _near_the_baseline
    return rule(load.stages, rounds, thresholds)


def knee_rps(found: Sequence[StageResult]) -> float | None:
    """The highest rate up to which every stage kept up; 0 for none, None for all of them.

    Rates may be repeated and in any order: the target keeps up with a rate if it does with each
    stage of that rate.
    """
    knee = 0.0
    # Of equal rates a stage that did not keep up comes first, else the knee would be its rate.
    for stage in sorted(found, key=lambda one: (one.rate, one.kept_up)):
        if not stage.kept_up:
            return knee
        knee = stage.rate
    return None


def past_the_knee(
    of: Sequence[Stage], counted: Sequence[StageCount], knee: float | None
) -> Counter[str]:
    """By kind, the requests of a round that failed in the stages beyond the knee.

    A target beyond its limit must fail somehow, so these failures are results and do not make the
    cell invalid; but answers must be correct at any rate, and deliveries unique and in order. Where
    the target did not keep up even with the slowest stage, no stage counts as beyond the knee.
    """
    if not knee:
        return Counter()
    found: Counter[str] = Counter()
    for number, stage in enumerate(of):
        if stage.rate > knee:
            found += counted[number].error_kinds
    never = ErrorKind.WRONG | ErrorKind.MISDELIVERED
    return Counter({kind: n for kind, n in found.items() if kind not in never})


def objections(
    load: Load, knee: float | None, driver_cpu_us: float | None, thresholds: Thresholds
) -> Iterator[Objection]:
    """Whether the knee may be the driver's own.

    The driver's CPU use is a mean over all stages: the first stage beyond the knee takes more.

    Args:
        load: The load.
        knee: Its knee.
        driver_cpu_us: CPU microseconds of the driver per delivery; None under other loads.
        thresholds: Those in force.
    """
    beyond = [stage.rate for stage in load.stages if knee is not None and stage.rate > knee]
    if not beyond or driver_cpu_us is None:
        return
    rate = min(beyond)
    share = rate * load.readers * driver_cpu_us / 1e6
    if share > thresholds.max_driver_cpu:
        yield Objection.of(ObjectionCode.KNEE_OF_THE_DRIVER, rate=rate, share=share)


def _near_the_baseline(
    of: Sequence[Stage], rounds: Sequence[Sequence[StageCount]], thresholds: Thresholds
) -> tuple[bool, ...]:
    """Whether the target kept up, stage by stage; the slowest one is the baseline.

    It kept up when nearly all requests due in a stage were answered correctly within a few times
    the tail of the slowest stage. One rule covers refusals, errors and a growing queue, and needs
    few samples.
    """
    slowest = min(range(len(of)), key=lambda number: of[number].rate)
    yardstick = [counted[slowest] for counted in rounds]
    limit_ms = _limit_ms(of[slowest], yardstick, thresholds)
    if limit_ms is None:
        return (False,) * len(of)
    found = []
    for number in range(len(of)):
        due = sum(counted[number].due for counted in rounds)
        in_time = sum(int((counted[number].response <= limit_ms).sum()) for counted in rounds)
        found.append(due > 0 and in_time >= thresholds.min_kept_share * due)
    return tuple(found)


def _all_received_in_time(
    of: Sequence[Stage], rounds: Sequence[Sequence[StageCount]], thresholds: Thresholds
) -> tuple[bool, ...]:
    """Whether every client received all publications of a stage, and nearly all of them in time.

    Time counts from when a publication was due: one that the target delays before it emits anything
    is late for all clients. A failed publication reached no client.
    """
    found = []
    for number in range(len(of)):
        counted = [one[number] for one in rounds]
        due = sum(one.due for one in counted)
        in_time = sum(int((one.response < thresholds.in_time_ms).sum()) for one in counted)
        lost = sum((one.error_kinds for one in counted), Counter[str]())
        complete = not set(lost) - ErrorKind.MISDELIVERED
        found.append(due > 0 and complete and in_time >= thresholds.in_time_share * due)
    return tuple(found)


def _limit_ms(
    stage: Stage, yardstick: Sequence[StageCount], thresholds: Thresholds
) -> float | None:
    """How long an answer may take; None where the slowest stage is not a usable baseline."""
    response = joined([one.response for one in yardstick])
    if response.size < thresholds.min_answers or _grows(yardstick, stage.duration_s, thresholds):
        return None
    carried = next(
        p for p in (0.99, 0.95, 0.9, 0.5) if statistics.has_enough_beyond(response.size, p)
    )
    return thresholds.knee_allowance_ms + thresholds.knee_slowdown * statistics.percentile(
        response, carried
    )


def _grows(yardstick: Sequence[StageCount], duration_s: float, thresholds: Thresholds) -> bool:
    """Whether response times rise through the slowest stage: then it is overloaded itself.

    Where a queue grows, the response time rises by r - 1 seconds per second, r being the offered
    over the served rate; a queue from before the stage does not hide that. A single answer has no
    halves, so a rise cannot be excluded.
    """
    halves = [np.array_split(one.response, 2) for one in yardstick if one.response.size > 1]
    if not halves:
        return True
    first, second = (
        statistics.percentile(joined([pair[half] for pair in halves]), 0.5) for half in (0, 1)
    )
    rise_ms = second - first - thresholds.knee_allowance_ms
    return rise_ms > (thresholds.max_yardstick_growth - 1) * first or (
        rise_ms > thresholds.max_yardstick_slope * 1e3 * duration_s / 2
    )
