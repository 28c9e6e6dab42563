"""Moments of the clock: in their order, never early."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopmark.harness.drivers.pacing.precise_timer import Calendar, PreciseTimer

pytestmark = pytest.mark.anyio

MS = 1_000_000


@pytest.fixture(params=["Linux", "elsewhere"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With a timerfd, where there is one, and with the loop's own timer."""
    if request.param == "elsewhere":
        monkeypatch.setattr(
            "loopmark.harness.drivers.pacing.precise_timer.platform.system", lambda: "elsewhere"
        )
    return str(request.param)


DELAYS_MS = st.lists(st.integers(-5, 12), min_size=1, max_size=12)


@settings(max_examples=15)
@given(DELAYS_MS)
def test_a_calendar_calls_in_order_and_not_early(delays_ms: list[int]) -> None:
    async def kept() -> list[tuple[int, int, int]]:
        calendar = Calendar(asyncio.get_running_loop())
        calls: list[tuple[int, int, int]] = []
        done = asyncio.Event()
        start_ns = time.monotonic_ns()

        def called(due_ns: int, number: int) -> None:
            calls.append((due_ns, number, time.monotonic_ns()))
            if len(calls) == len(delays_ms):
                done.set()

        for number, delay_ms in enumerate(delays_ms):
            due_ns = start_ns + delay_ms * MS
            calendar.at(due_ns, partial(called, due_ns, number))
        async with asyncio.timeout(5):
            await done.wait()
        calendar.close()
        return calls

    calls = asyncio.run(kept())
    assert [(due_ns, number) for due_ns, number, _ in calls] == sorted(
        (due_ns, number) for due_ns, number, _ in calls
    )
    assert all(called_ns >= due_ns for due_ns, _, called_ns in calls)


async def test_what_is_called_may_add_more(system: str) -> None:
    calendar = Calendar(asyncio.get_running_loop())
    done = asyncio.Event()
    calls: list[str] = []
    now_ns = time.monotonic_ns()

    def first() -> None:
        calls.append("first")
        calendar.at(now_ns, lambda: calls.append("past"))
        calendar.at(now_ns + 4 * MS, done.set)

    calendar.at(now_ns + 2 * MS, first)
    async with asyncio.timeout(5):
        await done.wait()
    assert calls == ["first", "past"]
    calendar.close()
    assert system


async def test_the_last_arming_counts(system: str) -> None:
    fired: list[int] = []
    timer = PreciseTimer(asyncio.get_running_loop(), lambda: fired.append(time.monotonic_ns()))
    now_ns = time.monotonic_ns()
    timer.arm(now_ns + 1 * MS)
    timer.arm(now_ns + 20 * MS)
    async with asyncio.timeout(5):
        while not fired:
            await asyncio.sleep(0.001)
    # The loop's own timer counts whole milliseconds.
    assert fired[0] >= now_ns + (20 if system == "Linux" else 18) * MS
    timer.close()


async def test_a_moment_that_is_past_is_now(system: str) -> None:
    fired = asyncio.Event()
    timer = PreciseTimer(asyncio.get_running_loop(), fired.set)
    for at_ns in (0, -5, time.monotonic_ns() - 10**9):
        fired.clear()
        timer.arm(at_ns)
        async with asyncio.timeout(5):
            await fired.wait()
    timer.close()
    assert system


async def test_a_closed_timer_never_fires(system: str) -> None:
    fired: list[str] = []
    timer = PreciseTimer(asyncio.get_running_loop(), lambda: fired.append("fired"))
    timer.arm(time.monotonic_ns() + 1 * MS)
    timer.close()
    timer.arm(0)
    timer.close()
    calendar = Calendar(asyncio.get_running_loop())
    calendar.at(0, lambda: fired.append("called"))
    calendar.close()
    calendar.at(0, lambda: fired.append("called late"))
    await asyncio.sleep(0.01)
    assert fired == []
    assert system
