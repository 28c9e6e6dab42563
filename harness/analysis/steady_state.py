"""Whether a window was in a steady state, from a series of bins: halves, MSER, and a straight line.

MSER (White, 1997) finds the initial transient of a simulation: it drops the first values such that
the standard error of the mean of the rest is smallest. Here it runs from both ends, because a
target may change at any time, and the change must be material: a cut with little effect is ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopmark.harness.vocabulary.thresholds import Materiality

BINS = 20
"""Bins per window: 100 ms in one of 2 s. More and smaller bins detect shifts close to an end, but
miss those in short windows because of scatter; see `tests/bench/steady_state_calibration.py`."""

LEAST_PER_BIN = 10
"""Answers per bin, on average. Of sixty answers that arrive at random, one window in 10 seems to
change its level in bins of three; in bins of ten, one in 100."""

LEAST_KEPT = 4
"""Bins that a cut must leave: one or two that are equal by chance would always win."""

MAX_CUT = 0.5
"""Beyond this share of the window, transient and steady parts cannot be distinguished."""

SIGMAS = 4.0

TREND_SIGMAS = 2.0
"""Of a straight line through the whole window: less than for a cut, which is sought among many."""

MAX_MEMORY = 0.9
"""Correlation of neighbouring bins beyond which a window is too short to show it."""

Series = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """The level after a cut divided by the level before it.

    Attributes:
        ratio: Infinite if the level before is zero.
        chance: How much such a ratio differs from 1 by chance: four standard errors, from the
            differences of neighbouring bins.
    """

    ratio: float
    chance: float = 0.0

    def is_material(self, factor: float) -> bool:
        """Whether it is more than this factor, up or down, beyond chance."""
        return _beyond(self.ratio, factor + self.chance)


def answers_per_bin(times_ns: npt.NDArray[np.int64], start_ns: int, end_ns: int) -> Series:
    """Number of these times in each bin of the window: fewer bins where there are few of them."""
    bins = min(max(times_ns.size // LEAST_PER_BIN, 2), BINS)
    return _counts(times_ns, bins, start_ns, end_ns)


def mean_per_bin(
    times_ns: npt.NDArray[np.int64], values: Series, start_ns: int, end_ns: int
) -> Series:
    """The mean of the values in each bin; empty bins are omitted."""
    sums = np.histogram(times_ns, bins=BINS, range=(start_ns, end_ns), weights=values)[0]
    counts = _counts(times_ns, BINS, start_ns, end_ns)
    return np.asarray(sums[counts > 0] / counts[counts > 0])


def _counts(times_ns: npt.NDArray[np.int64], bins: int, start_ns: int, end_ns: int) -> Series:
    return np.histogram(times_ns, bins=bins, range=(start_ns, end_ns))[0].astype(float)


def is_steady(series: Series, materiality: Materiality) -> bool:
    """Whether no material change was found in one window."""
    if len(series) < 2 * LEAST_KEPT:
        return True  # Too short to be cut; the halves of the window are compared all the same.
    return not (_changes(series, materiality) or _changes(series[::-1], materiality))


def between_halves(series: Series) -> Change:
    """The second half of the window compared with the first; for a series of at least two bins."""
    return _change(series, len(series) // 2)


def trend(series: Series, materiality: Materiality) -> float | None:
    """The end of the window divided by its start, where that is a material drift.

    Both are those of a straight line, fitted by least squares: a slow drift changes no level at any
    one moment. The factor must be exceeded by two standard errors of its logarithm. Bins that
    resemble their neighbours count as fewer, (1 - r) / (1 + r) of them with the correlation r of
    the residuals (Bartlett, 1946), whose bias in a short series is taken off (Kendall, 1954).

    Returns:
        None where there is none, or where the line falls below zero, which only scatter explains.
    """
    count = len(series)
    if count < 2 * LEAST_KEPT or materiality.trend is None:
        return None
    place = (np.arange(count) + 0.5) / count - 0.5
    spread, mean = float(place @ place), float(series.mean())
    slope = float(place @ series) / spread
    start, end = mean - slope / 2, mean + slope / 2
    if min(start, end) <= 0:
        return None
    residuals = series - mean - slope * place
    squares = float(residuals @ residuals)
    memory = float(residuals[1:] @ residuals[:-1]) / squares if squares > 0 else 0.0
    memory = min(max(memory + (1 + 4 * memory) / count, 0.0), MAX_MEMORY)
    variance = squares / (count - 2) * (1 + memory) / (1 - memory)
    # Of the mean and of the slope, which are independent: ln(end / start) to first order.
    of_mean, of_slope = variance / count, variance / spread
    error = math.sqrt(
        of_mean * (1 / end - 1 / start) ** 2 + of_slope / 4 * (1 / end + 1 / start) ** 2
    )
    drift = abs(math.log(end / start))
    return end / start if drift > math.log(materiality.trend) + TREND_SIGMAS * error else None


def mser_cut(series: Series) -> int:
    """Number of first values to drop: MSER, the smallest of sum (y - mean)^2 / (n - d)^2 over d."""
    left = len(series) - np.arange(len(series))
    sums = np.cumsum(series[::-1])[::-1]
    squares = np.cumsum(series[::-1] ** 2)[::-1]
    statistic = (squares - sums**2 / left) / left**2
    return int(np.argmin(statistic[: len(series) - LEAST_KEPT + 1]))


def _changes(series: Series, materiality: Materiality) -> bool:
    cut = mser_cut(series)
    if cut == 0 or not _change(series, cut).is_material(materiality.level):
        return False
    kept = float(series[cut:].mean())
    return (
        cut > MAX_CUT * len(series)
        or kept <= 0
        or _beyond(float(series.mean()) / kept, materiality.whole)
    )


def _change(series: Series, cut: int) -> Change:
    before, after = series[:cut], series[cut:]
    levels = [float(part.mean()) for part in (before, after)]
    if levels[0] <= 0:
        return Change(1.0 if levels[1] <= 0 else math.inf)
    ratio = levels[1] / levels[0]
    # From successive differences (von Neumann, 1941): a trend, which is looked for here, must not
    # count as scatter and excuse itself.
    variance = float((np.diff(series) ** 2).mean()) / 2
    # The standard error of a quotient, to first order.
    error = (variance / len(after) + ratio**2 * variance / len(before)) ** 0.5 / levels[0]
    return Change(ratio, SIGMAS * error)


def _beyond(ratio: float, limit: float) -> bool:
    return not 1 / limit <= ratio <= limit
