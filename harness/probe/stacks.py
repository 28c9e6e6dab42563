"""Lets a signal write the stack of the thread that it reaches, without the interpreter's lock."""

from __future__ import annotations

import faulthandler
import signal
import sys
from pathlib import Path

CRASHING = {(3, 13, 0): "cpython#123967, mended in 3.13.1"}
"""Versions of Python that crash when a stack is asked for while a frame is being cleared: 12 times
in 54,000 signals to a busy one. Of 3.12 the same fault writes a line too much and does no harm."""


def objection() -> str:
    """Why no stacks can be had in this Python; empty where they can."""
    why = CRASHING.get(sys.version_info[:3])
    version = ".".join(map(str, sys.version_info[:3]))
    return f"Python {version} crashes when it is asked for a stack ({why})" if why else ""


def register(path: Path) -> int:
    """Write stacks to a file from now on; returns the number of the signal, 0 if there is none.

    Raises:
        OSError: The file cannot be created.
    """
    number = 0 if objection() else next(filter(_is_free, _candidates()), 0)
    if number:
        # What is there before is restored at the interpreter's end: a late signal then ends
        # nothing.
        signal.signal(number, signal.SIG_IGN)
        file = path.open("ab", buffering=0)
        _files.append(file)
        # Never all threads: walking stacks that others change has crashed (cpython#116008).
        faulthandler.register(number, file, all_threads=False)
    return number


_files: list[object] = []
"""Kept open: the handler knows no more than the number of the descriptor."""


def _candidates() -> list[int]:
    """Real-time signals first, of which applications hardly use one."""
    first = getattr(signal, "SIGRTMIN", None)
    real_time = [] if first is None else list(range(first + 7, signal.SIGRTMAX))
    return [*real_time, signal.SIGUSR2, signal.SIGUSR1]


def _is_free(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_DFL
