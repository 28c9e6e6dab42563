"""The users of a locustfile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import ConfigDict

from loopmark.harness.vocabulary.loads.bounds import Concurrency, PositiveSeconds, Rate
from loopmark.harness.vocabulary.loads.model import LATENCIES, LoadModel, Traits, Words


@dataclass(frozen=True, slots=True)
class Population(LoadModel):
    """The users of a locustfile, which send and wait as it says.

    Attributes:
        users: How many; None where a shape of the locustfile decides.
        spawn_rate: Users started per second; measuring begins when all have started.
        run_time_s: From the first user's start to the end, in seconds; with a shape the maximum.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    users: Concurrency | None
    spawn_rate: Rate
    run_time_s: PositiveSeconds
    model: Literal["population"] = "population"

    @property
    def traits(self) -> Traits:
        """Under a shape nothing has to be steady.

        The users' wait times are their own: there is no number to check Little's law against.
        """
        return _SHAPE if self.users is None else _USERS

    @property
    def words(self) -> Words:
        """The texts: a shape has no number of users."""
        return _SHAPE_WORDS if self.users is None else _USERS_WORDS

    @property
    def concurrency(self) -> int:
        """The number of users at most, as far as it is known."""
        return self.users or 1

    @property
    def magnitude(self) -> float:
        """The number of users; 0 where it is not known."""
        return self.users or 0

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return self.run_time_s

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        return "shape" if self.users is None else f"users-{self.users}"


_USERS = Traits(
    counted="answered",
    latency_from="sent",
    has_dues=False,
    steady="answers",
    main="throughput_rps",
    compared=("throughput_rps", "latency_ms.p50", "cpu_ms_per_request"),
    agreed=("throughput_rps", *LATENCIES, "cpu_ms_per_request"),
)
_SHAPE = replace(_USERS, steady=None, is_at_most=True)

_USERS_WORDS = Words(
    at_once="{users:count} users of the locustfile",
    size="{users:count}",
    heading="Users",
    planned=(
        "{users:count} users of the locustfile, {spawn_rate:level} started per second, for "
        "{run_time_s:long_time} in total"
    ),
    kind="locustfile",
    note=(
        "Users send requests and wait as the locustfile defines; the main figure is throughput, "
        "requests/s, once all users have started."
    ),
)
_SHAPE_WORDS = replace(
    _USERS_WORDS,
    at_once="the users of the locustfile's shape",
    size="shape",
    planned="the users of the locustfile's shape, for at most {run_time_s:long_time}",
    note=(
        "The locustfile's shape sets the number of users over time; the whole run is measured, so "
        "figures cover all numbers of users together."
    ),
)
