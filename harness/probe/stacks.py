"""Lets a signal write the stack of the thread that it reaches, without the interpreter's lock."""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import BinaryIO

CRASHING = {(3, 13, 0): "cpython#123967, mended in 3.13.1"}
"""Versions of Python that crash when a stack is asked for while a frame is being cleared: 12 times
in 54,000 signals to a busy one. Of 3.12 the same fault writes a line too much and does no harm."""


def may_interrupt() -> bool:
    """Whether threads may be asked while they run Python code.

    Not in Python 3.12: for some instructions at each entry into its evaluation loop, the current
    frame is not set yet (`tstate->cframe` in ceval.c). Two or three of 200,000 signals hit them.
    """
    return sys.version_info[:2] != (3, 12)


def write_from_beside(file: BinaryIO, thread: int, beat_ns: int, marks: int) -> None:
    """Write the stack of another thread, as one line of JSON.

    Args:
        file: Unbuffered.
        thread: Its `threading.get_ident()`.
        beat_ns: The loop's last heartbeat; with `marks` it tells which stretch the stack is of.
        marks: The application's messages until now.
    """
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the documented way
    frames = []
    while frame is not None:
        code = frame.f_code
        frames.append((code.co_filename, frame.f_lineno or 0, code.co_name))
        frame = frame.f_back
    row = {"at_ns": monotonic_ns(), "life": (beat_ns, marks), "frames": frames}
    file.write(json.dumps(row).encode() + b"\n")


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
        # nothing. Only the main thread may say so; a server may run in another one.
        with suppress(ValueError):
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
