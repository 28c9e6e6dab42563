"""Asks one thread of a probed process for its stack, by a signal, and reads the answer."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import time
from contextlib import suppress
from pathlib import Path

from loopmark.harness.vocabulary.blocking import Frame
from loopmark.harness.watch import thread_state

PATIENCE_S = 0.006
"""How long an answer is awaited. A thread that runs is interrupted at once; one that waits for a
processor answers when it has one, and one in a call that cannot be interrupted (fsync) after it."""

LOOK_AGAIN_S = 0.0003

_TGKILL = {"x86_64": 234, "aarch64": 131}.get(platform.machine())
_LIBC = ctypes.CDLL(None, use_errno=True)
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")
_OUTERMOST = re.compile(
    r" in (<module>|_bootstrap|_run_module_as_main)\n\Z|^  \.\.\.\n\Z", re.MULTILINE
)
"""How a stack ends: of a thread, of a program that was started by its file, or by its module."""


class StackFile:
    """The file into which the threads of a process write their stacks.

    Args:
        pid: The process.
        path: Of the file.
    """

    def __init__(self, pid: int, path: Path) -> None:
        self._pid = pid
        self._path = path
        self._read = 0
        self._text = ""

    def ask(self, thread: int, number: int) -> bool:
        """Ask a thread for its stack; returns whether the signal could be sent.

        It is not where the process has no handler for it (any more): after `exec`, at its end, or
        where another process has got its number, a signal would end it.

        Args:
            thread: Its id in the system.
            number: Of the signal.
        """
        if not thread_state.handles_signal(self._pid, number):
            return False
        with suppress(OSError):
            self._read = self._path.stat().st_size
        self._text = ""
        return _signal(self._pid, thread, number)

    def answer(self) -> tuple[Frame, ...]:
        """The stack that was asked for, innermost first; empty when it does not come in time."""
        deadline = time.monotonic() + PATIENCE_S
        while not (frames := self.answered()) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_S)
        return frames

    def answered(self) -> tuple[Frame, ...]:
        """The stack that was asked for, innermost first; empty while it is not there as a whole."""
        before, self._text = self._text, ""
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read)
            self._text = file.read().decode(errors="replace")
        if not _OUTERMOST.search(self._text) and self._text != before:
            return ()
        return tuple(
            Frame(_unescaped(file), int(line), _unescaped(function))
            for file, line, function in _FRAME.findall(self._text)
        )


def _unescaped(text: str) -> str:
    """A name as Python has it: faulthandler writes what is not ASCII as an escape sequence."""
    return _ESCAPED.sub(lambda escaped: chr(int(escaped[0].lstrip("\\xuU"), 16)), text)


def _signal(pid: int, thread: int, number: int) -> bool:
    """Send a signal to one thread; returns whether it could be sent.

    Where a thread cannot be chosen (macOS), the process gets it, whose first thread mostly runs the
    loop.
    """
    if _TGKILL is not None and platform.system() == "Linux":
        return bool(_LIBC.syscall(_TGKILL, pid, thread, number) == 0)
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True
