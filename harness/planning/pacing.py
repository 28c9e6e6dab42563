"""When flows are due: pure functions of a load and a source of chance. No clock.

A schedule is numbers alone: it can be tested without waiting, and repeated from its seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from loopmark.harness.vocabulary.load import (
    PUBLISHERS,
    Arriving,
    Closed,
    EventLoad,
    FanOut,
    FanOutSteps,
    Open,
    Ramp,
    Steps,
)

RAMP_SHARE = 0.5
"""Users of a closed load start over this share of the warm-up. Started at once they would stay in
step, and a first-come-first-served target would answer in waves as long as the round lasts."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which the arrival rate changes linearly, or not at all.

    Attributes:
        duration_s: Its length in seconds.
        start_rate: Arrivals per second at its start.
        end_rate: And at its end.
    """

    duration_s: float
    start_rate: float
    end_rate: float

    @property
    def arrivals(self) -> float:
        """The expected number of arrivals: the area under the rate."""
        return self.duration_s * (self.start_rate + self.end_rate) / 2

    def time_of(self, arrivals: float) -> float:
        """Seconds from its start until so many arrivals are expected.

        The rate is a + b t with b = (end - start) / duration, so arrivals = a t + b t^2 / 2; solved
        for t in the form that neither cancels nor divides by a b near zero.
        """
        if arrivals <= 0:
            return 0.0
        slope = (self.end_rate - self.start_rate) / self.duration_s
        root = math.sqrt(max(0.0, self.start_rate**2 + 2 * slope * arrivals))
        return 2 * arrivals / (self.start_rate + root)


def stretches(load: Arriving) -> tuple[Stretch, ...]:
    """The arrival rate over time: the warm-up first, then the measured window."""
    match load:
        case Open(rate=rate):
            window: tuple[Stretch, ...] = (Stretch(load.duration_s, rate, rate),)
        case Steps(rates=rates):
            window = tuple(Stretch(load.step_s, rate, rate) for rate in rates)
        case Ramp(from_rate=start, to_rate=end):
            window = (Stretch(load.duration_s, start, end),)
    first = window[0].start_rate
    warmup = (Stretch(load.warmup_s, first, first),) if load.warmup_s > 0 else ()
    return warmup + window


def arrival_times(load: Arriving, random: Random) -> Iterator[float]:
    """The moments at which flows are due, in seconds from the start of the warm-up, rising.

    Constant arrivals are those at which the expected count passes a whole number. Poisson arrivals
    are a unit-rate Poisson process mapped through the inverse of the expected count (Lewis and
    Shedler, 1979; Cinlar, 1975), which gives a Poisson process of the rate asked for.
    """
    expected = 0.0
    start_s = 0.0
    gaps = _unit_gaps(load, random)
    next_arrival = 0.0 if load.arrivals == "constant" else next(gaps)
    for stretch in stretches(load):
        end = expected + stretch.arrivals
        while next_arrival < end - 1e-9:
            yield start_s + stretch.time_of(next_arrival - expected)
            next_arrival += next(gaps)
        expected = end
        start_s += stretch.duration_s


def publishing(load: EventLoad) -> Open | Steps:
    """The open load as which a fan-out's publications arrive: evenly spaced, so many at once."""
    match load:
        case FanOut():
            return Open(
                rate=load.rate,
                duration_s=load.duration_s,
                max_in_flight=PUBLISHERS,
                warmup_s=load.warmup_s,
            )
        case FanOutSteps():
            return Steps(
                rates=load.rates,
                step_s=load.step_s,
                max_in_flight=PUBLISHERS,
                warmup_s=load.warmup_s,
            )


def start_times(load: Closed) -> Sequence[float]:
    """When each user of a closed load starts, in seconds from the start of the warm-up."""
    pause_s = RAMP_SHARE * load.warmup_s / load.users
    return [number * pause_s for number in range(load.users)]


def think_time(load: Closed, random: Random) -> float:
    """Seconds that a user waits after a flow before the next."""
    if load.think_s == 0:
        return 0.0
    return load.think_s if load.think == "constant" else random.expovariate(1 / load.think_s)


def _unit_gaps(load: Arriving, random: Random) -> Iterator[float]:
    while True:
        yield 1.0 if load.arrivals == "constant" else random.expovariate(1.0)
