"""The address of events."""

from __future__ import annotations

from dataclasses import dataclass

from loopmark.harness.drivers.http.origin import Origin
from loopmark.harness.vocabulary.scenario import EventProtocol


@dataclass(frozen=True, slots=True)
class EventAddress:
    """Where events come from, and how.

    Attributes:
        origin: Where the target listens.
        path: Path of the address.
        greeting: Name of the event that comes first on every connection.
        protocol: Of the connection.
    """

    origin: Origin
    path: str
    greeting: str
    protocol: EventProtocol
