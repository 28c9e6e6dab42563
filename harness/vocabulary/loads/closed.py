"""A fixed number of users, each with one request in flight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from pydantic import ConfigDict

from loopmark.harness.vocabulary.loads.bounds import Concurrency, PositiveSeconds, Seconds
from loopmark.harness.vocabulary.loads.model import LATENCIES, Held, LoadModel, Traits, Words


@dataclass(frozen=True, slots=True)
class Closed(LoadModel):
    """N users, each with one request in flight, for a fixed time.

    Attributes:
        users: Number of virtual users; each repeats the flow.
        duration_s: Length of the measured window, in seconds.
        warmup_s: Seconds driven before the window; recorded, but not in the summaries. Users start
            spread over the first half of it.
        drain_s: Seconds that the requests in flight at the end of the window are expected to take,
            for the time left; they are awaited however long they take.
        think_s: Seconds that a user waits after a flow before the next: constant, or the mean.
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

    traits: ClassVar[Traits] = Traits(
        counted="answered",
        latency_from="sent",
        steady="answers",
        balance="users",
        main="throughput_rps",
        compared=("throughput_rps", "latency_ms.p50", "cpu_ms_per_request"),
        agreed=("throughput_rps", *LATENCIES, "cpu_ms_per_request"),
    )

    @property
    def words(self) -> Words:
        """The texts, with the think time if there is any."""
        mean = " in the mean" if self.think == "exponential" else ""
        thinking = f" who think {{think_s:seconds}}{mean} between flows" if self.think_s else ""
        at_once = f"{{users:# user|# users}}{thinking}"
        return Words(
            at_once=at_once,
            size="{users:count}" + (", thinking {think_s:seconds}" if self.think_s else ""),
            heading="Users",
            planned=f"{at_once}, for {{duration_s:seconds}} after {{warmup_s:seconds}} of warm-up",
            kind="constant users",
            axis="users, each with one request in flight",
            short="{users:count}" + (" +{think_s:seconds}" if self.think_s else ""),
            note=_WITH_PAUSES if self.think_s else _WITHOUT,
        )

    @property
    def concurrency(self) -> int:
        """The number of requests in flight at most."""
        return self.users

    @property
    def magnitude(self) -> float:
        """The number of users."""
        return self.users

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.warmup_s + self.duration_s + self.drain_s

    @property
    def window_s(self) -> tuple[float, float]:
        """When the window opens and closes, in seconds from the start."""
        return self.warmup_s, self.warmup_s + self.duration_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        thinking = f"-think-{self.think_s:g}" if self.think_s else ""
        return f"closed-{self.users}{thinking}"

    @property
    def held(self) -> Held:
        """Its users."""
        return Held(self.users, self.think_s, self.think)

    @property
    def comparable(self) -> Closed:
        """The same load without the expected duration of its last requests."""
        return replace(self, drain_s=0.0)


_WITH_PAUSES = (
    "Each user pauses between flows (think time); the main figure is throughput, requests/s."
)
_WITHOUT = (
    "Each user sends its next request when it receives the response; the main figure is "
    "throughput, requests/s."
)
