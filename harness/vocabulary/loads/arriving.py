"""The open loads: flows arrive on a schedule, independent of the target."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import ConfigDict

from loopmark.harness.vocabulary.loads.bounds import (
    Concurrency,
    Milliseconds,
    PositiveSeconds,
    Rate,
    Rates,
    Seconds,
    Spacing,
)
from loopmark.harness.vocabulary.loads.model import (
    IN_TIME_MS,
    LATENCIES,
    Stage,
    Stretch,
    Traits,
    Words,
)
from loopmark.harness.vocabulary.loads.scheduled import Scheduled

DEFAULT_MAX_IN_FLIGHT = 256

RAMP_STAGES = 10
"""Number of equal stages of a ramp: few enough that each holds a tenth of the samples."""


class ArrivingLoad(Scheduled):
    """What open loads have in common."""

    __slots__ = ()

    arrivals: Spacing
    max_in_flight: int

    @property
    @abstractmethod
    def _name(self) -> str:
        """Model and rates, as in a cell's name."""

    @property
    def _words(self) -> Words:
        poisson = self.arrivals == "poisson"
        at_once = (
            f"{self.rates_in_words} arrivals per second{self._over}{', Poisson' if poisson else ''}"
        )
        return Words(
            at_once=at_once,
            size=f"{self.rates_in_words}{', Poisson' if poisson else ''}",
            heading="Arrivals",
            planned=(
                f"{at_once}, {self.planned_in_words}, at most "
                "{max_in_flight:count} flows in flight"
            ),
            kind="",
            axis="arrivals per second",
            short=f"{self.rates_in_words}/s{' Poisson' if poisson else ''}",
            note=(
                "Flows arrive at a rising rate, independent of the target's responses; the main "
                "figure is the highest rate that the target sustains."
            ),
        )

    @property
    def _over(self) -> str:
        """Template for the number of steps, or how fast the rate rises."""
        return ""

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.max_in_flight

    @property
    def accounts(self) -> None:
        """Flows rotate over all accounts that exist."""
        return

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        return f"{self._name}{'' if self.arrivals == 'constant' else f'-{self.arrivals}'}"

    @property
    def spacing(self) -> Spacing:
        """How arrivals are spaced."""
        return self.arrivals


@dataclass(frozen=True, slots=True)
class Open(ArrivingLoad):
    """Flows that arrive at a constant rate, independent of the target.

    Attributes:
        rate: Arrivals per second.
        duration_s: Length of the measured window, in seconds: arrivals due in it count, whenever
            they are answered.
        arrivals: How they are spaced.
        max_in_flight: Flows under way at most; an arrival that finds so many is refused, and
            recorded as such.
        warmup_s: Seconds driven at the same rate before the window.
        drain_s: Seconds that the requests in flight at the end are expected to take.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    rate: Rate
    duration_s: PositiveSeconds
    arrivals: Spacing = "constant"
    max_in_flight: Concurrency = DEFAULT_MAX_IN_FLIGHT
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
    model: Literal["open"] = "open"

    traits: ClassVar[Traits] = Traits(
        counted="due",
        latency_from="due",
        is_scheduled=True,
        steady="responses",
        balance="arrivals",
        main="latency_ms.p50",
        compared=("latency_ms.p50", "latency_ms.p99", "cpu_ms_per_request"),
        agreed=(*LATENCIES, "cpu_ms_per_request"),
    )

    @property
    def words(self) -> Words:
        """How it is worded."""
        return replace(
            self._words,
            kind="constant rate",
            note=(
                "Flows arrive at a constant rate, independent of the target's responses; the main "
                "figure is the response time from when a request was due."
            ),
        )

    @property
    def _name(self) -> str:
        return f"open-{self.rate:g}"

    @property
    def magnitude(self) -> float:
        """Its rate."""
        return self.rate

    @property
    def window(self) -> tuple[Stretch, ...]:
        """The arrival rate through the measured window."""
        return (Stretch(self.duration_s, self.rate, self.rate),)


RISING = Traits(
    counted="due", latency_from="due", is_scheduled=True, knee="nearly-all", headline="knee_rps"
)
"""The traits of an open load whose rate changes within the window."""


@dataclass(frozen=True, slots=True)
class Steps(ArrivingLoad):
    """An open load whose rate goes from step to step: where does the target stop keeping up?

    Attributes:
        rates: Arrivals per second of each step.
        step_s: Length of each step, in seconds.
        arrivals: How they are spaced.
        max_in_flight: Flows under way at most; an arrival that finds so many is refused.
        warmup_s: Seconds driven at the first rate before the window.
        drain_s: Seconds that the requests in flight at the end are expected to take.
        in_time_ms: The target keeps up with a stage when nearly all that was due in it is answered
            right within so many milliseconds.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    rates: Rates
    step_s: PositiveSeconds
    arrivals: Spacing = "constant"
    max_in_flight: Concurrency = DEFAULT_MAX_IN_FLIGHT
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
    in_time_ms: Milliseconds = IN_TIME_MS
    model: Literal["steps"] = "steps"

    traits: ClassVar[Traits] = RISING

    @property
    def limit_ms(self) -> float:
        """What counts as in time."""
        return self.in_time_ms

    @property
    def words(self) -> Words:
        """How it is worded."""
        return replace(self._words, kind="step by step")

    @property
    def _over(self) -> str:
        return f" in {len(self.rates)} steps of {{step_s:seconds}}"

    @property
    def _name(self) -> str:
        return f"steps-{self.first_rate:g}-{self.last_rate:g}-by-{len(self.rates)}"

    @property
    def magnitude(self) -> float:
        """Its highest rate."""
        return max(self.rates)

    @property
    def window(self) -> tuple[Stretch, ...]:
        """The arrival rate through the measured window."""
        return tuple(Stretch(self.step_s, rate, rate) for rate in self.rates)


@dataclass(frozen=True, slots=True)
class Ramp(ArrivingLoad):
    """An open load whose rate changes linearly: where does the target stop keeping up?

    Attributes:
        from_rate: Arrivals per second at the start of the window.
        to_rate: And at its end.
        duration_s: Length of the measured window, in seconds.
        arrivals: How they are spaced.
        max_in_flight: Flows under way at most; an arrival that finds so many is refused.
        warmup_s: Seconds driven at `from_rate` before the window.
        drain_s: Seconds that the requests in flight at the end are expected to take.
        in_time_ms: The target keeps up with a stage when nearly all that was due in it is answered
            right within so many milliseconds.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    from_rate: Rate
    to_rate: Rate
    duration_s: PositiveSeconds
    arrivals: Spacing = "constant"
    max_in_flight: Concurrency = DEFAULT_MAX_IN_FLIGHT
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
    in_time_ms: Milliseconds = IN_TIME_MS
    model: Literal["ramp"] = "ramp"

    traits: ClassVar[Traits] = RISING

    @property
    def limit_ms(self) -> float:
        """What counts as in time."""
        return self.in_time_ms

    @property
    def words(self) -> Words:
        """How it is worded."""
        return replace(self._words, kind="up a ramp")

    @property
    def _over(self) -> str:
        return " over {duration_s:seconds}"

    @property
    def _name(self) -> str:
        return f"ramp-{self.from_rate:g}-{self.to_rate:g}"

    @property
    def magnitude(self) -> float:
        """Its highest rate."""
        return max(self.from_rate, self.to_rate)

    @property
    def window(self) -> tuple[Stretch, ...]:
        """The arrival rate through the measured window."""
        return (Stretch(self.duration_s, self.from_rate, self.to_rate),)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Equal parts of it, each with its mean rate."""
        slope = (self.to_rate - self.from_rate) / RAMP_STAGES
        length = self.duration_s / RAMP_STAGES
        return tuple(
            Stage(number * length, length, self.from_rate + (number + 0.5) * slope)
            for number in range(RAMP_STAGES)
        )
