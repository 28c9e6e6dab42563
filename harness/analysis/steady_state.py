"""Whether a window was in a steady state, from a series of bins.

MSER (White, 1997) looks for the initial transient of a simulation: it drops so many first values
that the standard error of the mean of the rest is smallest. Here it runs from both ends, because a
target may change at any moment, and what it finds must matter: a cut that changes little is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopmark.harness.vocabulary.thresholds import Materiality

BINS = 20
"""Per window: 100 ms in one of 2 s. More and smaller ones find shifts close to an end, but lose
those in short windows to the scatter; see `tests/bench/steady_state_calibration.py`."""

LEAST_KEPT = 4
"""Bins that a cut must leave: one or two alike by chance would always win."""

MAX_CUT = 0.5
"""Beyond this share of the window there is no telling what is transient and what is steady."""

SIGMAS = 4.0

Series = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Change:
    """The level after a moment over the level before it.

    Attributes:
        ratio: Infinite where there was nothing before.
        chance: By how much such a ratio differs from 1 by chance: four standard errors, from the
            differences of neighbouring bins.
    """

    ratio: float
    chance: float = 0.0

    def is_material(self, factor: float) -> bool:
        """Whether it is more than this factor, up or down, beyond chance."""
        return _beyond(self.ratio, factor + self.chance)


def answers_per_bin(times_ns: npt.NDArray[np.int64], start_ns: int, end_ns: int) -> Series:
    """How many of these moments lie in each bin of the window."""
    return np.histogram(times_ns, bins=BINS, range=(start_ns, end_ns))[0].astype(float)


def mean_per_bin(
    times_ns: npt.NDArray[np.int64], values: Series, start_ns: int, end_ns: int
) -> Series:
    """The mean of the values by the bin of their moment; bins without any are left out."""
    sums = np.histogram(times_ns, bins=BINS, range=(start_ns, end_ns), weights=values)[0]
    counts = answers_per_bin(times_ns, start_ns, end_ns)
    return np.asarray(sums[counts > 0] / counts[counts > 0])


def is_steady(series: Series, materiality: Materiality) -> bool:
    """Whether no material change was found in one window."""
    if len(series) < 2 * LEAST_KEPT:
        return True  # Too short to be cut; the halves of the window are compared all the same.
    return not (_changes(series, materiality) or _changes(series[::-1], materiality))


def between_halves(series: Series) -> Change:
    """The second half of the window against the first; for a series of two bins at least."""
    return _change(series, len(series) // 2)


def most(verdicts: Sequence[bool]) -> bool:
    """Whether over half of the rounds say so: what happens to one round is not the cell."""
    return 2 * sum(verdicts) > len(verdicts)


def mser_cut(series: Series) -> int:
    """How many first values to drop: MSER, the smallest of sum (y - mean)^2 / (n - d)^2 over d."""
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
