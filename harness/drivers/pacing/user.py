"""What the load models know of a virtual user, whichever way it does its flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from loopmark.harness.drivers.http.encoding import Encoder
from loopmark.harness.vocabulary.flow import Request, VirtualUser

NEVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Account:
    """Who a user is while it does a flow: its account, and how its requests are written."""

    virtual: VirtualUser
    encoder: Encoder


class User(Protocol):
    """What load models know: it does one flow at a time, and says when it has ended.

    Attributes:
        on_end: Called with the user, the moment the flow ended, and whether that was without an
            answer. It may begin the next flow at once.
        stop_ns: After this moment (CLOCK_MONOTONIC) a flow under way is left after the answer that
            it awaits.
    """

    on_end: OnEnd
    stop_ns: int

    def prepare(self, account: Account) -> None:
        """Begin a flow, so that its first request need only be sent."""

    def go(self, due_ns: int) -> None:
        """Send the first request, which was due then."""

    def check(self, now_ns: int) -> None:
        """Give up what is overdue."""


class AsyncUser(User, Protocol):
    """A user on asyncio, with its connection."""

    async def warm(self, request: Request, account: Account) -> bool:
        """Open the connection with a request; record it only if it fails, and say whether not."""

    async def close(self) -> None:
        """Close the connection; a request under way is recorded as abandoned."""


OnEnd: TypeAlias = Callable[[User, int, bool], None]


def nobody_waits(_user: User, _done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - as `OnEnd` has it
    """For a user whose end nobody awaits."""
