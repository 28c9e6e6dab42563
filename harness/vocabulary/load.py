"""How flows arrive: the load models and what each is planned to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, PositiveInt

MAX_CONCURRENCY = 10_000
MAX_SECONDS = 86_400
Concurrency: TypeAlias = Annotated[PositiveInt, Field(le=MAX_CONCURRENCY)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
PositiveSeconds: TypeAlias = Annotated[float, Field(gt=0, le=MAX_SECONDS)]


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
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    users: Concurrency
    duration_s: PositiveSeconds
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 0.0
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
        return f"closed-{self.users}"


Load: TypeAlias = Annotated[Burst | Closed, Field(discriminator="model")]
