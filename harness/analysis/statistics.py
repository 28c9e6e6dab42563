"""Estimates and their intervals. Pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from loopmark.harness.vocabulary.figures import Interval

CONFIDENCE = 0.95
MIN_SAMPLES_BEYOND = 10
"""A percentile needs about ten samples beyond it, or it depends on a few: N (1 - p) >= 10."""
FEWEST_ROUNDS = 3
"""An interval of one cell's figure needs three: with two, Student's t is 12.7, and it can span
decades."""

Numbers = Sequence[float] | npt.NDArray[Any]


def percentile(values: Numbers, p: float) -> float:
    """The smallest value with at least the share `p` of all values at or below it.

    An order statistic (inverse of the empirical distribution, definition 1 in Hyndman and Fan,
    1996): always a value that was measured, exact at any size.

    Raises:
        ValueError: There are no values, or `p` is not within (0, 1].
    """
    return percentiles(values, [p])[0]


def percentiles(values: Numbers, shares: Sequence[float]) -> list[float]:
    """Several percentiles at once, each as `percentile` gives it.

    Raises:
        ValueError: There are no values, or a share is not within (0, 1].
    """
    if not shares:
        return []
    array = np.asarray(values, dtype=float)
    if array.size == 0:
        raise ValueError("no values")
    for p in shares:
        if not 0 < p <= 1:
            raise ValueError(f"p must be within (0, 1], not {p}")
    # The small term keeps a product such as 0.07 * 100, stored as 7.000000000000001, at 7.
    ranks = [max(math.ceil(p * array.size - 1e-9) - 1, 0) for p in shares]
    ordered = np.partition(array, ranks)
    return [float(ordered[rank]) for rank in ranks]


def has_enough_beyond(count: int, p: float) -> bool:
    """Whether `count` samples support the percentile `p`."""
    return count * (1 - p) >= MIN_SAMPLES_BEYOND - 1e-9


def needed_for(p: float) -> int:
    """The smallest number of samples that supports the percentile `p`."""
    return math.ceil(MIN_SAMPLES_BEYOND / (1 - p) - 1e-6)


def interval_over_rounds(estimate: float, per_round: Sequence[float]) -> Interval | None:
    """The 95% interval of a positive figure from its scatter over the rounds.

    Student's t on logarithms, about the estimate: ln(estimate) +- t s / sqrt(n), where s is the
    standard deviation of the rounds' logarithms. Only rounds are independent repetitions.

    Returns:
        None with fewer than three rounds, or where a figure is not positive.
    """
    half = _log_half_width(per_round)
    if half is None or estimate <= 0:
        return None
    return estimate * math.exp(-half), estimate * math.exp(half)


def interpolated(at: float, times: Numbers, values: Numbers) -> float:
    """The value at the time `at`, linear between the readings around it, constant beyond."""
    return float(np.interp(at, np.asarray(times, float), np.asarray(values, float)))


def _log_half_width(per_round: Sequence[float]) -> float | None:
    count = len(per_round)
    if count < FEWEST_ROUNDS or min(per_round) <= 0:
        return None
    from scipy import special  # noqa: PLC0415 - heavy, and drivers need no intervals

    logs = np.log(np.asarray(per_round, dtype=float))
    t = float(special.stdtrit(count - 1, (1 + CONFIDENCE) / 2))
    return t * float(logs.std(ddof=1)) / math.sqrt(count)
