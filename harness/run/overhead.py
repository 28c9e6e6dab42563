"""What passes beside the rounds of a run, for each block and for each round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Overhead:
    """Seconds that pass beside what is driven, in the mean.

    Attributes:
        block_s: For each block: targets and drivers start and end.
        round_s: For each round: tables are emptied, and what was measured is written.
    """

    block_s: float
    round_s: float


class Stopwatch:
    """Tells what the blocks and rounds until now took.

    Args:
        clock: Tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._blocks = self._rounds = 0
        self._blocks_s = self._rounds_s = self._driven_s = 0.0

    @contextmanager
    def block(self) -> Iterator[None]:
        """Around a block."""
        began = self._clock()
        yield
        self._blocks += 1
        self._blocks_s += self._clock() - began

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Around what a round waits for that belongs to its block: processes that start."""
        began = self._clock()
        try:
            yield
        finally:  # A target that does not start took its time all the same.
            self._rounds_s -= self._clock() - began

    @contextmanager
    def round(self) -> Iterator[None]:
        """Around a round."""
        began = self._clock()
        yield
        self._rounds += 1
        self._rounds_s += self._clock() - began

    def drove(self, seconds: float) -> None:
        """Load was driven for so long."""
        self._driven_s += seconds

    @property
    def overhead(self) -> Overhead:
        """Of the blocks and rounds until now; there must be some."""
        return Overhead(
            block_s=(self._blocks_s - self._rounds_s) / self._blocks,
            round_s=(self._rounds_s - self._driven_s) / self._rounds,
        )
