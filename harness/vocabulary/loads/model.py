"""The traits of load models, as data: other code reads traits instead of testing the type."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias

from loopmark.harness.vocabulary.loads.bounds import Spacing


@dataclass(frozen=True, slots=True)
class Unit:
    """What the figures of a load count.

    Attributes:
        one: A single one.
        many: Several.
        scheduled: Several that are scheduled.
    """

    one: str
    many: str
    scheduled: str


REQUEST = Unit("request", "requests", "requests")
DELIVERY = Unit("delivery", "deliveries", "publications")
"""One publication received, or missed, by one active client."""

Counted: TypeAlias = Literal["all", "answered", "due"]
"""Which samples of a round its figures are about: all, those answered in the window, or those due
in it, whenever they were answered."""

LatencyBasis: TypeAlias = Literal["due", "sent"]
"""The moment from which latency counts: said once for each load, in its traits."""

Series: TypeAlias = Literal["answers", "responses"]
"""What must be steady through the window: answers per bin, or mean response times."""

Balance: TypeAlias = Literal["users", "arrivals"]
"""The form of Little's law that holds: N = X (R + Z) of users, or L = lambda W of arrivals."""

KneeRule: TypeAlias = Literal["nearly-all", "all-received"]
"""When the target keeps up with a stage: nearly all answered right in time, or all received by
every client, and nearly all of it in time."""

IN_TIME_MS = 100.0
"""Unless a plan says otherwise: up to a tenth of a second seems immediate (Miller, 1968). One limit
for all targets: against a multiple of its own tail, the faster of two has the stricter limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The traits of a load.

    Attributes:
        unit: What a sample is.
        counted: Which samples count.
        latency_from: The basis of latency.
        is_scheduled: Whether requests are due at times fixed in advance, independent of the target:
            then the driver must keep the schedule.
        ends_with_last_answer: Whether the window ends when the last user is answered, and the
            target is idle before and after it.
        is_at_most: Whether `planned_s` is a limit, and the load may end by itself before.
        has_dues: Whether each request has a time at which it is due, so that the time from due to
            sent is meaningful.
        steady: What must be steady; None where nothing need be.
        balance: The form of Little's law; None where it does not apply.
        knee: The rule for the stages of a rising rate; None without stages.
        main: Key of the main metric; empty where it is the knee or there is none.
        headline: Key of the metric shown where there is room for only one.
        compared: Keys of the metrics in which two targets are compared. Not those that the load's
            own schedule sets, and none of rising rates: latency there is mostly from beyond the
            knee.
        agreed: Keys of the metrics that two drivers should measure alike.
    """

    unit: Unit = REQUEST
    counted: Counted
    latency_from: LatencyBasis
    is_scheduled: bool = False
    ends_with_last_answer: bool = False
    is_at_most: bool = False
    has_dues: bool = True
    steady: Series | None = None
    balance: Balance | None = None
    knee: KneeRule | None = None
    main: str = ""
    headline: str = "throughput_rps"
    compared: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()

    @property
    def is_staged(self) -> bool:
        """Whether the window has stages."""
        return self.knee is not None

    @property
    def fans_out(self) -> bool:
        """Whether its samples are deliveries, with publications and connections beside them."""
        return self.unit == DELIVERY


LATENCIES = ("latency_ms.p50", "latency_ms.p90", "latency_ms.p99")
"""The latencies in which two drivers are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The texts for a load: templates over its own fields and properties.

    A field is written `{name:form}`; the forms (`count`, `level`, `seconds`, `long_time`) are those
    of reports, which fill the templates in.

    Attributes:
        at_once: In a sentence.
        size: For a column whose heading says what it counts.
        heading: That heading.
        planned: With its times, for the description of the method.
        kind: Of the model, behind the title of a scenario measured under several.
        note: What is driven under it, and what counts.
        others: The other clients and users beside active clients, each in a few words.
        short: The size where there is little room; empty where `size` is short.
        crowd: The part of the size before the others; empty without others.
        pace: The rate, as part of the sentence; for loads that differ in rate and in size.
        axis: What the axis of a chart counts; empty where there is no chart.
    """

    at_once: str
    size: str
    heading: str
    planned: str
    kind: str
    note: str
    others: tuple[str, ...] = ()
    short: str = ""
    crowd: str = ""
    pace: str = ""
    axis: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """Users that are active through the whole window.

    Attributes:
        users: How many.
        think_s: Seconds that a user waits after a flow before the next: constant, or the mean.
        think: `constant`, or `exponential` with `think_s` as its mean.
    """

    users: int
    think_s: float
    think: Literal["constant", "exponential"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A period in which the arrival rate is constant or changes linearly.

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
        """Seconds from its start until this many arrivals are expected.

        The rate is a + b t with b = (end - start) / duration, so arrivals = a t + b t^2 / 2; solved
        for t in the form that neither cancels nor divides by a b near zero.
        """
        if arrivals <= 0:
            return 0.0
        slope = (self.end_rate - self.start_rate) / self.duration_s
        root = math.sqrt(max(0.0, self.start_rate**2 + 2 * slope * arrivals))
        return 2 * arrivals / (self.start_rate + root)


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the window; seconds from its start, and the mean rate planned."""

    start_s: float
    duration_s: float
    rate: float


class LoadModel(ABC):
    """How flows arrive, or events are published.

    The fields of each model come from the plan; the rest of the code reads these properties.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def traits(self) -> Traits:
        """Its traits."""

    @property
    @abstractmethod
    def words(self) -> Words:
        """How it is worded."""

    @property
    @abstractmethod
    def label(self) -> str:
        """Model and size, as in a cell's name."""

    @property
    @abstractmethod
    def concurrency(self) -> int:
        """The number of requests in flight, or of connections, at most."""

    @property
    def in_flight_limit(self) -> int:
        """Maximum number of flows or publications in flight: the rest is refused."""
        return self.concurrency

    @property
    def accounts(self) -> int | None:
        """Number of accounts its users need; None where they rotate over all that exist."""
        return self.concurrency

    @property
    @abstractmethod
    def magnitude(self) -> float:
        """Its size, to compare loads of the same model."""

    @property
    def comparable(self) -> Self:
        """The same load without its expected duration, which may differ between two cells."""
        return self

    def expected_to_take(self, _planned_s: float) -> Self:
        """The same load with this expected duration, in seconds, where its times do not set it."""
        return self

    @property
    def undisturbed(self) -> Self:
        """The same load with all clients active and no HTTP users."""
        return self

    @property
    def held(self) -> Held | None:
        """The users active through the whole window; None where their number varies."""
        return None

    @property
    def spacing(self) -> Spacing:
        """How scheduled requests are spaced."""
        return "constant"

    @property
    def limit_ms(self) -> float:
        """What counts as in time in a stage, in milliseconds from when it was due."""
        return IN_TIME_MS

    @property
    def window_s(self) -> tuple[float, float] | None:
        """When the window opens and closes, in seconds from the start.

        None where the answers decide. A load with a warm-up opens the window after it.
        """
        return None

    @property
    def window(self) -> tuple[Stretch, ...]:
        """The arrival rate through the measured window; empty without a schedule."""
        return ()

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """The arrival rate over time: the warm-up first, then the window."""
        return self.window

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of the window, in time order; empty without any."""
        return ()

    @property
    def audience(self) -> int:
        """Clients for events, whether they read or not."""
        return 0

    @property
    def readers(self) -> int:
        """Active clients, which must receive every event."""
        return 0
