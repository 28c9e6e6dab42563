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

PATIENCE_S = 0.006
"""How long an answer may take: a thread that runs is interrupted at once, one that waits for a
processor after its turn."""

LOOK_AGAIN_S = 0.0003

_TGKILL = {"x86_64": 234, "aarch64": 131}.get(platform.machine())
_LIBC = ctypes.CDLL(None, use_errno=True)
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
_OUTERMOST = re.compile(r" in (<module>|_bootstrap)\n$|^  \.\.\.\n\Z", re.MULTILINE)


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

    def ask(self, thread: int, number: int) -> bool:
        """Ask a thread for its stack; returns whether the signal could be sent.

        Args:
            thread: Its id in the system.
            number: Of the signal.
        """
        with suppress(OSError):
            self._read = self._path.stat().st_size
        return _signal(self._pid, thread, number)

    def answer(self) -> tuple[Frame, ...]:
        """The stack that was asked for, innermost first; empty when it did not come in time."""
        text, deadline = "", time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_S)
            text = self._new_text()
            if _OUTERMOST.search(text):
                break
        return tuple(
            Frame(file, int(line), function) for file, line, function in _FRAME.findall(text)
        )

    def _new_text(self) -> str:
        with suppress(OSError), self._path.open("rb") as file:
            file.seek(self._read)
            return file.read().decode(errors="replace")
        return ""


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
