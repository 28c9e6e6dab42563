"""What the rounds of two cells, or of a series of them, can tell."""

from __future__ import annotations

from dataclasses import dataclass

from loopmark.harness.vocabulary.figures import Interval
from loopmark.harness.vocabulary.load import Load


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of two targets under the same scenario, load and driver.

    Attributes:
        scenario: The scenario in both cells.
        load: The load in both cells.
        driver: The driver in both cells.
        base: Target that is the denominator.
        other: Target that is the numerator.
        metric: Name of the metric.
        ratio: Geometric mean over the rounds of other / base; None when inconclusive.
        ratio_ci: Its interval, from the rounds as pairs.
        rounds: Pairs of rounds.
        reasons: Why there is no ratio.
    """

    scenario: str
    load: Load
    driver: str
    base: str
    other: str
    metric: str
    ratio: float | None
    ratio_ci: Interval | None
    rounds: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """One metric of the same scenario, target and load, as two drivers measured it.

    Attributes:
        scenario: The scenario in both cells.
        target: The target in both cells.
        load: The load in both cells.
        base: Driver that is the denominator.
        other: Driver that is the numerator.
        metric: Name of the metric.
        base_figure: Of the base driver's cell, in the metric's unit; None when it is not believed.
        other_figure: Of the other driver's; likewise.
        ratio: Geometric mean over the rounds of other / base; None when inconclusive.
        ratio_ci: Its interval, from the rounds as pairs.
        rounds: Pairs of rounds.
        reasons: Why there is no ratio.
    """

    scenario: str
    target: str
    load: Load
    base: str
    other: str
    metric: str
    base_figure: float | None
    other_figure: float | None
    ratio: float | None
    ratio_ci: Interval | None
    rounds: int
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What the rounds can tell of a series of scenarios that differ by one number.

    Attributes:
        series: Name of the series.
        target: The target in all of its cells.
        driver: The driver in all of its cells.
        load: Their load.
        metric: By which they are held against each other.
        best_at: The number with the best figure; None where too few cells are valid.
        enough_at: The least number up from which no cell, as far as the best one, was clearly worse
            than that.
        worse_from: The least number beyond the best one at which it was clearly worse; None if it
            nowhere was.
        rounds: Pairs of rounds behind it, the fewest.
        left_out: The numbers whose cells are not valid, or have no figure.
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


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One metric of a fan-out that is disturbed, over the same one where all clients just read.

    Attributes:
        scenario: The scenario in both cells.
        target: The target in both cells.
        driver: The driver in both cells.
        load: Of the disturbed cell; in the other one nobody is slow, stalled or an HTTP user.
        metric: Name of the metric.
        ratio: Geometric mean over the rounds of disturbed / calm; None when inconclusive.
        ratio_ci: Its interval, from the rounds as pairs.
        rounds: Pairs of rounds.
        reasons: Why there is no ratio.
    """

    scenario: str
    target: str
    driver: str
    load: Load
    metric: str
    ratio: float | None
    ratio_ci: Interval | None
    rounds: int
    reasons: tuple[str, ...] = ()
