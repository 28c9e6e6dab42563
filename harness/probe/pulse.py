"""The heartbeats of a probed process: of its event loop, and of a thread beside it.

That both stand still, or only one of them, tells apart who holds the interpreter's lock (GIL).
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns

from . import capacity, coroutines, stacks
from .facts import Facts
from .page import Page, Word

PERIOD_NS = 20_000_000
"""Of the heartbeats. Ten milliseconds cost an idle process twice as much: 1.8% of a core."""

SAMPLES_EVERY = 5
"""Beats between two looks at tokens and pools."""

FACTS_EVERY = 10
"""Beats of the thread between two looks at whether there is something new to write."""


class Pulse:
    """The heartbeats of one process, which begin at once.

    Args:
        loop: The running event loop.
        folder: For what it writes; its files are named after the process id.
        app: The application, for its routes.
        own: Its folder, where that is one of an installed package.

    Attributes:
        words: The integers of the page that its watcher reads.

    Raises:
        OSError: The folder cannot be written.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, folder: Path, app: object, own: str
    ) -> None:
        pid = os.getpid()
        self._loop = loop
        self._facts = Facts(folder / f"{pid}.json", app, type(loop).__module__, own)
        # Not to be seen by its watcher before all of it is written.
        hidden, path = folder / f"{pid}.new", folder / f"{pid}.page"
        self._page = Page(hidden, create=True)
        self.words = self._page.words
        self.words[Word.PID] = pid
        self.words[Word.LOOP_THREAD] = threading.get_native_id()
        self.words[Word.PERIOD_NS] = PERIOD_NS
        self.words[Word.BEAT_NS] = self.words[Word.HELPER_BEAT_NS] = monotonic_ns()
        self.words[Word.SIGNAL] = stacks.register(folder / f"{pid}.stacks")
        self.words[Word.MAY_INTERRUPT] = stacks.may_interrupt()
        self._loop_thread = threading.get_ident()
        self._from_beside = (folder / f"{pid}.beside").open("ab", buffering=0)
        coroutines.watch()
        coroutines.track_origins()
        gc.callbacks.append(self._collecting)
        self._collecting_since = 0
        atexit.register(self._end)
        self._beats = 0
        self._due_ns = monotonic_ns()
        # The first beat tells what runs callbacks: before anything else can block.
        loop.call_soon(self._beat)
        threading.Thread(target=self._beat_beside, name="loopmark probe", daemon=True).start()
        hidden.rename(path)

    def _beat(self) -> None:
        now_ns = monotonic_ns()
        if not self._beats:
            # Whatever runs the loop's callbacks: frames beyond it belong to one of them.
            self._facts.runs_callbacks(sys._getframe(1).f_code)  # noqa: SLF001 - the documented way
        self._beats += 1
        self.words[Word.BEAT_NS] = now_ns
        # Timers of millisecond resolution may be a little early: that is no lag.
        self._page.add_lag(now_ns, max(0, now_ns - self._due_ns))
        if self._beats % SAMPLES_EVERY == 0:
            with suppress(Exception):  # Pools may be of any kind; the heart is to beat on.
                capacity.sample(self.words[Word.EPOCH])
        self._due_ns = monotonic_ns() + PERIOD_NS
        self._loop.call_later(PERIOD_NS / 1e9, self._beat)

    def _beat_beside(self) -> None:
        self.words[Word.HELPER_THREAD] = threading.get_native_id()
        beats = 0
        life = 0, 0
        while not self.words[Word.ENDS]:
            time.sleep(PERIOD_NS / 1e9)
            self.words[Word.HELPER_BEAT_NS] = monotonic_ns()
            before, life = life, (self.words[Word.BEAT_NS], self.words[Word.MARKS])
            by_signal = self.words[Word.MAY_INTERRUPT] and not self.words[Word.FROM_BESIDE]
            if life == before and not by_signal:
                stacks.write_from_beside(self._from_beside, self._loop_thread, *life)
            if beats % FACTS_EVERY == 0:
                self._tell()
            beats += 1

    def _tell(self) -> None:
        at_ns = monotonic_ns()
        self._facts.write()
        self.words[Word.FACTS_NS] = at_ns

    def _collecting(self, phase: str, _info: dict[str, int]) -> None:
        now_ns = monotonic_ns()
        if phase == "start":
            self._collecting_since = now_ns
            self.words[Word.GC_SINCE_NS] = now_ns
        elif self._collecting_since:
            self.words[Word.GC_TOTAL_NS] += now_ns - self._collecting_since
            self.words[Word.GC_SINCE_NS] = self._collecting_since = 0

    def leave_to_parent(self) -> None:
        """In a forked child: write no more into the page, which is the parent's too."""
        atexit.unregister(self._end)
        self._watch_no_collections()
        coroutines.lost.clear()

    def _end(self) -> None:
        """No signal from now on: the interpreter is about to take itself apart."""
        self.words[Word.ENDS] = 1
        self._watch_no_collections()
        self._tell()

    def _watch_no_collections(self) -> None:
        with suppress(ValueError):  # An application may have cleared the list.
            gc.callbacks.remove(self._collecting)
