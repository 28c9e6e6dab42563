"""Moments of the clock: in their order, never early."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopmark.harness.drivers.pacing.loop import AsyncioLoop
from loopmark.harness.drivers.pacing.precise_timer import Calendar, PreciseTimer
from tests.hang_limit import HANG_S
from tests.harness.drivers.pacing.fake_loop import LATE_NS, FakeLoop

MS = 1_000_000


class Kept:
    """Appointments, and when they were kept."""

    def __init__(self, loop: FakeLoop | AsyncioLoop, delays_ms: Sequence[int]) -> None:
        self.calls: list[tuple[int, int, int]] = []
        self._loop = loop
        self._calendar = Calendar(loop)
        start_ns = loop.now_ns()
        for number, delay_ms in enumerate(delays_ms):
            due_ns = start_ns + delay_ms * MS
            self._calendar.at(due_ns, partial(self._called, due_ns, number))

    def _called(self, due_ns: int, number: int) -> None:
        self.calls.append((due_ns, number, self._loop.now_ns()))

    def assert_right(self) -> None:
        self._calendar.close()
        assert self.calls == sorted(self.calls), "in order"
        assert all(called_ns >= due_ns for due_ns, _, called_ns in self.calls), "not early"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delays_ms=st.lists(st.integers(-5, 12), min_size=1, max_size=12))
def test_a_calendar_calls_in_order_and_not_early(
    delays_ms: list[int], new_loop: type[FakeLoop]
) -> None:
    loop = new_loop()
    kept = Kept(loop, delays_ms)
    loop.run()
    kept.assert_right()
    assert len(kept.calls) == len(delays_ms)
    late_ns = [called_ns - due_ns for due_ns, _, called_ns in kept.calls if due_ns > 10**15]
    assert max(late_ns, default=0) <= LATE_NS


@pytest.mark.anyio
async def test_the_system_s_timer_calls_in_order_and_not_early() -> None:
    delays_ms = [3, -5, 7, 0, 1, 3, 12, 2, 2]
    kept = Kept(AsyncioLoop(), delays_ms)
    async with asyncio.timeout(HANG_S):
        while len(kept.calls) < len(delays_ms):
            await asyncio.sleep(0.001)
    kept.assert_right()


def test_what_is_called_may_add_more(loop: FakeLoop) -> None:
    calendar = Calendar(loop)
    calls: list[str] = []
    now_ns = loop.now_ns()

    def first() -> None:
        calls.append("first")
        calendar.at(now_ns, lambda: calls.append("past"))
        calendar.at(now_ns + 4 * MS, lambda: calls.append("last"))

    calendar.at(now_ns + 2 * MS, first)
    loop.run()
    assert calls == ["first", "past", "last"]


def test_the_last_arming_counts(loop: FakeLoop) -> None:
    fired_ns: list[int] = []
    timer = PreciseTimer(loop, lambda: fired_ns.append(loop.now_ns()))
    now_ns = loop.now_ns()
    timer.arm(now_ns + 1 * MS)
    timer.arm(now_ns + 20 * MS)
    loop.run()
    assert fired_ns == [now_ns + 20 * MS + LATE_NS]


@pytest.mark.anyio
async def test_the_last_arming_of_the_system_s_timer_counts() -> None:
    loop = AsyncioLoop()
    fired_ns: list[int] = []
    timer = PreciseTimer(loop, lambda: fired_ns.append(loop.now_ns()))
    now_ns = loop.now_ns()
    timer.arm(now_ns + 1 * MS)
    timer.arm(now_ns + 20 * MS)
    async with asyncio.timeout(HANG_S):
        while not fired_ns:
            await asyncio.sleep(0.001)
    assert fired_ns[0] >= now_ns + 20 * MS
    timer.close()


@pytest.fixture(params=["Linux", "elsewhere"])
def system(request: pytest.FixtureRequest) -> str:
    """With a timerfd, where there is one, and with the loop's own timer."""
    if request.param == "elsewhere":
        request.getfixturevalue("new_loop")
    return str(request.param)


@pytest.mark.anyio
async def test_a_moment_that_is_past_is_now(system: str) -> None:
    loop = AsyncioLoop()
    fired = asyncio.Event()
    timer = PreciseTimer(loop, fired.set)
    for at_ns in (0, -5, loop.now_ns() - 10**9):
        fired.clear()
        timer.arm(at_ns)
        async with asyncio.timeout(HANG_S):
            await fired.wait()
    timer.close()
    assert system


@pytest.mark.anyio
async def test_a_closed_timer_never_fires(system: str) -> None:
    loop = AsyncioLoop()
    fired: list[str] = []
    timer = PreciseTimer(loop, lambda: fired.append("fired"))
    timer.arm(loop.now_ns() + 1 * MS)
    timer.close()
    timer.arm(0)
    timer.close()
    calendar = Calendar(loop)
    calendar.at(0, lambda: fired.append("called"))
    calendar.close()
    calendar.at(0, lambda: fired.append("called late"))
    await asyncio.sleep(0.01)
    assert fired == []
    assert system
