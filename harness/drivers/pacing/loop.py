"""What load models and meters need of an event loop: asyncio's has it, gevent's is given it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Handle(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Do not make it."""


class Loop(Protocol):
    """An event loop; an asyncio loop is one."""

    def call_soon(self, call: Callable[[], object], /) -> object:
        """Call it after what is ready now, once answers have been looked at again."""

    def call_later(self, delay: float, call: Callable[[], object], /) -> Handle:
        """Call it after so many seconds."""

    def add_reader(self, fd: int, call: Callable[[], object], /) -> object:
        """Call it whenever the file descriptor can be read."""

    def remove_reader(self, fd: int, /) -> object:
        """Call it no more."""
