"""What a probed process tells of itself in a file: routes, lost coroutines, waiting requests."""

from __future__ import annotations

import functools
import inspect
import json
import platform
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType

from . import capacity, checkouts, coroutines, stacks

_INNER = ("app", "other_asgi_app", "application", "asgi_app")
"""What middleware and servers of events call the application that they are around."""

_DEEPEST = 100
"""Layers of middleware that are looked into: one that answers to any name would have no end."""


class Facts:
    """The file of one process.

    Args:
        path: Of the file.
        app: The application.
        loop: The module that the class of its event loop is from.
        own: Folder of the application, where that is one of an installed package.
    """

    def __init__(self, path: Path, app: object, loop: str, own: str) -> None:
        self._path = path
        self._app = app
        self._written = ""
        self._constant = ""
        self._loop = loop
        self._own = own
        self._runs_callbacks = ("", "")

    def runs_callbacks(self, code: CodeType) -> None:
        """Keep what runs the event loop's callbacks."""
        self._runs_callbacks = (code.co_filename, code.co_name)

    def write(self) -> None:
        """Write what has changed. A process that cannot write it goes on without."""
        if not self._constant:
            self._constant = self._of_the_application()
        changing = {
            "runs_callbacks": self._runs_callbacks,
            "lost_coroutines": [
                {
                    "coroutine": name,
                    "file": file,
                    "line": line,
                    "function": function,
                    "times": times,
                }
                for (name, file, line, function), times in list(coroutines.lost.items())
            ],
            "held_connections": checkouts.held(),
            **capacity.seen(),
        }
        # What does not change is made once: there may be hundreds of routes.
        text = f"{self._constant[:-1]}, {json.dumps(changing)[1:]}"
        if text != self._written:
            new = self._path.with_suffix(".part")
            with suppress(OSError):
                new.write_text(text)
                new.replace(self._path)
                self._written = text

    def _of_the_application(self) -> str:
        """What does not change, as JSON."""
        listed: list[dict[str, object]] = []
        with suppress(Exception):  # Whatever an application does where it is asked for attributes.
            listed.extend(routes(self._app))
        return json.dumps(
            {
                "python": platform.python_version(),
                "loop": self._loop,
                "routes": listed,
                "libraries": coroutines.LIBRARIES,
                "probe": str(Path(__file__).parent),
                "own": self._own,
                "no_stacks": stacks.objection(),
            }
        )


def routes(app: object, prefix: str = "") -> Iterator[dict[str, object]]:
    """The routes of an application in Starlette's way, middleware around it or not.

    Yields:
        Of each its path, methods, and the file and lines of what answers it.
    """
    for _ in range(_DEEPEST):
        listed = getattr(app, "routes", None)
        if isinstance(listed, list | tuple):
            for route in listed:
                yield from _of_route(route, prefix)
            return
        app = next((inner for name in _INNER if (inner := getattr(app, name, None))), None)


def _of_route(route: object, prefix: str) -> Iterator[dict[str, object]]:
    """What answers at a route, or at those within it."""
    # FastAPI's routers that are included know the whole paths of theirs.
    included = getattr(route, "effective_candidates", None)
    if included is not None:
        for inner in included():
            yield from _of_route(inner, prefix)
        return
    path = prefix + str(getattr(route, "path", ""))
    endpoint = getattr(route, "endpoint", None)
    if endpoint is None:
        yield from routes(route, path)
    for function in _functions(endpoint):
        lines = [line for _, _, line in function.co_lines() if line is not None]
        yield {
            "path": path,
            "methods": sorted(getattr(route, "methods", None) or ()),
            "file": function.co_filename,
            "first_line": function.co_firstlineno,
            "last_line": max(lines, default=function.co_firstlineno),
        }


def _functions(endpoint: object) -> Iterator[CodeType]:
    """The code of a function, or of the methods of a class, that answers."""
    while isinstance(endpoint, functools.partial):
        endpoint = endpoint.func
    if inspect.isclass(endpoint):
        for method in vars(endpoint).values():
            if inspect.isfunction(method):
                yield method.__code__
    elif callable(endpoint):
        function = inspect.unwrap(endpoint)
        code = getattr(getattr(function, "__func__", function), "__code__", None)
        if isinstance(code, CodeType):
            yield code
