"""The page of memory that a probed process shares with its watcher: 8-byte integers in a file.

Writing one needs no system call and no lock, so the event loop can do it all the time, and the
watcher can read it while the loop stands still.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

VERSION = 1
WORD = 8

LAGS = 2048
"""Room for the latest lags of the event loop: at a beat each 20 ms, those of 40 seconds."""


class Word(IntEnum):
    """Index of each integer. Times are of CLOCK_MONOTONIC in nanoseconds.

    `MARKS` counts requests and what an application sends: while it increases, the loop runs. The
    collector runs since `GC_SINCE_NS`; 0: it does not. `SIGNAL` asks for a stack; 0: none may be
    asked for, nor of any process once `ENDS` is set; while a thread runs Python code, only with
    `MAY_INTERRUPT`. What it tells of itself was
    up to date at `FACTS_NS`; the most that was used and waited for is that since its watcher last
    changed `EPOCH`; its watcher sets `FROM_BESIDE` where the thread beside the loop is to tell the
    stack, as a signal would do harm. `LAGS_WRITTEN` lags were written in all, the
    latest of them from `FIRST_LAG` on in a ring.
    """

    VERSION = 0
    PID = 1
    LOOP_THREAD = 2
    HELPER_THREAD = 3
    SIGNAL = 4
    PERIOD_NS = 5
    BEAT_NS = 6
    MARKS = 7
    HELPER_BEAT_NS = 8
    GC_SINCE_NS = 9
    GC_TOTAL_NS = 10
    LAGS_WRITTEN = 11
    ENDS = 12
    FACTS_NS = 13
    MAY_INTERRUPT = 14
    EPOCH = 15
    FROM_BESIDE = 16
    FIRST_LAG = 17


WORDS = Word.FIRST_LAG + 2 * LAGS


class Page:
    """An open page.

    Attributes:
        words: Its integers. All but `EPOCH` and `FROM_BESIDE` are written by the process that
            created it.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open, or create, the page at a path.

        Raises:
            OSError: It cannot be opened.
            ValueError: It is no page, or one that is being created.
        """
        with path.open("w+b" if create else "r+b") as file:
            if create:
                # Written, not only made longer: without room for it, a write to the memory would
                # end the process (SIGBUS).
                file.write(bytes(WORDS * WORD))
                file.flush()
            self._memory = mmap.mmap(file.fileno(), WORDS * WORD)
        self.words = memoryview(self._memory).cast("q")
        if create:
            self.words[Word.VERSION] = VERSION

    def add_lag(self, at_ns: int, lag_ns: int) -> None:
        """Keep a lag of the loop, in place of the oldest."""
        written = self.words[Word.LAGS_WRITTEN]
        place = Word.FIRST_LAG + 2 * (written % LAGS)
        self.words[place] = at_ns
        self.words[place + 1] = lag_ns
        self.words[Word.LAGS_WRITTEN] = written + 1

    def lags_from(self, number: int) -> Iterable[tuple[int, int]]:
        """The lags from one number on, as far as they are still there: (when, lag) in ns."""
        end = self.words[Word.LAGS_WRITTEN]
        for index in range(max(number, end - LAGS), end):
            place = Word.FIRST_LAG + 2 * (index % LAGS)
            yield self.words[place], self.words[place + 1]

    def close(self) -> None:
        """Close it; its integers cannot be read any more."""
        self.words.release()
        self._memory.close()
