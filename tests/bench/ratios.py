"""Ratios of what a bench measured in paired rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopmark.harness.analysis.statistics import interval_over_rounds
from loopmark.harness.vocabulary.figures import Interval


def ratio_over_rounds(
    other: Sequence[float], base: Sequence[float]
) -> tuple[float, Interval | None] | None:
    """The geometric mean of `other / base` over paired rounds, with its 95% interval.

    Returns:
        None when there are no pairs or a figure is not positive; the interval is None for fewer
        than three pairs.
    """
    pairs = list(zip(other, base, strict=False))
    if not pairs or any(a <= 0 or b <= 0 for a, b in pairs):
        return None
    ratios = [a / b for a, b in pairs]
    mean = math.exp(sum(math.log(ratio) for ratio in ratios) / len(ratios))
    return mean, interval_over_rounds(mean, ratios)
