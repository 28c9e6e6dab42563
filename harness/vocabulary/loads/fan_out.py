"""Events that are published to many clients."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self

from pydantic import ConfigDict

from loopmark.harness.vocabulary.loads.arriving import Open, Steps
from loopmark.harness.vocabulary.loads.bounds import (
    Concurrency,
    Few,
    Milliseconds,
    PositiveSeconds,
    Rate,
    Rates,
    Seconds,
)
from loopmark.harness.vocabulary.loads.model import (
    DELIVERY,
    IN_TIME_MS,
    LATENCIES,
    Stretch,
    Traits,
    Words,
)
from loopmark.harness.vocabulary.loads.scheduled import Scheduled

CONNECTING_S = 0.006
"""Expected time to connect a client, for the time left: most of it is CPU time of the target, which
authenticates clients one after another."""

PUBLISHERS = 32
"""Connections for publications: the maximum in flight."""

IN_TIME = "99% within {in_time_ms:level} ms of when the publication was due"
"""When a stage of a fan-out is in time, as a template; the rule is in `analysis.knee`."""


class _FanningOut(Scheduled):
    """What both fan-out loads have in common."""

    __slots__ = ()

    clients: int
    slow: int
    stalled: int
    http_users: int

    @property
    @abstractmethod
    def publishing(self) -> Open | Steps:
        """The open load of the publications: evenly spaced."""

    @property
    def _words(self) -> Words:
        users = "HTTP user" if self.http_users == 1 else "HTTP users"
        there = (("slow", self.slow), ("stalled", self.stalled))
        silent = [f"{{{what}:count}} of them {what}" for what, many in there if many]
        beside = ["{http_users:count} " + users] if self.http_users else []
        others = [f"{{{what}:count}} {what}" for what, many in there if many] + beside
        pace = f"{self.rates_in_words} publications per second"
        crowd = f"{{clients:count}} at {self.rates_in_words}/s"
        clients = "{clients:count} " + ("client" if self.clients == 1 else "clients")
        at_once = ", ".join([clients, *silent, *beside, pace])
        short = f"{{clients:count}}x{self.rates_in_words}/s" + "".join(f" +{one}" for one in others)
        return Words(
            at_once=at_once,
            size=", ".join([crowd, *others]),
            heading="Clients",
            planned=f"{at_once}, {self.planned_in_words}",
            kind="constant rate",
            note=(
                "One publisher sends events to every client at a constant rate; the main figures "
                "are reach (every active client receives every event once and in order) and "
                "delivery latency, from when the target emitted an event."
            ),
            others=tuple(others),
            short=short.replace("HTTP users", "HTTP"),
            crowd=crowd,
            pace=pace,
            axis="connected clients",
        )

    @property
    def window(self) -> tuple[Stretch, ...]:
        """The rate of publications through the measured window."""
        return self.publishing.window

    @property
    def concurrency(self) -> int:
        """The number of connections at most."""
        return self.clients + self.http_users + PUBLISHERS

    @property
    def readers(self) -> int:
        """Active clients, which must receive everything."""
        return self.clients - self.slow - self.stalled

    @property
    def magnitude(self) -> float:
        """The number of clients."""
        return self.clients

    @property
    def audience(self) -> int:
        """All clients."""
        return self.clients

    @property
    def in_flight_limit(self) -> int:
        """As many publications as there are connections for them."""
        return PUBLISHERS

    @property
    def accounts(self) -> int:
        """One for each client and each HTTP user; publishers share the clients'."""
        return self.concurrency - PUBLISHERS

    @property
    def planned_s(self) -> float:
        """Seconds that one round is expected to take."""
        return CONNECTING_S * self.clients + super().planned_s


@dataclass(frozen=True, slots=True)
class FanOut(_FanningOut):
    """Clients that receive events, and one publisher at a constant rate, independent of the target.

    Attributes:
        clients: Connections for events, all open before the window begins.
        rate: Publications per second; every client should receive each.
        duration_s: Length of the measured window, in seconds: publications due in it count,
            whenever they are received.
        slow: How many of the clients read only now and then.
        stalled: How many of them stop reading, and so answering pings, once they are connected.
        http_users: Users that send other requests meanwhile, each with one request in flight.
        warmup_s: Seconds driven at the same rate before the window.
        drain_s: Seconds after the window in which what was published is still awaited.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    clients: Concurrency
    rate: Rate
    duration_s: PositiveSeconds
    slow: Few = 0
    stalled: Few = 0
    http_users: Few = 0
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 1.0
    model: Literal["fan-out"] = "fan-out"

    traits: ClassVar[Traits] = Traits(
        unit=DELIVERY,
        counted="due",
        latency_from="sent",
        is_scheduled=True,
        steady="responses",
        main="latency_ms.p99",
        headline="fan_out_reach",
        compared=("latency_ms.p50", "latency_ms.p99", "cpu_ms_per_request"),
        agreed=(*LATENCIES, "cpu_ms_per_request"),
    )

    def __post_init__(self) -> None:
        """Refuse a load without active clients."""
        silent = self.slow + self.stalled
        if silent >= self.clients:
            raise ValueError(
                f"{silent} of {self.clients} clients are slow or stalled; at least one must be "
                "active"
            )

    @property
    def words(self) -> Words:
        """How it is worded."""
        return self._words

    @property
    def publishing(self) -> Open:
        """The open load of the publications: evenly spaced."""
        return Open(
            rate=self.rate,
            duration_s=self.duration_s,
            max_in_flight=PUBLISHERS,
            warmup_s=self.warmup_s,
        )

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        parts = (("slow", self.slow), ("stalled", self.stalled), ("http", self.http_users))
        others = "".join(f"-{what}-{n}" for what, n in parts if n)
        return f"fan-out-{self.clients}-at-{self.rate:g}{others}"

    @property
    def undisturbed(self) -> Self:
        """The same with as many clients, all of them active, and no HTTP users."""
        return replace(self, slow=0, stalled=0, http_users=0)


@dataclass(frozen=True, slots=True)
class FanOutSteps(_FanningOut):
    """A fan-out whose rate rises in steps: up to which rate does every client receive all in time?

    Attributes:
        clients: Connections for events, all open before the window begins; all are active.
        rates: Publications per second of each step.
        step_s: Length of each step, in seconds.
        warmup_s: Seconds driven at the first rate before the window.
        drain_s: Seconds after the window in which what was published is still awaited.
        in_time_ms: The target keeps up with a stage when nearly all deliveries arrive within so
            many milliseconds of when the publication was due.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    clients: Concurrency
    rates: Rates
    step_s: PositiveSeconds
    warmup_s: Seconds = 0.5
    drain_s: Seconds = 1.0
    in_time_ms: Milliseconds = IN_TIME_MS
    model: Literal["fan-out-steps"] = "fan-out-steps"

    traits: ClassVar[Traits] = Traits(
        unit=DELIVERY,
        counted="due",
        latency_from="sent",
        is_scheduled=True,
        knee="all-received",
        headline="knee_rps",
    )
    slow = 0
    stalled = 0
    http_users = 0

    @property
    def limit_ms(self) -> float:
        """What counts as in time."""
        return self.in_time_ms

    @property
    def words(self) -> Words:
        """How it is worded."""
        words = self._words
        steps = f" in {len(self.rates)} steps of {{step_s:seconds}}"
        return replace(
            words,
            at_once=words.at_once + steps,
            planned=words.planned.replace(words.at_once, words.at_once + steps),
            kind="rising rate",
            note=(
                "One publisher sends events to every client at a rising rate; the main figure is "
                f"the highest rate at which every active client receives every event, {IN_TIME}."
            ),
            axis="publications per second",
        )

    @property
    def publishing(self) -> Steps:
        """The open load of the publications: evenly spaced."""
        return Steps(
            rates=self.rates,
            step_s=self.step_s,
            max_in_flight=PUBLISHERS,
            warmup_s=self.warmup_s,
        )

    @property
    def label(self) -> str:
        """Model and size, as in a cell's name."""
        ends = f"{self.first_rate:g}-{self.last_rate:g}"
        return f"fan-out-{self.clients}-steps-{ends}-by-{len(self.rates)}"
