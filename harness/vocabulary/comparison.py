"""Comparisons of two cells, and the conclusion of a series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loopmark.harness.vocabulary.figures import Interval
from loopmark.harness.vocabulary.load import Load

Axis: TypeAlias = Literal["target", "driver", "disturbance", "place"]
"""The one thing in which two cells differ: the target, the driver, slow or stalled clients, or the
number of a series. The base is the cell planned first, the one where all clients are active, or the
best one of the series."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two cells of a comparison.

    Attributes:
        label: Its target, driver, load or scenario: the one in which they differ.
        figure: Over all rounds, in the metric's unit; None where it is invalid or has none.
    """

    label: str
    figure: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two cells that differ along one axis.

    Attributes:
        axis: The one thing in which they differ.
        metric: Key of the metric.
        base: The denominator.
        other: The numerator.
        scenario: Of the numerator, as the next three: the base has the same, but along the axis.
        target: Its target.
        load: Its load.
        driver: Its driver.
        ratio: Geometric mean over the pairs of other / base; None when inconclusive.
        ratio_ci: Its interval: from the scatter of the pairs and of comparisons like it, widened
            by what the driver's delay can have done; None where nothing is known of either.
        rounds: Pairs of rounds.
        reasons: Why there is no ratio.
        delay: By which factor less one the driver's delay makes the interval wider.
        left_out: Pairs of which a round does not count; they are not repeated.
        set_aside: Pairs of which a round was disturbed.
    """

    axis: Axis
    metric: str
    base: Side
    other: Side
    scenario: str
    target: str
    load: Load
    driver: str
    ratio: float | None
    ratio_ci: Interval | None
    rounds: int
    reasons: tuple[str, ...] = ()
    delay: float = 0.0
    left_out: int = 0
    set_aside: int = 0

    @property
    def half_width(self) -> float | None:
        """Half of the interval, as a logarithm of the ratio."""
        if self.ratio_ci is None:
            return None
        low, high = self.ratio_ci
        return math.log(high / low) / 2

    @property
    def delay_half_width(self) -> float:
        """The part of it that is the driver's delay."""
        return math.log1p(self.delay) / 2

    @property
    def scatter_half_width(self) -> float | None:
        """The part of it that is scatter, and shrinks with more rounds."""
        return None if self.half_width is None else self.half_width - self.delay_half_width

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the ratio excludes 1."""
        return self.ratio_ci is not None and not self.ratio_ci[0] <= 1 <= self.ratio_ci[1]


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """The conclusion of a series of scenarios that differ in one number.

    Attributes:
        series: Name of the series.
        target: The target in all of its cells.
        driver: The driver in all of its cells.
        load: Their load.
        metric: Key of the metric that is compared.
        best_at: The number with the best figure; None where too few cells are valid, or some of
            them were never measured in one block.
        enough_at: The smallest number from which on the figures, up to the best one, are shown to
            fall short of the best by no more than `margin`; None where that cannot be shown.
        worse_from: The smallest number above the best one that is shown to be worse than the best;
            None without one.
        rounds: The fewest pairs of rounds of its ratios.
        left_out: The numbers whose cells are invalid, or have no figure.
        margin: The share by which a figure may fall short of the best and still be enough.
    """

    series: str
    target: str
    driver: str
    load: Load
    metric: str
    best_at: float | None
    enough_at: float | None
    worse_from: float | None
    rounds: int
    left_out: tuple[float, ...] = ()
    margin: float = 0.0
