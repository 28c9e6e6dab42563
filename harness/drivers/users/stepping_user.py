"""Base of users on asyncio that take a flow's next step in the callback of the last one."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from loopmark.harness.drivers.journey import Opening
from loopmark.harness.drivers.pacing.user import NEVER_NS, Account, OnEnd, User, nobody_waits
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.flow import Connect, Request


class SteppingUser(ABC):
    """A virtual user, and the pass that opens its connections.

    Attributes:
        on_end: As `User` has it.
        stop_ns: As `User` has it.
    """

    def __init__(self) -> None:
        self._only_errors = False
        self.on_end: OnEnd = nobody_waits
        self.stop_ns = NEVER_NS

    async def _pass(self, account: Account, *steps: Request | Connect) -> bool:
        """Take these steps, recorded only on failure; returns whether all succeeded."""
        ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        opening = Opening(*steps)

        def tell(_user: User, _done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - as `OnEnd` has it
            if not ended.done():
                ended.set_result(opening.went_well)

        self._only_errors = True
        self.on_end = tell
        self._begin(opening, account)
        self.go(clock())
        try:
            return await ended
        finally:
            self._only_errors = False
            self.on_end = nobody_waits

    @abstractmethod
    def _begin(self, flow: Any, account: Account) -> None:  # noqa: ANN401 - of either kind
        """Begin a flow and encode its first request."""

    @abstractmethod
    def go(self, due_ns: int) -> None:
        """Take the first step, due at this time."""
