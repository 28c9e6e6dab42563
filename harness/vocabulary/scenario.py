"""A scenario: a flow, the answer it must get and the audit after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.vocabulary.flow import ClientJourney, Flow, Request


@dataclass(frozen=True, slots=True)
class Audit:
    """Rows that must be there, or gone, after what the target has acknowledged.

    Attributes:
        what: What is counted, for the report.
        count: SQL that returns one integer; it is run before and after each round.
        effect: By step: how many rows one acknowledged request adds (negative: removes).
    """

    what: str
    count: str
    effect: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A question to a target.

    Attributes:
        name: As in plans and in the names of cells.
        title: For the report: what is asked, in a few words.
        description: For readers of the report: what a virtual user does and what it shows.
        flow: What one virtual user does; it checks the answers itself. A generator of requests,
            or a coroutine function with an httpx client.
        warm: Request that opens each user's connection before the round; a cheap one.
        audits: What is counted in the database against the acknowledged writes.
    """

    name: str
    title: str
    description: str
    flow: Flow | ClientJourney
    warm: Request
    audits: tuple[Audit, ...] = field(default=())
