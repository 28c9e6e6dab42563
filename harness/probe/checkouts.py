"""Who took the connections that are out of SQLAlchemy's pools: only where it is asked for."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

from . import coroutines

_taken: weakref.WeakKeyDictionary[Any, tuple[str, int, str]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def watch(module: ModuleType) -> None:
    """Keep the line that takes each connection from now on, if it is asked for.

    Args:
        module: `sqlalchemy.pool.impl`.
    """
    if not os.environ.get(coroutines.ORIGINS):
        return
    get, put = module.QueuePool._do_get, module.QueuePool._do_return_conn  # noqa: SLF001 - no event tells of both

    def take(pool: Any) -> Any:  # noqa: ANN401 - SQLAlchemy's
        connection = get(pool)
        with _lock:
            _taken[connection] = _place(sys._getframe(1))  # noqa: SLF001 - the documented way
        return connection

    def give_back(pool: Any, connection: Any) -> None:  # noqa: ANN401
        with _lock:
            _taken.pop(connection, None)
        put(pool, connection)

    module.QueuePool._do_get, module.QueuePool._do_return_conn = take, give_back  # noqa: SLF001


def held() -> list[dict[str, object]]:
    """The lines that took the connections which are out now, as JSON can hold them."""
    with _lock:
        lines = Counter(_taken.values())
    return [
        {"file": file, "line": line, "function": function, "times": times}
        for (file, line, function), times in lines.most_common()
    ]


def _place(frame: FrameType) -> tuple[str, int, str]:
    """The innermost line of the application, else of the library that asked."""
    first = frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name
    for outer in _outward(frame):
        if not coroutines.is_of_library(outer.f_code.co_filename):
            return outer.f_code.co_filename, outer.f_lineno or 0, outer.f_code.co_name
    return first


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames from this one on, also those of the task that a greenlet runs for.

    SQLAlchemy's asynchronous engines run their synchronous part in a greenlet.
    """
    greenlet = sys.modules.get("greenlet")
    current = None if greenlet is None else greenlet.getcurrent()
    while True:
        while frame is not None and not coroutines.runs_steps(frame.f_code):
            yield frame
            frame = frame.f_back
        current = None if current is None else current.parent
        if current is None or frame is not None:
            return
        frame = current.gr_frame
