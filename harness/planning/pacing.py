"""When flows are due: pure functions of a load and a random generator. No clock.

A schedule is only numbers: it can be tested without waiting, and repeated from its seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.model import LoadModel

RAMP_SHARE = 0.5
"""Users of a closed load start over this share of the warm-up. Started together they would stay in
step, and a first-come-first-served target would answer in waves through the whole round."""


def source_of_chance(seed: int, scenario: str, round_number: int, part: str = "pacing") -> Random:
    """The random generator of one part of a round: of its arrivals, or of one user's choices.

    Drivers and analysis make the same one: so a schedule is known from its seed.
    """
    return Random(f"{seed}/{scenario}/{round_number}/{part}")  # noqa: S311 - choices, no secrets


def due_in_window(load: LoadModel, random: Random) -> int:
    """How many flows a schedule makes due within the measured window."""
    start_s, end_s = load.window_s or (0.0, 0.0)
    return sum(start_s <= at < end_s for at in arrival_times(load, random))


def arrival_times(load: LoadModel, random: Random) -> Iterator[float]:
    """The times at which flows are due, in seconds from the start of the warm-up, ascending.

    Constant arrivals are those at which the expected count passes a whole number. Poisson arrivals
    are a unit-rate Poisson process mapped through the inverse of the expected count (Lewis and
    Shedler, 1979; Cinlar, 1975), which gives a Poisson process of the given rate.
    """
    expected = 0.0
    start_s = 0.0
    gaps = _unit_gaps(load, random)
    next_arrival = 0.0 if load.spacing == "constant" else next(gaps)
    for stretch in load.stretches:
        end = expected + stretch.arrivals
        while next_arrival < end - 1e-9:
            yield start_s + stretch.time_of(next_arrival - expected)
            next_arrival += next(gaps)
        expected = end
        start_s += stretch.duration_s


def start_times(load: Closed) -> Sequence[float]:
    """When each user of a closed load starts, in seconds from the start of the warm-up."""
    pause_s = RAMP_SHARE * load.warmup_s / load.users
    return [number * pause_s for number in range(load.users)]


def think_time(load: Closed, random: Random) -> float:
    """Seconds that a user waits after a flow before the next."""
    if load.think_s == 0:
        return 0.0
    return load.think_s if load.think == "constant" else random.expovariate(1 / load.think_s)


def _unit_gaps(load: LoadModel, random: Random) -> Iterator[float]:
    while True:
        yield 1.0 if load.spacing == "constant" else random.expovariate(1.0)
