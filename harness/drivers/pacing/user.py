"""The interface of virtual users for load models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from loopmark.harness.drivers.http.encoding import Encoder
from loopmark.harness.vocabulary.flow import Request, VirtualUser

NEVER_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Account:
    """A user's account during a flow, and the encoder of its requests."""

    virtual: VirtualUser
    encoder: Encoder


class User(Protocol):
    """A virtual user: it runs one flow at a time, and calls back at its end.

    Attributes:
        on_end: Called with the user, the time the flow ended, and whether that was without an
            answer. It may begin the next flow at once.
        stop_ns: After this time (CLOCK_MONOTONIC) an active flow ends with the answer that it
            awaits.
    """

    on_end: OnEnd
    stop_ns: int

    def prepare(self, account: Account) -> None:
        """Prepare a flow, so that its first request only has to be sent."""

    def go(self, due_ns: int) -> None:
        """Send the first request, due at this time."""

    def check(self, now_ns: int) -> None:
        """Fail overdue requests."""


class AsyncUser(User, Protocol):
    """A user on asyncio, with its connection."""

    async def warm(self, request: Request, account: Account) -> bool:
        """Open the connection with a request, recorded only on failure; whether it succeeded."""

    async def close(self) -> None:
        """Close the connection; a request in flight is recorded as abandoned."""


OnEnd: TypeAlias = Callable[[User, int, bool], None]


def nobody_waits(_user: User, _done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - as `OnEnd` has it
    """For a user whose end is not awaited."""
