"""What the known target does, and what an exact instrument must therefore report. Pure.

The truth is a property of the schedule alone. To it comes the time that any answer takes over the
loopback interface, some tenths of a millisecond, which no formula here contains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Stall:
    """A target that stands still for `for_s` seconds at the start of every `every_s` seconds.

    What arrives meanwhile is answered when it ends, all else at once.
    """

    every_s: float
    for_s: float

    def remaining_s(self, at_s: float) -> float:
        """Seconds until the answer to what arrives `at_s` seconds after the schedule's start."""
        return max(0.0, self.for_s - at_s % self.every_s)

    def percentile_ms(self, p: float) -> float:
        """The wait that the share `p` of evenly spread arrivals does not exceed, in ms.

        The wait is uniform on (0, for_s) with the probability for_s / every_s and else 0, so the
        share 1 - p of all arrivals waits longer than for_s - (1 - p) every_s. Arrivals at a
        constant rate are a comb in this distribution: with whole periods in the window they differ
        from it by less than the time between two of them.
        """
        return 1000 * max(0.0, self.for_s - (1 - p) * self.every_s)


@dataclass(frozen=True, slots=True)
class Delay:
    """A target that answers after `least_s` plus an exponential time with the mean `mean_s`."""

    least_s: float
    mean_s: float

    @property
    def mean_total_s(self) -> float:
        """The mean of all delays."""
        return self.least_s + self.mean_s

    def percentile_ms(self, p: float) -> float:
        """The delay that the share `p` of all requests does not exceed, in ms.

        The inverse of the shifted exponential distribution: least - mean ln(1 - p).
        """
        return 1000 * self._quantile_s(p)

    def draws_s(self, random: Random, strata: int = 1000) -> Iterator[float]:
        """Delays in seconds, without end.

        Each block of so many has one draw from every equally likely stratum, in random order: the
        share of long delays is then nearly the same in every stretch, and what a tool reports can
        be compared with the truth after seconds instead of minutes (stratified sampling; Cochran,
        1977, chapter 5).
        """
        while True:
            block = list(range(strata))
            random.shuffle(block)
            for stratum in block:
                yield self._quantile_s((stratum + random.random()) / strata)

    def _quantile_s(self, p: float) -> float:
        return self.least_s - self.mean_s * math.log1p(-p)


@dataclass(frozen=True, slots=True)
class Errors:
    """A target that answers every `every`-th request with status 500."""

    every: int

    @property
    def share(self) -> float:
        """The share of requests that fail."""
        return 1 / self.every

    def fails(self, number: int) -> bool:
        """Whether the request with this 0-based number fails."""
        return number % self.every == self.every - 1


STALL = Stall(every_s=5.0, for_s=1.0)
DELAY = Delay(least_s=0.020, mean_s=0.020)
ERRORS = Errors(every=20)
