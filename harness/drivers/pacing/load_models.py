"""Sets users going as a load wants it, until the last has ended.

When flows are due is decided in `planning.pacing`; here the clock is kept. Nothing here
waits: calls are put on an event loop, so that every driver uses the same models, whatever its loop.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from random import Random
from typing import TypeVar

from loopmark.harness.drivers.pacing.loop import Loop
from loopmark.harness.drivers.pacing.precise_timer import Calendar, PreciseTimer
from loopmark.harness.drivers.pacing.user import Account, User
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.planning.pacing import arrival_times, start_times, think_time
from loopmark.harness.vocabulary.load import Arriving, Load
from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.sample import ARRIVAL_STEP, ErrorKind, sample

SETTLE_S = 0.2
"""Quiet between warming up and a burst, so that the target is idle when it begins."""

SENT_TOGETHER = 20
"""Requests of a burst or of late arrivals sent before polling for answers again: answers received
meanwhile wait to be timed."""

FAILURE_PAUSE_S = 0.05
"""Pause of a closed load's user after a request without an answer. Without it, a target that
refuses connections would be flooded, and the samples would fill the disk."""

UNSENT_AFTER_NS = 250_000_000
"""Arrivals still not sent this long after the window are given up, and counted."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share:
    """The share of a load of one of several driver processes: every `count`-th of all.

    Attributes:
        index: 0-based number of the process.
        count: Number of processes.
    """

    index: int = 0
    count: int = 1

    def of(self, all_: Iterable[T]) -> Iterator[T]:
        """This process's share of users, accounts or due times."""
        return islice(all_, self.index, None, self.count)


WHOLE = Share()


@dataclass(frozen=True, slots=True)
class UserPool:
    """The users of one round, and what they need.

    Attributes:
        loop: What calls them, and tells the time.
        users: Virtual users, with their connections.
        accounts: Accounts of the flows; under a burst or closed load the users' own.
        recording: Where requests are recorded.
        random: For arrivals; the same in all processes that share a load.
        share: The share of the load, if it is shared; users and accounts belong to this share.
    """

    loop: Loop
    users: Sequence[User]
    accounts: Sequence[Account]
    recording: Recording
    random: Random
    share: Share = WHOLE


class LoadExecution(ABC):
    """A load in execution.

    Args:
        pool: The users.
        window: The window, which is opened and closed on time.
        on_end: Called when the window is closed and the last user has ended.
    """

    def __init__(self, pool: UserPool, window: Window, on_end: Callable[[], None]) -> None:
        self._pool = pool
        self._window = window
        self._on_end = on_end
        self._calendar = Calendar(pool.loop)

    def close(self) -> None:
        """Start no more flows; active users continue."""
        self._calendar.close()

    def _keep_window(self, start_ns: int, warmup_s: float, duration_s: float) -> int:
        """Schedule the window's opening and closing; returns its end."""
        open_ns = start_ns + round(warmup_s * 1e9)
        stop_ns = open_ns + round(duration_s * 1e9)
        self._calendar.at(open_ns, partial(self._window.open, open_ns))
        self._calendar.at(stop_ns, partial(self._close_window, stop_ns))
        return stop_ns

    def _close_window(self, stop_ns: int) -> None:
        self._window.close(stop_ns)
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._all_ended() and self._window.is_closed:
            self._on_end()

    @abstractmethod
    def _all_ended(self) -> bool:
        """Whether no flow is active, and none will start."""


def begin(
    load: Load,
    pool: UserPool,
    window: Window,
    on_end: Callable[[], None],
    start_ns: int | None = None,
) -> LoadExecution:
    """Start the load.

    Args:
        load: How flows arrive.
        pool: The users.
        window: The measured stretch; not opened yet.
        on_end: Called when the window is closed and the last user has ended.
        start_ns: When the warm-up begins, or the burst (CLOCK_MONOTONIC); at once, or when the
            target has settled, when None.

    Raises:
        TypeError: No flows arrive under this load.
    """
    if start_ns is None:
        start_ns = pool.loop.now_ns() + round(settle_s(load) * 1e9)
    match load:
        case Burst():
            return _BurstExecution(pool, window, start_ns, on_end)
        case Closed():
            return _ClosedExecution(pool, load, window, start_ns, on_end)
        case Open() | Steps() | Ramp():
            return _ArrivingExecution(pool, load, window, start_ns, on_end)
        case _:
            raise TypeError(f"users cannot drive {load.label}")


def settle_s(load: Load) -> float:
    """Seconds of quiet between warming up and the load's start."""
    return SETTLE_S if load.traits.ends_with_last_answer else 0.0


class _BurstExecution(LoadExecution):
    """Every user runs the flow once; all first requests are due at the same time."""

    def __init__(
        self, pool: UserPool, window: Window, start_ns: int, on_end: Callable[[], None]
    ) -> None:
        super().__init__(pool, window, on_end)
        self._waiting = deque(pool.users)
        self._under_way = len(pool.users)
        for user, account in zip(pool.users, pool.accounts, strict=True):
            user.prepare(account)
            user.on_end = self._ended
        self._calendar.at(start_ns, partial(self._open, start_ns))

    def _all_ended(self) -> bool:
        return self._under_way == 0

    def _open(self, start_ns: int) -> None:
        self._window.open(start_ns)
        if self._waiting:
            self._send()
        else:
            self._close_window(start_ns)

    def _send(self) -> None:
        for _ in range(min(SENT_TOGETHER, len(self._waiting))):
            self._waiting.popleft().go(self._window.start_ns)
        if self._waiting:
            self._pool.loop.call_soon(self._send)

    def _ended(self, _user: User, _done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - as `OnEnd` has it
        self._under_way -= 1
        if self._under_way == 0:
            # The last answer ends it.
            self._close_window(max(self._pool.recording.last_done_ns, self._window.start_ns))


class _ClosedExecution(LoadExecution):
    """Every user repeats the flow until the window ends, then finishes the request in flight."""

    def __init__(
        self,
        pool: UserPool,
        load: Closed,
        window: Window,
        start_ns: int,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(pool, window, on_end)
        self._load = load
        self._under_way = len(pool.users)
        self._stop_ns = self._keep_window(start_ns, load.warmup_s, load.duration_s)
        starts = pool.share.of(start_times(load))
        for user, account, at_s in zip(pool.users, pool.accounts, starts, strict=True):
            user.on_end = partial(self._ended, account)
            user.stop_ns = self._stop_ns
            due_ns = start_ns + round(at_s * 1e9)
            self._calendar.at(due_ns, partial(self._go, user, account, due_ns))

    def _all_ended(self) -> bool:
        return self._under_way == 0

    def _go(self, user: User, account: Account, due_ns: int) -> None:
        user.prepare(account)
        user.go(due_ns)

    def _ended(self, account: Account, user: User, done_ns: int, failed: bool) -> None:  # noqa: FBT001 - a callback by position
        pause_s = think_time(self._load, account.virtual.random) if self._load.think_s else 0.0
        if failed:
            pause_s = max(pause_s, FAILURE_PAUSE_S)
        due_ns = done_ns + round(pause_s * 1e9)
        if due_ns >= self._stop_ns:
            self._under_way -= 1
            self._look_for_end()
        elif pause_s:
            self._calendar.at(due_ns, partial(self._go, user, account, due_ns))
        else:
            user.prepare(account)
            user.go(due_ns)


class _ArrivingExecution(LoadExecution):
    """Flows begin when they are due, independent of earlier ones.

    An arrival takes the most recently used idle user, so no more connections are in use than
    needed, and these stay open; with rotation, a server that keeps idle connections for a few
    seconds would have closed each. Accounts rotate independently of connections.
    """

    def __init__(
        self,
        pool: UserPool,
        load: Arriving,
        window: Window,
        start_ns: int,
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(pool, window, on_end)
        self._recording = pool.recording
        self._idle = deque(pool.users)
        self._size = len(pool.users)
        self._accounts = cycle(pool.accounts)
        self._start_ns = start_ns
        self._times = pool.share.of(arrival_times(load, pool.random))
        arrivals = sum(stretch.arrivals for stretch in load.stretches)
        self._expected = round(arrivals / pool.share.count)
        self._taken_up = 0
        self._due_ns: int | None = None
        for user in pool.users:
            user.on_end = self._ended
        self._stop_ns = self._keep_window(start_ns, load.warmup_s, load.measured_s)
        self._timer = PreciseTimer(pool.loop, self._fire)
        self._next()

    def close(self) -> None:
        super().close()
        self._timer.close()

    def _all_ended(self) -> bool:
        return self._due_ns is None and len(self._idle) == self._size

    def _fire(self) -> None:
        for _ in range(SENT_TOGETHER):
            due_ns = self._due_ns
            if due_ns is None:
                return
            now_ns = self._pool.loop.now_ns()
            if due_ns > now_ns:
                break
            if now_ns > self._stop_ns + UNSENT_AFTER_NS:
                # Counted by what was planned: to draw what is left could take minutes.
                self._window.unsent = max(1, self._expected - self._taken_up)
                self._due_ns = None
                self._look_for_end()
                return
            self._take_up(due_ns, now_ns)
            self._next(arm=False)
        if self._due_ns is not None:
            self._timer.arm(self._due_ns)

    def _take_up(self, due_ns: int, now_ns: int) -> None:
        self._taken_up += 1
        account = next(self._accounts)
        if self._idle:
            user = self._idle.pop()
            user.prepare(account)
            user.go(due_ns)
        else:
            self._recording.add(
                sample(
                    user=account.virtual.number,
                    step=ARRIVAL_STEP,
                    due_ns=due_ns,
                    sent_ns=now_ns,
                    done_ns=now_ns,
                    error=ErrorKind.REFUSED,
                )
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

    def _ended(self, user: User, _done_ns: int, _failed: bool) -> None:  # noqa: FBT001 - a callback by position
        self._idle.append(user)
        self._look_for_end()
