"""What passes beside rounds: by block, and by round."""

from __future__ import annotations

import pytest

from loopmark.harness.launch.running_target import TargetFailedError
from loopmark.harness.run.overhead import Overhead, Stopwatch


class Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def measured_block(clock: Clock, stopwatch: Stopwatch, *, starts_s: float, rounds: int) -> None:
    """Load of 3 s in each round, which takes 0.5 s more; the first waits for its target."""
    with stopwatch.block():
        for number in range(rounds):
            with stopwatch.round():
                with stopwatch.starting():
                    clock.at += starts_s if number == 0 else 0.0
                clock.at += 3.5
                stopwatch.drove(3.0)
        clock.at += 1.0


def test_waiting_for_a_target_belongs_to_its_block() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    measured_block(clock, stopwatch, starts_s=2.0, rounds=4)
    measured_block(clock, stopwatch, starts_s=4.0, rounds=2)
    clock.at += 100.0  # Between blocks.
    found = stopwatch.overhead
    assert (found.block_s, found.round_s) == pytest.approx((4.0, 0.5))


def never_ready(clock: Clock, stopwatch: Stopwatch) -> None:
    with stopwatch.starting():
        clock.at += 10.0
        raise TargetFailedError("late")


def test_a_target_that_does_not_start_takes_its_time_from_the_block() -> None:
    clock = Clock()
    stopwatch = Stopwatch(clock)
    with stopwatch.block(), stopwatch.round():
        with pytest.raises(TargetFailedError, match="late"):
            never_ready(clock, stopwatch)
        clock.at += 0.25
    assert stopwatch.overhead == Overhead(block_s=10.0, round_s=0.25)
