"""The application as the server sees it: marks what comes and goes, and starts the pulse."""

from __future__ import annotations

import asyncio
import itertools
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
    """An ASGI application; each request and each message that it sends is a sign of life.

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
        self._numbers = itertools.count(1).__next__
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def __getattr__(self, name: str) -> object:
        """What the application has beside; servers look at it."""
        return getattr(self._app, name)

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection, request or lifespan.

        As little as can be, and no coroutine of its own: each would cost a frame for every await
        within. What is received is not counted: a step that follows on it ends in something sent.
        """
        words, number = self._words or self._begin(), self._numbers
        words[_MARKS] = number()

        def marked_send(message: Message) -> Awaitable[None]:
            words[_MARKS] = number()
            return send(message)

        return self._app(scope, receive, marked_send)

    def _begin(self) -> memoryview[int] | list[int]:
        """Start the pulse; returns the integers that tell of it, from now on.

        An application that cannot be probed goes on without: nobody looks at what it marks.
        """
        try:
            self._pulse = Pulse(asyncio.get_running_loop(), self._folder, self._app, self._own)
            capacity.watch_threads()
        except Exception as error:  # noqa: BLE001 - whatever it is, the application has no part in it
            logging.getLogger(__name__).warning("loopmark: not probed: %r", error)
            self._words = [0] * Word.FIRST_LAG
        else:
            self._words = self._pulse.words
        return self._words

    def _leave_to_parent(self) -> None:
        """In a forked child: the pulse is its parent's. It has one of its own if it serves."""
        if self._pulse is not None:
            self._pulse.leave_to_parent()
        self._pulse = self._words = None
