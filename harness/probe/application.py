"""The application as the server sees it: marks what comes and goes, and starts the pulse."""

from __future__ import annotations

import asyncio
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

    def __getattr__(self, name: str) -> object:
        """What the application has beside; servers look at it."""
        return getattr(self._app, name)

    def __call__(self, scope: Message, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one connection, request or lifespan.

        No coroutine of its own here and below: each would cost a frame for every await within.
        """
        if self._pulse is None:
            self._pulse = Pulse(asyncio.get_running_loop(), self._folder, self._app, self._own)
        if scope["type"] == "lifespan":
            return self._app(scope, receive, send)
        if not capacity.knows_threads:
            capacity.watch_threads()
        words = self._pulse.words
        words[_MARKS] += 1

        def marked_receive() -> Awaitable[Message]:
            words[_MARKS] += 1
            return receive()

        def marked_send(message: Message) -> Awaitable[None]:
            words[_MARKS] += 1
            return send(message)

        return self._app(scope, marked_receive, marked_send)
