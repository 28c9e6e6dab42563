"""N flows at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import ConfigDict

from loopmark.harness.vocabulary.loads.bounds import Concurrency, PositiveSeconds
from loopmark.harness.vocabulary.loads.model import LoadModel, Traits, Words


@dataclass(frozen=True, slots=True)
class Burst(LoadModel):
    """N flows at once; the makespan, from the common start to the last answer, counts.

    Attributes:
        n: Number of virtual users; each runs the flow once.
        planned_s: Expected seconds of a round, for the time left and the deadline.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    n: Concurrency
    planned_s: PositiveSeconds = 1.0
    model: Literal["burst"] = "burst"

    traits: ClassVar[Traits] = Traits(
        counted="all",
        latency_from="due",
        ends_with_last_answer=True,
        main="makespan_s",
        headline="makespan_s",
        compared=("makespan_s", "throughput_rps", "latency_ms.p50", "cpu_ms_per_request"),
        agreed=("makespan_s", "latency_ms.p50", "cpu_ms_per_request"),
    )
    words: ClassVar[Words] = Words(
        at_once="{n:# request|# concurrent requests}",
        size="{n:count}",
        heading="Concurrent",
        planned="{n:# request|# concurrent requests}",
        kind="burst",
        axis="concurrent requests",
        note=(
            "All requests are due at the same time; the main figure is the time to the last "
            "response."
        ),
    )

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.n

    @property
    def magnitude(self) -> float:
        """The number of requests."""
        return self.n

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        return f"burst-{self.n}"

    @property
    def comparable(self) -> Burst:
        """The same load without its expected duration."""
        return replace(self, planned_s=1.0)

    def expected_to_take(self, planned_s: float) -> Burst:
        """The same load with this expected duration, in seconds."""
        return replace(self, planned_s=planned_s)
