"""Coroutines that nobody awaited: where they were lost, and how often."""

from __future__ import annotations

import os
import sys
import sysconfig
import warnings
from collections import Counter
from types import CodeType, CoroutineType, FrameType
from typing import Any

ORIGINS = "LOOPMARK_PROBE_ORIGINS"
"""Environment variable: set where the lines that create coroutines are wanted, which costs 16 to
20% of CPU per request."""

ORIGIN_DEPTH = 8

LIBRARIES = tuple(
    sorted(
        {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
        | {os.path.dirname(__file__)}  # noqa: PTH120 - as frames have it: text
    )
)
"""Folders of Python and of installed packages, and of the probe."""

lost: Counter[tuple[str, str, int, str]] = Counter()
"""By the coroutine's name, and file, line and function: how often one was not awaited."""


def watch() -> None:
    """Count them from now on, and warn as before; a second time does nothing."""
    warn = warnings._warn_unawaited_coroutine  # type: ignore[attr-defined]  # noqa: SLF001 - Python looks it up each time
    if getattr(warn, "__module__", "") == __name__:
        return

    def count_and_warn(coroutine: CoroutineType[Any, Any, Any]) -> None:
        lost[coroutine.__qualname__, *_place(coroutine, sys._getframe().f_back)] += 1  # noqa: SLF001 - there may be none behind
        warn(coroutine)

    warnings._warn_unawaited_coroutine = count_and_warn  # type: ignore[attr-defined]  # noqa: SLF001


def track_origins() -> None:
    """Keep where each coroutine is created, if it is wanted; for the calling thread."""
    if os.environ.get(ORIGINS):
        sys.set_coroutine_origin_tracking_depth(ORIGIN_DEPTH)


def _place(
    coroutine: CoroutineType[Any, Any, Any], frame: FrameType | None
) -> tuple[str, int, str]:
    """Where it was created if that is known, else where it was dropped: a line of the application.

    Without one, the line of the library.
    """
    origin = [
        (file, line, name) for file, line, name in getattr(coroutine, "cr_origin", None) or ()
    ]
    dropped = []
    while frame is not None and not runs_steps(frame.f_code):
        code: CodeType = frame.f_code
        # Code that Cython or a compiler made may have no line.
        dropped.append((code.co_filename, frame.f_lineno or 0, code.co_name))
        frame = frame.f_back
    places = origin or dropped
    return next(
        (place for place in places if not is_of_library(place[0])),
        places[0] if places else ("", 0, ""),
    )


def runs_steps(code: CodeType) -> bool:
    """Whether it runs steps of tasks: what called it has nothing to do with them."""
    return "asyncio" in code.co_filename and code.co_name in {"_run", "run", "run_forever"}


def is_of_library(file: str) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    return file.startswith(("<", *LIBRARIES)) or "site-packages" in file
