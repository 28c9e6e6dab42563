"""Watches the event loops of a probed target from outside, and asks the one that stands still why.

The probe inside shares a page of memory for each process (`loopmark.harness.probe.page`). This
looks at it every few milliseconds; a loop that gives no sign of life is asked for its stack by a
signal to its own thread, which answers even where a C function holds the interpreter's lock.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from loopmark.harness.probe.page import Page, Word
from loopmark.harness.vocabulary.blocking import (
    GIL,
    Call,
    Frame,
    HeldConnection,
    LostCoroutine,
    ProcessEvidence,
    ProcessFacts,
    ResourceUse,
    Route,
    StackSample,
    Stretch,
)
from loopmark.harness.watch import thread_state
from loopmark.harness.watch.thread_signal import StackFile

LOOK_S = 0.005
"""Between two looks at a page. One takes some 20 microseconds."""

SILENCE_NS = 15_000_000
"""By how much a sign of life must be late. With the period of the heartbeat, the shortest stretch
that is certain to be seen is 35 ms."""

FOLDER_S = 0.25
"""Between two looks for new processes, once there is one."""

FACTS_S = 1.0
"""How long facts are awaited, which a process writes five times a second."""

SOON_NS, LATER_NS, MOST_NS = 8_000_000, 25_000_000, 200_000_000
"""Between two stacks of one stretch: for the first few, for the next, and of a long one."""
FIRST_FEW, NEXT = 5, 40

MOSTLY, SCARCELY = 0.5, 0.25
"""Shares of the time for which a thread must be runnable, and run, to be what keeps the loop
waiting: less than half of a processor where others compete for it."""

GIL_BYTES = 256
"""Within which the interpreter keeps all that a thread waits on for its lock."""

SIGHTING_NS = 50_000_000
"""Between two stacks of a loop that is seen asleep for short times."""


class LoopWatch:
    """Watches all probed processes that write into a folder, while the context lasts.

    Args:
        folder: That the probe was told of.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, _ProcessWatch] = {}
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop watch", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        self.end()

    def begin(self) -> None:
        """Look from now on."""
        self._thread.start()

    def end(self) -> None:
        """Look no more, and let go of the pages; a second time does nothing."""
        if self._ends.is_set():
            return
        self._ends.set()
        self._thread.join()
        for process in self._processes.values():
            process.close()

    def evidence(self) -> tuple[ProcessEvidence, ...]:
        """What was seen of each process so far."""
        return tuple(process.evidence() for process in list(self._processes.values()))

    def begin_epoch(self) -> None:
        """From now on the most that is used and waited for is told anew."""
        for process in list(self._processes.values()):
            process.begin_epoch()

    def wait_for_facts(self, of_ns: int) -> None:
        """Wait, for a moment at most, until the processes have told what was so at a time."""
        deadline = time.monotonic() + FACTS_S
        for process in list(self._processes.values()):
            while process.facts_ns < of_ns and time.monotonic() < deadline:
                time.sleep(LOOK_S)

    @property
    def is_watching(self) -> bool:
        """Whether a probed process has been seen."""
        return bool(self._processes)

    def _watch(self) -> None:
        looked_at_folder = float("-inf")
        while not self._ends.wait(LOOK_S):
            # What an application does at its start is over soon.
            pause_s = FOLDER_S if self._processes else 2 * LOOK_S
            if time.monotonic() - looked_at_folder > pause_s:
                looked_at_folder = time.monotonic()
                self._find()
            for process in self._processes.values():
                process.look()

    def _find(self) -> None:
        for path in self._folder.glob("*.page"):
            if path.name not in self._processes:
                with suppress(OSError, ValueError):
                    self._processes[path.name] = _ProcessWatch(path)


@dataclass(slots=True)
class _Begun:
    """What stood at the last sign of life."""

    at_ns: int
    scheduled: thread_state.Scheduled | None
    collecting_ns: int
    is_stretch: bool = False
    was_stopped: bool = False
    steal_ns: int = 0
    beside_ns: int = 0
    samples: list[StackSample] = field(default_factory=list)
    others: list[StackSample] = field(default_factory=list)
    next_sample_ns: int = 0
    call: Call | None = None
    spent: Mapping[int, thread_state.Scheduled] = field(default_factory=dict)
    spent_at_ns: int = 0


class _ProcessWatch:
    """Watches the loop of one process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._page = Page(path)
        words = self._page.words
        self._words = words
        self._pid = words[Word.PID]
        self._thread = words[Word.LOOP_THREAD]
        self._stacks = StackFile(self._pid, path.with_suffix(".stacks"))
        self._beside = path.with_suffix(".beside").open("rb")
        self._life = self._signs()
        self._looked_ns = time.monotonic_ns()
        self._begun = self._begin(self._looked_ns, self._looked_ns)
        self._stretches: list[Stretch] = []
        self._sightings: list[StackSample] = []
        self._lags: list[tuple[int, int]] = []
        self._lags_read = 0
        self._unsampled_ns = 0
        self._next_sighting_ns = 0
        self._gil = -GIL_BYTES
        self._asked: tuple[StackSample, list[StackSample]] | None = None
        self._has_kinds = thread_state.scheduled(self._pid, self._thread) is not None

    def look(self) -> None:
        """Take one look."""
        if self._words[Word.ENDS]:
            return
        now_ns = time.monotonic_ns()
        unwatched_ns = now_ns - self._looked_ns
        self._looked_ns = now_ns
        life = self._signs()
        self._take_late_answer(may_wait=life != self._life)
        if life != self._life:
            self._goes_on(life, now_ns)
            self._see_asleep(now_ns, unwatched_ns)
            return
        begun = self._begun
        begun.beside_ns = max(begun.beside_ns, now_ns - self._words[Word.HELPER_BEAT_NS])
        silent_ns = now_ns - begun.at_ns
        if silent_ns < self._words[Word.PERIOD_NS] + SILENCE_NS:
            self._see_asleep(now_ns, unwatched_ns)
        elif now_ns >= begun.next_sample_ns:
            self._ask_why(now_ns)

    def evidence(self) -> ProcessEvidence:
        """What was seen so far, and of a loop that stands still now, until now."""
        return ProcessEvidence(
            pid=self._pid,
            facts=read_facts(self._path.with_suffix(".json")),
            stretches=tuple(self._stretches_until_now()),
            sightings=tuple(self._sightings),
            lags=tuple(self._lags),
            has_kinds=self._has_kinds,
        )

    def begin_epoch(self) -> None:
        """As of `LoopWatch`."""
        self._words[Word.EPOCH] += 1

    @property
    def facts_ns(self) -> int:
        """When what the process tells was up to date."""
        return self._words[Word.FACTS_NS]

    def close(self) -> None:
        """Let go of the page."""
        self._stretches = self._stretches_until_now()
        self._begun.is_stretch = False
        self._page.close()
        self._beside.close()

    # ---- signs of life ----

    def _signs(self) -> tuple[int, int]:
        return self._words[Word.BEAT_NS], self._words[Word.MARKS]

    def _begin(self, now_ns: int, at_ns: int) -> _Begun:
        return _Begun(
            at_ns=at_ns,
            scheduled=thread_state.scheduled(self._pid, self._thread),
            collecting_ns=self._collecting_ns(now_ns),
        )

    def _collecting_ns(self, now_ns: int) -> int:
        since = self._words[Word.GC_SINCE_NS]
        return self._words[Word.GC_TOTAL_NS] + (now_ns - since if since else 0)

    def _goes_on(self, life: tuple[int, int], now_ns: int) -> None:
        """Keep what was a stretch, and begin anew."""
        # The beat says when; a mark only that it was since the last look.
        at_ns = life[0] if life[0] != self._life[0] else now_ns
        life_before = self._life
        before, self._begun, self._life = self._begun, self._begin(now_ns, at_ns), life
        self._lags.extend(self._page.lags_from(self._lags_read))
        self._lags_read = self._words[Word.LAGS_WRITTEN]
        if before.is_stretch:
            self._words[Word.FROM_BESIDE] = 0
            told = _told_from_beside(self._beside.read(), life_before, before.call)
            before.samples = before.samples or told
            self._stretches.append(self._stretch(before, self._begun))

    def _stretches_until_now(self) -> list[Stretch]:
        """Those that were kept, and that of a loop that stands still now."""
        begun, now_ns = self._begun, time.monotonic_ns()
        stretches = list(self._stretches)
        stands = begun.is_stretch and self._signs() == self._life
        # The thread that looks may have kept it in between.
        if stands and not any(one.start_ns == begun.at_ns for one in stretches):
            rows = self._path.with_suffix(".beside").read_bytes()
            samples = begun.samples or _told_from_beside(rows, self._life, begun.call)
            so_far = replace(begun, samples=samples)
            stood = self._stretch(so_far, self._begin(now_ns, now_ns))
            stretches.append(replace(stood, has_ended=False))
        return stretches

    def _stretch(self, begun: _Begun, ended: _Begun) -> Stretch:
        run_ns = queued_ns = None
        if begun.scheduled is not None and ended.scheduled is not None:
            run_ns = ended.scheduled.run_ns - begun.scheduled.run_ns
            queued_ns = ended.scheduled.queued_ns - begun.scheduled.queued_ns
            if begun.was_stopped:
                queued_ns = ended.at_ns - begun.at_ns - run_ns
        return Stretch(
            start_ns=begun.at_ns,
            end_ns=ended.at_ns,
            run_ns=run_ns,
            queued_ns=queued_ns,
            steal_ns=thread_state.steal_ns() - begun.steal_ns,
            collecting_ns=ended.collecting_ns - begun.collecting_ns,
            beside_ns=begun.beside_ns,
            samples=_weighted(begun.samples, begun.at_ns, ended.at_ns),
            others=tuple(begun.others),
        )

    # ---- stacks ----

    def _ask_why(self, now_ns: int) -> None:
        """Take a stack of the loop that stands still, and of a thread that keeps it waiting."""
        begun = self._begun
        if not begun.is_stretch:
            begun.is_stretch = True
            begun.steal_ns = thread_state.steal_ns()
            if self._asked is not None:
                # Asked when it was only asleep, and not yet answered: it is of this stretch.
                self._asked = self._asked[0], begun.samples
        taken = len(begun.samples)
        step_ns = SOON_NS if taken < FIRST_FEW else LATER_NS if taken < NEXT else MOST_NS
        begun.next_sample_ns = now_ns + step_ns
        if thread_state.is_stopped(self._pid, self._thread):
            begun.was_stopped = True
            return
        doing = thread_state.doing(self._pid, self._thread)
        slept = None if doing is None else doing.call
        call = None if slept is None else thread_state.call_of(self._pid, slept)
        if doing is not None and not doing.restarts:
            begun.call = call
            self._words[Word.FROM_BESIDE] = 1
            return
        if slept is not None and self._is_gil(slept):
            call = Call(thread_state.FUTEX, GIL)
        beside_ns = now_ns - self._words[Word.HELPER_BEAT_NS]
        runs_python = call is None and beside_ns < self._words[Word.PERIOD_NS] + SILENCE_NS
        if runs_python and not self._words[Word.MAY_INTERRUPT]:
            return  # The thread beside it tells.
        self._ask(self._thread, StackSample(now_ns, (), call, 0), begun.samples)
        waits = call is not None and call.name == thread_state.FUTEX
        if waits and beside_ns > self._words[Word.PERIOD_NS]:
            self._ask_who()

    def _is_gil(self, slept: tuple[str, int]) -> bool:
        """Whether a call waits for the interpreter's lock.

        The thread beside the loop waits for nothing else; where it is in memory does not change.
        """
        name, address = slept
        if name != thread_state.FUTEX:
            return False
        beside = thread_state.doing(self._pid, self._words[Word.HELPER_THREAD])
        if beside is not None and beside.call is not None and beside.call[0] == name:
            self._gil = beside.call[1]
        return abs(address - self._gil) < GIL_BYTES

    def _ask_who(self) -> None:
        """Take a stack of the thread that was runnable most since the last look."""
        begun = self._begun
        spent, at_ns = self._others_spent(), time.monotonic_ns()
        if not begun.spent:
            # Who runs is told by two looks: a short time between the first ones.
            begun.spent, begun.spent_at_ns = spent, at_ns
            time.sleep(LOOK_S)
            spent, at_ns = self._others_spent(), time.monotonic_ns()
        before, elapsed_ns = begun.spent, at_ns - begun.spent_at_ns
        begun.spent, begun.spent_at_ns = spent, at_ns
        ran_ns = {
            thread: times.run_ns - before[thread].run_ns
            for thread, times in spent.items()
            if thread in before and sum(times) - sum(before[thread]) >= MOSTLY * elapsed_ns
        }
        busiest = max(ran_ns, key=lambda thread: ran_ns[thread], default=0)
        # One that hardly ran waits for a processor as well, whatever it holds.
        if not busiest or ran_ns[busiest] < SCARCELY * elapsed_ns:
            return
        self._ask(busiest, StackSample(at_ns, (), None, elapsed_ns), begun.others)

    def _others_spent(self) -> dict[int, thread_state.Scheduled]:
        """The times of each thread but the loop's."""
        return {
            thread: times
            for thread in thread_state.threads(self._pid)
            if thread != self._thread
            and (times := thread_state.scheduled(self._pid, thread)) is not None
        }

    def _see_asleep(self, now_ns: int, weight_ns: int) -> None:
        """Keep the stack of a loop that sleeps in a call of somebody else, from time to time."""
        doing = thread_state.doing(self._pid, self._thread)
        if doing is None or doing.call is None or not doing.restarts:
            return
        name = doing.call[0]
        if name in thread_state.OF_THE_LOOP or name == thread_state.FUTEX:
            return
        self._unsampled_ns += weight_ns
        if now_ns < self._next_sighting_ns:
            return
        self._next_sighting_ns = now_ns + SIGHTING_NS
        sample = StackSample(
            now_ns, (), thread_state.call_of(self._pid, doing.call), self._unsampled_ns
        )
        self._unsampled_ns = 0
        self._ask(self._thread, sample, self._sightings)

    def _ask(self, thread: int, sample: StackSample, into: list[StackSample]) -> None:
        """Ask a thread for its stack, and keep it with the sample, now or when it comes.

        A thread runs nothing of its own between the signal and its answer, however late that is: if
        the loop had not gone on when the signal was sent, the answer is of the same step.
        """
        signal = self._words[Word.SIGNAL]
        may_ask = signal and not self._words[Word.ENDS] and self._asked is None
        if not may_ask or not self._stacks.ask(thread, signal):
            return
        if self._signs() != self._life:
            self._stacks.answer()
        elif frames := self._stacks.answer():
            into.append(replace(sample, frames=frames))
        else:
            self._asked = sample, into

    def _take_late_answer(self, *, may_wait: bool) -> None:
        """Keep an answer that has come late; none is expected once the loop goes on."""
        if self._asked is None:
            return
        sample, into = self._asked
        if frames := self._stacks.answer() if may_wait else self._stacks.answered():
            into.append(replace(sample, frames=frames))
        if frames or may_wait:
            self._asked = None


def _told_from_beside(rows: bytes, life: tuple[int, int], call: Call | None) -> list[StackSample]:
    """The stacks that the thread beside the loop has written while it stood still.

    Args:
        rows: As they are in its file; one that is not yet there as a whole is left out.
        life: The last sign of life.
        call: In which the loop slept, if it did.
    """
    told = []
    for row in rows.splitlines():
        with suppress(ValueError):
            told.append(json.loads(row))
    return [
        StackSample(row["at_ns"], tuple(Frame(*frame) for frame in row["frames"]), call, 0)
        for row in told
        if tuple(row["life"]) == life
    ]


def _weighted(samples: list[StackSample], start_ns: int, end_ns: int) -> tuple[StackSample, ...]:
    """Each with the time from the middle to the one before it to the middle to the next."""
    if not samples:
        return ()
    middles = [(one.at_ns + other.at_ns) // 2 for one, other in pairwise(samples)]
    edges = [start_ns, *middles, end_ns]
    return tuple(
        replace(sample, weight_ns=max(0, end - start))
        for sample, start, end in zip(samples, edges, edges[1:], strict=False)
    )


def read_facts(path: Path) -> ProcessFacts:
    """What a process tells of itself; nothing where it has not told anything yet."""
    try:
        told: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return ProcessFacts()
    return ProcessFacts(
        python=told["python"],
        loop=told["loop"],
        runs_callbacks=(told["runs_callbacks"][0], told["runs_callbacks"][1]),
        routes=tuple(
            Route(**{**route, "methods": tuple(route["methods"])}) for route in told["routes"]
        ),
        lost_coroutines=tuple(LostCoroutine(**row) for row in told["lost_coroutines"]),
        held_connections=tuple(HeldConnection(**row) for row in told["held_connections"]),
        threads=None if told["threads"] is None else ResourceUse(**told["threads"]),
        pools=tuple(ResourceUse(**row) for row in told["pools"]),
        libraries=tuple(told["libraries"]),
        probe=told["probe"],
        own=told["own"],
        no_stacks=told["no_stacks"],
    )
