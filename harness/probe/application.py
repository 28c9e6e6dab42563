"""The application as the server sees it: marks what comes and goes, and starts the pulse."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from . import capacity
from .page import Word
from .pulse import Pulse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_MARKS = int(Word.MARKS)  # Looked up for each message: members of an enumeration are slow.


class ProbedApplication:
    """An ASGI application; each message that it receives or sends is counted as a sign of life.

    The pulse begins with the first call, on the event loop that serves the application.

    Args:
        app: The application.
        folder: For what the probe writes.
        own: Folder of the application, where that is one of an installed package.
    """

    def __init__(self, app: Application, folder: Path, own: str = "") -> None:
        self._app = app
        self._folder = folder
        self._own = own
        self._pulse: Pulse | None = None
        self._words: memoryview[int] | list[int] | None = None
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def __getattr__(self, name: str) -> object:
        """What the application has beside; servers look at it."""
        return getattr(self._app, name)

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection, request or lifespan.

        No coroutine of its own here and below: each would cost a frame for every await within.
        """
        if self._words is None:
            self._words = self._begin()
        if scope["type"] == "lifespan":
            return self._app(scope, receive, send)
        if not capacity.knows_threads:
            capacity.watch_threads()
        words = self._words
        words[_MARKS] += 1

        def marked_receive() -> Awaitable[Message]:
            words[_MARKS] += 1
            return receive()

        def marked_send(message: Message) -> Awaitable[None]:
            words[_MARKS] += 1
            return send(message)

        return self._app(scope, marked_receive, marked_send)

    def _begin(self) -> memoryview[int] | list[int]:
        """Start the pulse; returns the integers that tell of it.

        An application that cannot be probed goes on without: nobody looks at what it marks.
        """
        try:
            self._pulse = Pulse(asyncio.get_running_loop(), self._folder, self._app, self._own)
        except Exception as error:  # noqa: BLE001 - whatever it is, the application has no part in it
            logging.getLogger(__name__).warning("loopmark: not probed: %r", error)
            capacity.knows_threads = True
            return [0] * Word.FIRST_LAG
        return self._pulse.words

    def _leave_to_parent(self) -> None:
        """In a forked child: the pulse is its parent's. It has one of its own if it serves."""
        if self._pulse is not None:
            self._pulse.leave_to_parent()
        self._pulse = self._words = None
