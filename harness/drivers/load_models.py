"""Sets users going as a load wants it, and waits until the last has ended.

When flows are due is decided in `harness.pacing`; here the clock is kept.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random

from harness.drivers.connection import clock
from harness.drivers.precise_timer import Calendar, PreciseTimer
from harness.drivers.recording import Recording
from harness.drivers.user import Identity, User
from harness.drivers.window import Window
from harness.pacing import arrival_times, start_times, stretches, think_time
from harness.vocabulary.job import ErrorKind
from harness.vocabulary.load import Arriving, Closed

SETTLE_S = 0.2
"""Quiet between warming up and a burst, so that the target is idle when it begins."""

SENT_TOGETHER = 20
"""Of a burst or of late arrivals, before answers are looked at again: those that came meanwhile
wait to be timed."""

FAILURE_PAUSE_S = 0.05
"""What a user of a closed load waits after a request without an answer. A target that refuses
connections would else be asked without end, and the samples of that fill the disk."""

UNSENT_AFTER_NS = 250_000_000
"""Arrivals that are still not sent so long after the window are given up, and counted."""

ARRIVAL_STEP = "arrival"
"""The step of a refused arrival: its flow was never begun."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Who drives one round.

    Attributes:
        users: Connections, and what steps flows on them.
        identities: Accounts that flows are done for; under a burst or closed load the users' own.
        recording: Where requests are written down.
        random: For think times and arrivals.
    """

    users: Sequence[User]
    identities: Sequence[Identity]
    recording: Recording
    random: Random


async def burst(crew: Crew, window: Window) -> None:
    """Every user does the flow once; all first requests are due at the same moment."""
    for user, identity in zip(crew.users, crew.identities, strict=True):
        user.prepare(identity)
    await asyncio.sleep(SETTLE_S)
    all_ended = asyncio.Event()
    under_way = len(crew.users)

    def ended(_user: User, _done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - as `OnEnd` has it
        nonlocal under_way
        under_way -= 1
        if under_way == 0:
            all_ended.set()

    window.open()
    for number, user in enumerate(crew.users, start=1):
        user.on_end = ended
        user.go(window.start_ns)
        if number % SENT_TOGETHER == 0:
            await asyncio.sleep(0)
    await all_ended.wait()
    window.close(max(crew.recording.last_done_ns, window.start_ns))


async def closed(crew: Crew, load: Closed, window: Window) -> None:
    """Every user repeats the flow until the window ends, then finishes the request in flight."""
    calendar = Calendar()
    start_ns = clock()
    open_ns = start_ns + round(load.warmup_s * 1e9)
    stop_ns = open_ns + round(load.duration_s * 1e9)
    all_ended = asyncio.Event()
    under_way = len(crew.users)

    def begin(user: User, identity: Identity, due_ns: int) -> None:
        user.prepare(identity)
        user.go(due_ns)

    def then(user: User, identity: Identity) -> None:
        def ended(_user: User, done_ns: int, failed: bool) -> None:  # noqa: FBT001 - as above
            nonlocal under_way
            pause_s = think_time(load, identity.virtual.random)
            if failed:
                pause_s = max(pause_s, FAILURE_PAUSE_S)
            due_ns = done_ns + round(pause_s * 1e9)
            if due_ns >= stop_ns:
                under_way -= 1
                if under_way == 0:
                    all_ended.set()
            elif pause_s:
                calendar.at(due_ns, lambda: begin(user, identity, due_ns))
            else:
                begin(user, identity, due_ns)

        user.on_end = ended
        user.stop_ns = stop_ns

    def first(user: User, identity: Identity, due_ns: int) -> None:
        calendar.at(due_ns, lambda: begin(user, identity, due_ns))

    try:
        for user, identity, at_s in zip(
            crew.users, crew.identities, start_times(load), strict=True
        ):
            then(user, identity)
            first(user, identity, start_ns + round(at_s * 1e9))
        await asyncio.sleep((open_ns - clock()) / 1e9)
        window.open()
        await asyncio.sleep((stop_ns - clock()) / 1e9)
        window.close(stop_ns)
        await all_ended.wait()
    finally:
        calendar.close()


async def arriving(crew: Crew, load: Arriving, window: Window) -> None:
    """Flows begin when they are due, whatever became of those before; all are awaited."""
    start_ns = clock()
    open_ns = start_ns + round(load.warmup_s * 1e9)
    stop_ns = open_ns + round(load.duration_s * 1e9)
    arrivals = _Arrivals(crew, load, start_ns, stop_ns)
    try:
        await asyncio.sleep((open_ns - clock()) / 1e9)
        window.open(open_ns)
        await asyncio.sleep((stop_ns - clock()) / 1e9)
        window.close(stop_ns)
        await arrivals.all_ended.wait()
        window.unsent = arrivals.unsent
    finally:
        arrivals.close()


class _Arrivals:
    """Takes an idle user for each arrival, the one last used first.

    So no more connections are in use than are needed, and those that are stay open; a round over
    all of them would find each closed by a server that keeps idle connections for a few seconds.
    Accounts take turns, whatever the connection.
    """

    def __init__(self, crew: Crew, load: Arriving, start_ns: int, stop_ns: int) -> None:
        self._recording = crew.recording
        self._idle = deque(crew.users)
        self._size = len(crew.users)
        self._identities = cycle(crew.identities)
        self._start_ns = start_ns
        self._stop_ns = stop_ns
        self._times = arrival_times(load, crew.random)
        self._expected = round(sum(stretch.arrivals for stretch in stretches(load)))
        self._taken_up = 0
        self._due_ns: int | None = None
        self.unsent = 0
        self.all_ended = asyncio.Event()
        for user in crew.users:
            user.on_end = self._ended
        self._timer = PreciseTimer(self._fire)
        self._next()

    def close(self) -> None:
        self._timer.close()

    def _fire(self) -> None:
        for _ in range(SENT_TOGETHER):
            due_ns = self._due_ns
            if due_ns is None:
                return
            now_ns = clock()
            if due_ns > now_ns:
                break
            if now_ns > self._stop_ns + UNSENT_AFTER_NS:
                # Counted by what was planned: to draw what is left could take minutes.
                self.unsent = max(1, self._expected - self._taken_up)
                self._due_ns = None
                self._look_for_end()
                return
            self._take_up(due_ns, now_ns)
            self._next(arm=False)
        if self._due_ns is not None:
            self._timer.arm(self._due_ns)

    def _take_up(self, due_ns: int, now_ns: int) -> None:
        self._taken_up += 1
        identity = next(self._identities)
        if self._idle:
            user = self._idle.pop()
            user.prepare(identity)
            user.go(due_ns)
        else:
            self._recording.add(
                identity.virtual.number,
                ARRIVAL_STEP,
                due_ns,
                now_ns,
                0,
                0,
                now_ns,
                0,
                0,
                ErrorKind.REFUSED,
            )
            message = f"{self._size} flows were under way (max_in_flight)"
            self._recording.explain(ErrorKind.REFUSED, message)

    def _next(self, *, arm: bool = True) -> None:
        time_s = next(self._times, None)
        self._due_ns = None if time_s is None else self._start_ns + round(time_s * 1e9)
        if self._due_ns is None:
            self._look_for_end()
        elif arm:
            self._timer.arm(self._due_ns)

    def _ended(self, user: User, _done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - as above
        self._idle.append(user)
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._due_ns is None and len(self._idle) == self._size:
            self.all_ended.set()
