"""A scenario: a flow, its expected answers and the audit after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

from typing_extensions import TypeIs

from loopmark.harness.vocabulary.flow import (
    ClientJourney,
    EventFlow,
    Flow,
    Request,
    VirtualUser,
    is_client_journey,
)

EventProtocol: TypeAlias = Literal["websocket", "socketio", "sse"]
"""How events reach a client: plain WebSocket, Socket.IO, or Server-Sent Events."""


@dataclass(frozen=True, slots=True)
class EventEndpoint:
    """Where events reach a client.

    Attributes:
        protocol: How.
        path: Below the target's base URL, with the leading slash.
        greeting: Name of the event that comes first on every connection.
    """

    protocol: EventProtocol
    path: str
    greeting: str


AuditKind: TypeAlias = Literal["durable", "half-applied", "idle-in-transaction", "leaked"]
"""What an audit is about: acknowledged writes that must be in the database, changes of which all or
none must be, connections left in an open transaction, or more connections than the target keeps."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Rows that must exist, or be gone, after the acknowledged writes.

    Attributes:
        what: What is counted, for the report.
        count: SQL that returns one integer; it is run before and after each round.
        effect: By step: how many rows one acknowledged request adds (negative: removes).
        kind: What it is about.
    """

    what: str
    count: str
    effect: Mapping[str, int]
    kind: AuditKind = "durable"


@dataclass(frozen=True, slots=True)
class Publication:
    """One request that makes the target send an event to every client.

    Attributes:
        key: The key by which clients recognise the event.
        request: What to send.
    """

    key: str
    request: Request


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What is published under a fan-out load, and how it is recognised.

    Attributes:
        publish: Makes the next publication of a user.
        event: Name of the event that every client then receives.
        key: The field of its data that holds the publication's key.
        emitted_ns: The field that says when the target emitted it (CLOCK_MONOTONIC).
        counts: Path at which the target reports its emitter's counts, as `EmitterCounts`.
        meanwhile: What HTTP users do.
    """

    publish: Callable[[VirtualUser], Publication]
    event: str
    key: str
    emitted_ns: str
    counts: str
    meanwhile: Flow


@dataclass(frozen=True, slots=True)
class Sweep:
    """The place of a scenario in a series; a report shows a series as one section.

    Attributes:
        series: Name of the series.
        title: Title of the series, for the report.
        of: Name of the number, for the axis.
        at: The number in this scenario.
    """

    series: str
    title: str
    of: str
    at: float


@dataclass(frozen=True, slots=True)
class LocustfileFacts:
    """The locustfile that a scenario is.

    Attributes:
        name: The file's name.
        text: Its text, kept with the run.
        user_classes: Names of its classes of users.
        shape: Name of its LoadTestShape; None when it has none.
    """

    name: str
    text: str
    user_classes: tuple[str, ...]
    shape: str | None


@dataclass(frozen=True, slots=True)
class ScenarioFacts:
    """What a run keeps of a scenario, so that it can be analysed without the scenario.

    Attributes:
        name: As in the names of cells.
        title: What is asked, in a few words.
        description: What a virtual user does and what it shows.
        sweep: Its place in a series; None outside of any.
        events: Whether its users receive events, whose times are the main figures.
        audits: What is counted in the database against the acknowledged writes.
        locustfile: What takes the place of a flow; None where there is a flow.
        waits: Whether its requests mostly wait for a fixed time, which hardly scatters.
        statements: By step: the statements that a request asks of the database, as of `Scenario`.
        bystander: As of `Scenario`.
    """

    name: str
    title: str
    description: str
    sweep: Sweep | None = None
    events: bool = False
    audits: tuple[Audit, ...] = ()
    locustfile: LocustfileFacts | None = None
    waits: bool = False
    statements: Mapping[str, str] = field(default_factory=dict)
    bystander: str = ""

    @classmethod
    def of_locustfile(cls, name: str, file: LocustfileFacts) -> Self:
        """A locustfile as a scenario of this name."""
        names = ", ".join(file.user_classes)
        users = f"Users of {names}, who send requests and wait as the file defines."
        return cls(name, f"The requests of {file.name}", users, locustfile=file)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is measured of a target.

    Attributes:
        name: As in plans and in the names of cells.
        title: For the report: what is asked, in a few words.
        description: For readers of the report: what a virtual user does and what it shows.
        flow: What one virtual user does; it checks the answers itself. A generator of requests, one
            that also receives events, or a coroutine function with an httpx client.
        warm: Request that opens each user's connection before the round; a cheap one.
        audits: What is counted in the database against the acknowledged writes.
        events: Where users receive events; None if they do not.
        waits: Whether its requests mostly wait for a fixed time, which hardly scatters.
        statements: By step: the statements that a request of it asks of the database, but for the
            test of the connection. Each is a round trip. Empty where it asks nothing.
        connects: Whether the flow opens that connection itself; otherwise it is open from the
            start.
        broadcast: What fan-out loads publish; None where they do not apply.
        sweep: Its place in a series; None outside of any.
        bystander: The step that asks for next to nothing beside the others, and shows what they
            cost it; empty without one.
    """

    name: str
    title: str
    description: str
    flow: Flow | ClientJourney | EventFlow
    warm: Request
    audits: tuple[Audit, ...] = field(default=())
    events: EventEndpoint | None = None
    connects: bool = False
    broadcast: Broadcast | None = None
    sweep: Sweep | None = None
    waits: bool = False
    statements: Mapping[str, str] = field(default_factory=dict)
    bystander: str = ""

    @property
    def facts(self) -> ScenarioFacts:
        """What a run keeps of it."""
        return ScenarioFacts(
            name=self.name,
            title=self.title,
            description=self.description,
            sweep=self.sweep,
            events=self.events is not None,
            audits=self.audits,
            waits=self.waits,
            statements=self.statements,
            bystander=self.bystander,
        )


def is_plain_flow(flow: Flow | ClientJourney | EventFlow, scenario: Scenario) -> TypeIs[Flow]:
    """Whether a scenario's flow only makes requests, so that any driver of requests can step it."""
    return scenario.events is None and not is_client_journey(flow)
