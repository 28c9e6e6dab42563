"""How flows arrive: the load models and what each is planned to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, PositiveInt

MAX_CONCURRENCY = 10_000
MAX_SECONDS = 86_400
MAX_RATE = 1_000_000
MAX_STEPS = 100
Concurrency: TypeAlias = Annotated[PositiveInt, Field(le=MAX_CONCURRENCY)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
PositiveSeconds: TypeAlias = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Rate: TypeAlias = Annotated[float, Field(gt=0, le=MAX_RATE)]
"""Arrivals per second."""

Arrivals: TypeAlias = Literal["constant", "poisson"]
"""Evenly spaced, or independent of each other as those of many strangers are."""

DEFAULT_MAX_IN_FLIGHT = 256


@dataclass(frozen=True, slots=True)
class Burst:
    """N flows at once; the makespan, from the common start to the last answer, counts.

    Attributes:
        n: Number of virtual users; each does the flow once.
        planned_s: Seconds that one round is expected to take, for the time left and the deadline.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    n: Concurrency
    planned_s: PositiveSeconds = 1.0
    model: Literal["burst"] = "burst"

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.n

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        return f"burst-{self.n}"


@dataclass(frozen=True, slots=True)
class Closed:
    """N users, each with one request in flight, for a fixed time.

    Attributes:
        users: Number of virtual users; each repeats the flow.
        duration_s: Length of the measured window, in seconds.
        warmup_s: Seconds driven before the window; recorded, but outside of the summaries. Users
            start spread over the first half of it.
        drain_s: Seconds that the requests in flight at the end of the window are expected to take,
            for the time left; they are awaited however long they take.
        think_s: Seconds that a user waits after a flow before the next: always, or in the mean.
        think: `constant`, or `exponential` with `think_s` as its mean.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    users: Concurrency
    duration_s: PositiveSeconds
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
    think_s: Seconds = 0.0
    think: Literal["constant", "exponential"] = "constant"
    model: Literal["closed"] = "closed"

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.users

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.warmup_s + self.duration_s + self.drain_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        thinking = f"-think-{self.think_s:g}" if self.think_s else ""
        return f"closed-{self.users}{thinking}"


@dataclass(frozen=True, slots=True)
class Open:
    """Flows that arrive at a constant rate, whatever the target does.

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
    arrivals: Arrivals = "constant"
    max_in_flight: Concurrency = DEFAULT_MAX_IN_FLIGHT
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
    model: Literal["open"] = "open"

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.max_in_flight

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.warmup_s + self.duration_s + self.drain_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        return f"open-{self.rate:g}{_spacing(self.arrivals)}"


@dataclass(frozen=True, slots=True)
class Steps:
    """An open load whose rate goes from step to step: where does the target stop to keep up?

    Attributes:
        rates: Arrivals per second of each step.
        step_s: Length of each step, in seconds.
        arrivals: How they are spaced.
        max_in_flight: Flows under way at most; an arrival that finds so many is refused.
        warmup_s: Seconds driven at the first rate before the window.
        drain_s: Seconds that the requests in flight at the end are expected to take.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    rates: Annotated[tuple[Rate, ...], Field(min_length=2, max_length=MAX_STEPS)]
    step_s: PositiveSeconds
    arrivals: Arrivals = "constant"
    max_in_flight: Concurrency = DEFAULT_MAX_IN_FLIGHT
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
    model: Literal["steps"] = "steps"

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.max_in_flight

    @property
    def duration_s(self) -> float:
        """Length of the measured window, in seconds."""
        return len(self.rates) * self.step_s

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.warmup_s + self.duration_s + self.drain_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        ends = f"{self.rates[0]:g}-{self.rates[-1]:g}"
        return f"steps-{ends}-by-{len(self.rates)}{_spacing(self.arrivals)}"


@dataclass(frozen=True, slots=True)
class Ramp:
    """An open load whose rate changes linearly: where does the target stop to keep up?

    Attributes:
        from_rate: Arrivals per second at the start of the window.
        to_rate: And at its end.
        duration_s: Length of the measured window, in seconds.
        arrivals: How they are spaced.
        max_in_flight: Flows under way at most; an arrival that finds so many is refused.
        warmup_s: Seconds driven at `from_rate` before the window.
        drain_s: Seconds that the requests in flight at the end are expected to take.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    from_rate: Rate
    to_rate: Rate
    duration_s: PositiveSeconds
    arrivals: Arrivals = "constant"
    max_in_flight: Concurrency = DEFAULT_MAX_IN_FLIGHT
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
    model: Literal["ramp"] = "ramp"

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.max_in_flight

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.warmup_s + self.duration_s + self.drain_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        return f"ramp-{self.from_rate:g}-{self.to_rate:g}{_spacing(self.arrivals)}"


@dataclass(frozen=True, slots=True)
class Population:
    """The users of a locustfile, who ask and wait as it says.

    Attributes:
        users: How many; None where a shape of the locustfile decides.
        spawn_rate: Users started per second; they count from when all are there.
        run_time_s: From the first user's start to the end, in seconds; with a shape the longest
            that it may take.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    users: Concurrency | None
    spawn_rate: Rate
    run_time_s: PositiveSeconds
    model: Literal["population"] = "population"

    @property
    def concurrency(self) -> int:
        """The number of users at most, as far as it is known."""
        return self.users or 1

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.run_time_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        return "shape" if self.users is None else f"users-{self.users}"


CONNECTING_S = 0.006
"""What a client's connection is expected to take, for the time left: most of it is the target's
processor, which authenticates one after the other."""

PUBLISHERS = 32
"""Connections from which publications are sent: so many may be under way at once."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """Clients that hear events, and one publisher at a constant rate, whatever the target does.

    Attributes:
        clients: Connections for events, all there before the window begins.
        rate: Publications per second; every client should hear each.
        duration_s: Length of the measured window, in seconds: publications due in it count,
            whenever they are heard.
        slow: How many of the clients read only now and then.
        stalled: How many of them stop reading, and so answering pings, once they are connected.
        http_users: Users that ask for something else meanwhile, each with one request in flight.
        warmup_s: Seconds driven at the same rate before the window.
        drain_s: Seconds after the window in which what was published is still awaited.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    clients: Concurrency
    rate: Rate
    duration_s: PositiveSeconds
    slow: Annotated[int, Field(ge=0, le=MAX_CONCURRENCY)] = 0
    stalled: Annotated[int, Field(ge=0, le=MAX_CONCURRENCY)] = 0
    http_users: Annotated[int, Field(ge=0, le=MAX_CONCURRENCY)] = 0
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 1.0
    model: Literal["fan-out"] = "fan-out"

    def __post_init__(self) -> None:
        """Refuse a crowd in which nobody reads."""
        _refuse_silence(self.clients, self.slow + self.stalled)

    @property
    def readers(self) -> int:
        """Clients that read at once, and so must hear everything."""
        return self.clients - self.slow - self.stalled

    @property
    def rates(self) -> tuple[float, ...]:
        """Its one rate."""
        return (self.rate,)

    @property
    def step_s(self) -> float:
        """For how long it holds."""
        return self.duration_s

    @property
    def concurrency(self) -> int:
        """The number of connections at most."""
        return self.clients + self.http_users + PUBLISHERS

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        connecting_s = CONNECTING_S * self.clients
        return connecting_s + self.warmup_s + self.duration_s + self.drain_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        parts = (("slow", self.slow), ("stalled", self.stalled), ("http", self.http_users))
        others = "".join(f"-{what}-{n}" for what, n in parts if n)
        return f"fan-out-{self.clients}-at-{self.rate:g}{others}"


@dataclass(frozen=True, slots=True)
class FanOutSteps:
    """A fan-out whose rate goes from step to step: up to which does everybody hear all in time?

    Attributes:
        clients: Connections for events, all there before the window begins; all of them read.
        rates: Publications per second of each step.
        step_s: Length of each step, in seconds.
        warmup_s: Seconds driven at the first rate before the window.
        drain_s: Seconds after the window in which what was published is still awaited.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    clients: Concurrency
    rates: Annotated[tuple[Rate, ...], Field(min_length=2, max_length=MAX_STEPS)]
    step_s: PositiveSeconds
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 1.0
    model: Literal["fan-out-steps"] = "fan-out-steps"

    @property
    def readers(self) -> int:
        """Clients that read at once: all of them."""
        return self.clients

    @property
    def duration_s(self) -> float:
        """Length of the measured window, in seconds."""
        return len(self.rates) * self.step_s

    @property
    def concurrency(self) -> int:
        """The number of connections at most."""
        return self.clients + PUBLISHERS

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        connecting_s = CONNECTING_S * self.clients
        return connecting_s + self.warmup_s + self.duration_s + self.drain_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        ends = f"{self.rates[0]:g}-{self.rates[-1]:g}"
        return f"fan-out-{self.clients}-steps-{ends}-by-{len(self.rates)}"


def _refuse_silence(clients: int, silent: int) -> None:
    if silent >= clients:
        raise ValueError(
            f"of {clients} clients {silent} are slow or stalled; one at least must read"
        )


def _spacing(arrivals: Arrivals) -> str:
    return "" if arrivals == "constant" else f"-{arrivals}"


Arriving: TypeAlias = Open | Steps | Ramp
"""The open loads: flows arrive by a schedule, whatever the target does."""

ARRIVING = (Open, Steps, Ramp)

FlowLoad: TypeAlias = Burst | Closed | Open | Steps | Ramp
"""How the flows of a plan arrive."""

EventLoad: TypeAlias = FanOut | FanOutSteps
"""How events are published."""

FANNING_OUT = (FanOut, FanOutSteps)

PlanLoad: TypeAlias = Annotated[FlowLoad | EventLoad, Field(discriminator="model")]
Load: TypeAlias = Annotated[FlowLoad | EventLoad | Population, Field(discriminator="model")]
