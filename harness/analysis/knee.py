"""The highest rate with which the target keeps up, and the failures beyond it.

Each round has a knee of its own: only rounds are independent repetitions. An answer is in time
within one limit for all targets (`LoadModel.limit_ms`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from loopmark.harness.analysis import statistics
from loopmark.harness.analysis.moderation import Scatter, half_width
from loopmark.harness.analysis.stages import StageCount
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.figures import Interval
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import Stage
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import Thresholds


def kept_up(load: Load, counted: Sequence[StageCount], thresholds: Thresholds) -> tuple[bool, ...]:
    """Whether the target kept up, stage by stage.

    Args:
        load: A load with stages.
        counted: The outcome of each stage of a round.
        thresholds: Those in force.
    """
    rule = _all_received_in_time if load.traits.knee == "all-received" else _nearly_all_in_time
    return tuple(one.due > 0 and rule(one, load.limit_ms, thresholds) for one in counted)


def of_round(of: Sequence[Stage], kept: Sequence[bool]) -> float | None:
    """The highest rate up to which every stage kept up; 0 for none, None for all of them.

    Rates may be repeated and in any order: the target keeps up with a rate if it does with each
    stage of that rate.
    """
    failed = [stage.rate for stage, ok in zip(of, kept, strict=True) if not ok]
    if not failed:
        return None
    return max((stage.rate for stage in of if stage.rate < min(failed)), default=0.0)


def over_rounds(knees: Sequence[float | None]) -> float | None:
    """The median over the rounds, of two in the middle the lower: always the rate of a stage, or 0.

    Raises:
        ValueError: There are no rounds.
    """
    median = statistics.percentile([math.inf if one is None else one for one in knees], 0.5)
    return None if math.isinf(median) else median


def interval(of: Sequence[Stage], knees: Sequence[float | None]) -> Interval | None:
    """The 95% interval of the limit, from the scatter of the rounds and the distance of the stages.

    The limit of a round is somewhere from its knee up to the next rate. Student's t is taken of the
    middles of these stretches, on logarithms, with the variance that a stretch itself hides (its
    width squared / 12, Sheppard); the interval is never narrower than a stretch.

    Returns:
        None with fewer than three rounds, or where a round kept up with all stages or with none:
        its limit is not bounded on both sides.
    """
    known = [one for one in knees if one]
    if len(known) < max(statistics.FEWEST_ROUNDS, len(knees)):
        return None
    low = np.log(known)
    high = np.log([min(stage.rate for stage in of if stage.rate > one) for one in known])
    middle, width = (low + high) / 2, float((high - low).mean())
    scatter = Scatter(float(middle.var(ddof=1)) + width**2 / 12, len(known) - 1)
    half = half_width(scatter, len(known), statistics.CONFIDENCE)
    mean = float(middle.mean())
    return (
        math.exp(min(mean - half, float(low.mean()))),
        math.exp(max(mean + half, float(high.mean()))),
    )


def past_the_knee(
    of: Sequence[Stage], counted: Sequence[StageCount], knee: float | None
) -> Counter[str]:
    """By kind, the requests of a round that failed in the stages beyond its knee.

    A target beyond its limit must fail somehow, so these failures are results and do not make the
    round bad; but answers must be correct at any rate, and deliveries unique and in order. The
    slowest stage is never beyond it: a rate that a plan begins with should be served.
    """
    if knee is None:
        return Counter()
    found: Counter[str] = Counter()
    served = max(knee, min(stage.rate for stage in of))
    for stage, count in zip(of, counted, strict=True):
        if stage.rate > served:
            found += count.error_kinds
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


def _nearly_all_in_time(count: StageCount, limit_ms: float, thresholds: Thresholds) -> bool:
    """Whether nearly all requests due in a stage were answered right and in time.

    One rule covers refusals, errors and a growing queue, and needs few samples.
    """
    return _in_time(count, limit_ms) >= thresholds.min_kept_share * count.due


def _all_received_in_time(count: StageCount, limit_ms: float, thresholds: Thresholds) -> bool:
    """Whether every client received all publications of a stage, and nearly all of them in time.

    Time counts from when a publication was due: one that the target delays before it emits anything
    is late for all clients. A failed publication reached no client.
    """
    complete = not set(count.error_kinds) - ErrorKind.MISDELIVERED
    return complete and _in_time(count, limit_ms) >= thresholds.in_time_share * count.due


def _in_time(count: StageCount, limit_ms: float) -> int:
    return int((count.response <= limit_ms).sum())
