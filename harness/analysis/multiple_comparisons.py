"""Which of several is best, and by how much each falls short of it: comparisons with the best.

A pair of intervals at 95% cannot say that: the best figure is the luckiest of those that are alike,
and every other has its chance to seem worse. Hsu's intervals (1984, "Constrained simultaneous
confidence intervals for multiple comparisons with the best", doi 10.1214/aos/1176346727) are of
each one's distance from the best of the others, for all of them at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopmark.harness.analysis.moderation import Scatter, moderated
from loopmark.harness.analysis.statistics import CONFIDENCE
from loopmark.harness.vocabulary.figures import Interval

_NODES = 64
"""Of each quadrature: critical values are exact to four digits, also with one degree of freedom."""

_NORMAL_PLACES, _NORMAL_WEIGHTS = np.polynomial.hermite_e.hermegauss(_NODES)
_NORMAL_WEIGHTS /= _NORMAL_WEIGHTS.sum()
_SHARES, _SHARE_WEIGHTS = np.polynomial.legendre.leggauss(_NODES)

_LARGEST = 1e4
"""No critical value is larger: that of two, with one degree of freedom, is 18."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one is than another, paired round by round; more is better.

    Attributes:
        mean: Over the pairs.
        pairs: Their number.
        scatter: Of one pair; None for a single one.
        delay: What the driver's own delay can have added at most: less than it is, and more.
    """

    mean: float
    pairs: int
    scatter: Scatter | None
    delay: tuple[float, float] = (0.0, 0.0)

    @property
    def reversed(self) -> Difference:
        """How much better the other is."""
        less, more = self.delay
        return Difference(-self.mean, self.pairs, self.scatter, (more, less))


def with_the_best(pairs: Mapping[tuple[int, int], Difference], count: int) -> tuple[Interval, ...]:
    """By how much each of several is better than the best of the others.

    The lower bounds are Hsu's constrained ones, from Dunnett's one-sided critical value: with 95%
    confidence none falls further short of the best than they say. The upper bounds are the
    unconstrained ones, from the studentized range: Hsu's own upper bound of 0 says that one is not
    better than the best of the others, and of several that are alike it says so too often to mean
    "worse". Variances of the differences are moderated (see `moderation`).

    Args:
        pairs: The difference of each two, in one of its directions, by their numbers.
        count: How many there are.

    Returns:
        Lower and upper bound of each; empty where no two have more than one pair of rounds.
    """
    scatters = moderated([one.scatter for one in pairs.values()])
    if not pairs or any(one is None for one in scatters):
        return ()
    # Pairs share their members: together they know no more than so many rounds of so many do.
    most = (count - 1) * max(1, min(one.pairs for one in pairs.values()) - 1)
    dofs = [min(scatter.dof, most) for scatter in scatters if scatter is not None]
    values = {dof: (dunnett(count - 1, dof), studentized_range(count, dof)) for dof in set(dofs)}
    known: dict[tuple[int, int], tuple[Difference, float, float]] = {}
    for ((first, second), one), scatter in zip(pairs.items(), scatters, strict=True):
        assert scatter is not None
        error = math.sqrt(scatter.variance / one.pairs)
        one_sided, range_ = values[min(scatter.dof, most)]
        below, above = one_sided * error, range_ * error / math.sqrt(2)
        known[first, second] = one, below, above
        known[second, first] = one.reversed, below, above
    best = best_of(pairs, count)
    others = [[known[one, other] for other in range(count) if other != one] for one in range(count)]
    may_be_best = {
        one
        for one, against in enumerate(others)
        if one == best or all(found.mean + half + found.delay[1] > 0 for found, half, _ in against)
    }
    return tuple(
        (
            _lower([known[one, other] for other in may_be_best if other != one]),
            min(found.mean + half + found.delay[1] for found, _, half in against),
        )
        for one, against in enumerate(others)
    )


def best_of(pairs: Mapping[tuple[int, int], Difference], count: int) -> int:
    """The one whose smallest difference from any other is largest; it has the best mean."""
    least = [math.inf] * count
    for (first, second), one in pairs.items():
        least[first] = min(least[first], one.mean)
        least[second] = min(least[second], -one.mean)
    return max(range(count), key=lambda number: least[number])


def dunnett(others: int, dof: float) -> float:
    """Dunnett's one-sided critical value at 95% of so many comparisons with one (1955)."""

    def held(value: float, scale: Numbers) -> Numbers:
        from scipy import special  # noqa: PLC0415 - heavy, and drivers need no intervals

        shifted = _NORMAL_PLACES[None, :] + math.sqrt(2) * value * scale[:, None]
        return np.asarray(special.ndtr(shifted) ** others @ _NORMAL_WEIGHTS)

    return _critical(held, dof)


def studentized_range(count: int, dof: float) -> float:
    """The critical value at 95% of the range of so many (Tukey)."""

    def held(value: float, scale: Numbers) -> Numbers:
        from scipy import special  # noqa: PLC0415 - heavy, and drivers need no intervals

        places = _NORMAL_PLACES[None, :]
        within = special.ndtr(places) - special.ndtr(places - value * scale[:, None])
        return np.asarray(count * within ** (count - 1) @ _NORMAL_WEIGHTS)

    return _critical(held, dof)


def _lower(candidates: Sequence[tuple[Difference, float, float]]) -> float:
    """Zero for one that alone can be the best."""
    return min((found.mean - half - found.delay[0] for found, half, _ in candidates), default=0.0)


def _critical(held: Callable[[float, Numbers], Numbers], dof: float) -> float:
    """The value that holds with 95%, over the distribution of the standard deviation."""
    from scipy import optimize  # noqa: PLC0415 - heavy, and drivers need no intervals

    scale, weights = _deviations(dof)
    return float(
        optimize.brentq(
            lambda value: float(weights @ held(value, scale)) - CONFIDENCE, 0.0, _LARGEST
        )
    )


def _deviations(dof: float) -> tuple[Numbers, Numbers]:
    """Places and weights of an estimated standard deviation (Gauss-Legendre on its quantiles)."""
    from scipy import special  # noqa: PLC0415 - heavy, and drivers need no intervals

    quantiles = special.chdtri(dof, (1 - _SHARES) / 2)
    return np.sqrt(quantiles / dof), _SHARE_WEIGHTS / 2
