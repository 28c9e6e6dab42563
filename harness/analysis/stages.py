"""Loads of rising rates stage by stage: what was offered, what was answered, and where it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from loopmark.harness.analysis import statistics
from loopmark.harness.analysis.latencies import Latencies, joined
from loopmark.harness.analysis.validity import (
    IN_TIME_MS,
    IN_TIME_SHARE,
    KNEE_ALLOWANCE_MS,
    KNEE_SLOWDOWN,
    MAX_YARDSTICK_GROWTH,
    MAX_YARDSTICK_SLOPE,
    MIN_ANSWERS,
    MIN_KEPT_SHARE,
)
from loopmark.harness.analysis.windows import right, within
from loopmark.harness.vocabulary.figures import StageResult
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.loads.arriving import Ramp, Steps
from loopmark.harness.vocabulary.loads.fan_out import FanOutSteps
from loopmark.harness.vocabulary.loads.model import Stage
from loopmark.harness.vocabulary.sample import ErrorKind

Staged: TypeAlias = Steps | Ramp | FanOutSteps
"""Loads whose windows are made of stages."""

STAGED = (Steps, Ramp, FanOutSteps)


@dataclass(frozen=True, slots=True)
class StageCount:
    """What became of the requests, or deliveries, that were due in a stage of one round.

    Attributes:
        due: How many there were.
        response: Response times of the right answers in milliseconds, in the order of their due
            moments.
        error_kinds: By kind, how many of the others failed.
    """

    due: int
    response: Latencies
    error_kinds: Counter[str] = field(default_factory=Counter)


def stages(load: Staged) -> tuple[Stage, ...]:
    """The stages of a window: each step, or equal stretches of the ramp, in time order."""
    return load.stages


def counts(
    of: Sequence[Stage], report: DriverReport, samples: pd.DataFrame
) -> tuple[StageCount, ...]:
    """Count one round, stage by stage."""
    edges = [report.window_start_ns + round(stage.start_s * 1e9) for stage in of]
    edges.append(report.window_end_ns)
    found = []
    for start, end in pairwise(edges):
        due = within(samples, "due_ns", start, end)
        good = right(due).sort_values("due_ns")
        kinds = due.loc[due["error"] != "", "error"].astype(str).value_counts()
        response: npt.NDArray[np.float64] = (good["done_ns"] - good["due_ns"]).to_numpy() / 1e6
        found.append(
            StageCount(len(due), response, Counter({str(k): int(n) for k, n in kinds.items()}))
        )
    return tuple(found)


def results(load: Staged, rounds: Sequence[Sequence[StageCount]]) -> tuple[StageResult, ...]:
    """The stages over all rounds, in time order."""
    of = stages(load)
    everybody = isinstance(load, FanOutSteps)
    kept = _all_heard_in_time(of, rounds) if everybody else _kept_up(of, rounds)
    return tuple(
        _result(stage, [counted[number] for counted in rounds], kept_up=kept[number])
        for number, stage in enumerate(of)
        if rounds
    )


def knee_rps(found: Sequence[StageResult]) -> float | None:
    """The highest rate up to which every stage kept up; 0 for none, None for all of them.

    Rates may be repeated and in any order: a rate is kept up with where each stage of it is.
    """
    knee = 0.0
    # Of equal rates a stage that did not keep up comes first, else the knee would be its rate.
    for stage in sorted(found, key=lambda one: (one.rate, one.kept_up)):
        if not stage.kept_up:
            return knee
        knee = stage.rate
    return None


def past_the_knee(
    of: Sequence[Stage], rounds: Sequence[Sequence[StageCount]], knee: float | None
) -> Counter[str]:
    """By kind, the requests that failed in the stages beyond the knee.

    A target that is asked for more than it can do must fail somehow, so these are a finding and no
    objection; but what it answers must be right at any rate, and what it delivers must come once
    and in order. Where not even the slowest stage was kept up with, nothing is known to be beyond.
    """
    if not knee:
        return Counter()
    found: Counter[str] = Counter()
    for number, stage in enumerate(of):
        if stage.rate > knee:
            for counted in rounds:
                found += counted[number].error_kinds
    never = ErrorKind.WRONG | ErrorKind.MISDELIVERED
    return Counter({kind: n for kind, n in found.items() if kind not in never})


def _result(stage: Stage, rounds: Sequence[StageCount], *, kept_up: bool) -> StageResult:
    seconds = stage.duration_s * len(rounds)
    due = sum(one.due for one in rounds)
    refused = sum(one.error_kinds[ErrorKind.REFUSED] for one in rounds)
    response = joined([one.response for one in rounds])
    p50, p99 = (
        statistics.percentile(response, p)
        if statistics.has_enough_beyond(response.size, p)
        else None
        for p in (0.5, 0.99)
    )
    return StageResult(
        start_s=stage.start_s,
        duration_s=stage.duration_s,
        rate=stage.rate,
        offered_rps=due / seconds,
        sent_rps=(due - refused) / seconds,
        answered_rps=response.size / seconds,
        refused=refused,
        errors=sum(sum(one.error_kinds.values()) for one in rounds),
        p50_ms=p50,
        p99_ms=p99,
        kept_up=kept_up,
    )


def _kept_up(of: Sequence[Stage], rounds: Sequence[Sequence[StageCount]]) -> tuple[bool, ...]:
    """Whether the target kept up, stage by stage; the slowest one is the yardstick.

    It kept up when nearly all that was due in a stage was answered right within a few times the
    tail of the slowest stage. One rule, so that refusals, errors and a growing queue all count, and
    few samples are enough.
    """
    slowest = min(range(len(of)), key=lambda number: of[number].rate)
    yardstick = [counted[slowest] for counted in rounds]
    limit_ms = _limit_ms(of[slowest], yardstick)
    if limit_ms is None:
        return (False,) * len(of)
    found = []
    for number in range(len(of)):
        due = sum(counted[number].due for counted in rounds)
        in_time = sum(int((counted[number].response <= limit_ms).sum()) for counted in rounds)
        found.append(due > 0 and in_time >= MIN_KEPT_SHARE * due)
    return tuple(found)


def _all_heard_in_time(
    of: Sequence[Stage], rounds: Sequence[Sequence[StageCount]]
) -> tuple[bool, ...]:
    """Whether every client heard all that was published in a stage, and nearly all of it in time.

    It counts from the moment at which a publication was due: one that the target holds up before it
    emits anything is late for all. A publication that failed reached nobody.
    """
    found = []
    for number in range(len(of)):
        counted = [one[number] for one in rounds]
        due = sum(one.due for one in counted)
        in_time = sum(int((one.response < IN_TIME_MS).sum()) for one in counted)
        lost = sum((one.error_kinds for one in counted), Counter[str]())
        complete = not set(lost) - ErrorKind.MISDELIVERED
        found.append(due > 0 and complete and in_time >= IN_TIME_SHARE * due)
    return tuple(found)


def _limit_ms(stage: Stage, yardstick: Sequence[StageCount]) -> float | None:
    """How long an answer may take; None where the slowest stage is no yardstick."""
    response = joined([one.response for one in yardstick])
    if response.size < MIN_ANSWERS or _grows(yardstick, stage.duration_s):
        return None
    carried = next(
        p for p in (0.99, 0.95, 0.9, 0.5) if statistics.has_enough_beyond(response.size, p)
    )
    return KNEE_ALLOWANCE_MS + KNEE_SLOWDOWN * statistics.percentile(response, carried)


def _grows(yardstick: Sequence[StageCount], duration_s: float) -> bool:
    """Whether response times rise through the slowest stage: then it is overloaded itself.

    Where a queue grows, the response time rises by r - 1 seconds per second, r being the offered
    over the served rate; what was already queued when the stage began does not hide that.
    Single answers have no halves: that they do not rise cannot be told.
    """
    halves = [np.array_split(one.response, 2) for one in yardstick if one.response.size > 1]
    if not halves:
        return True
    first, second = (
        statistics.percentile(joined([pair[half] for pair in halves]), 0.5) for half in (0, 1)
    )
    rise_ms = second - first - KNEE_ALLOWANCE_MS
    return rise_ms > (MAX_YARDSTICK_GROWTH - 1) * first or (
        rise_ms > MAX_YARDSTICK_SLOPE * 1e3 * duration_s / 2
    )
