"""Little's law on windows whose users and requests are known."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis.littles_law import Balance, balance, closed_balance, open_balance
from loopmark.harness.vocabulary.loads.closed import Closed
from tests.harness.builders import MS, START, closed, frame, open_, ramp, sample, steady, steps

END = START + 2000 * MS


def thinking(users: int, took_ms: float, think_ms: float, *, exact: bool = True) -> list[Any]:
    """Users who take turns between a request and a pause, from before the window to after it."""
    random = Random(1)
    rows = []
    for user in range(users):
        at = -3 * (took_ms + think_ms) - user * 7
        while at < 2000 + took_ms + think_ms:
            if at < 2000:
                rows.append(sample(sent_ms=at, took_ms=took_ms, user=user))
            pause = think_ms if exact else random.expovariate(1 / think_ms)
            at += took_ms + pause
    return rows


@pytest.mark.parametrize("users", [1, 10])
def test_users_in_flight_are_the_users_there_are(users: int) -> None:
    found = closed_balance(
        closed(users).held, frame(steady(users, 2.0, 20.0, lead_ms=500)), START, END
    )
    assert found.counted == pytest.approx(users)
    assert found.deviation == pytest.approx(0)


def test_what_a_client_does_before_it_sends_is_no_lost_user() -> None:
    rows = [row | {"sent_ns": row["sent_ns"] + 5 * MS} for row in steady(3, 2.0, 20.0, lead_ms=500)]
    assert closed_balance(closed(3).held, frame(rows), START, END).counted == pytest.approx(3)


def with_events(rows: list[Any], *, heard_ms: tuple[float, ...]) -> list[Any]:
    """The same requests, of each of which events tell so many ms after it was sent."""
    events = [
        row | {"step": "event", "done_ns": row["sent_ns"] + round(at * MS)}
        for row in rows
        for at in heard_ms
    ]
    return rows + events


@pytest.mark.parametrize("heard_ms", [(1.0, 19.0), (20.0,), (25.0, 30.0)])
@pytest.mark.parametrize("think_ms", [0.0, 40.0])
def test_who_awaits_an_answer_and_events_is_one_user(
    heard_ms: tuple[float, ...], think_ms: float
) -> None:
    busy_ms = max(20.0, *heard_ms)
    load = Closed(users=10, duration_s=2.0, think_s=think_ms / 1e3)
    rows = thinking(10, 20.0, think_ms + busy_ms - 20.0)
    found = closed_balance(load.held, frame(with_events(rows, heard_ms=heard_ms)), START, END)
    assert found.counted == pytest.approx(10, rel=0.01)


def test_two_requests_of_a_user_at_once_are_still_one_too_many() -> None:
    rows = steady(10, 2.0, 20.0, lead_ms=500)
    twice = [row | {"sent_ns": row["sent_ns"] + MS} for row in rows]
    assert closed_balance(closed(10).held, frame(rows + twice), START, END).counted > 19


@given(st.integers(1, 4), st.floats(5, 300), st.floats(5, 1500))
def test_users_who_think_are_counted(users: int, took_ms: float, think_ms: float) -> None:
    load = Closed(users=users, duration_s=2.0, think_s=think_ms / 1e3)
    found = closed_balance(load.held, frame(thinking(users, took_ms, think_ms)), START, END)
    assert found.counted == pytest.approx(users, rel=1e-3)


def test_exponential_thinking_is_counted() -> None:
    load = Closed(users=50, duration_s=2.0, think_s=0.1, think="exponential")
    rows = thinking(50, 20.0, 100.0, exact=False)
    assert closed_balance(load.held, frame(rows), START, END).counted == pytest.approx(50, rel=0.01)


@pytest.mark.parametrize(("think", "most_ms"), [("constant", 100), ("exponential", 1000)])
def test_pause_is_thinking_up_to_a_limit(
    think: Literal["constant", "exponential"], most_ms: int
) -> None:
    load = Closed(users=1, duration_s=2.0, think_s=0.1, think=think)
    rows = [sample(sent_ms=at, took_ms=50, user=0) for at in (0, 1800)]
    found = closed_balance(load.held, frame(rows), START, END)
    assert found.counted == pytest.approx((50 + most_ms + 50 + min(most_ms, 150)) / 2000)


def test_what_was_never_sent_is_awaited_by_nobody_and_followed_by_thinking() -> None:
    load = Closed(users=1, duration_s=2.0, think_s=0.1)
    rows = [sample(sent_ms=at, took_ms=50, user=0) | {"sent_ns": 0} for at in (0, 1000)]
    found = closed_balance(load.held, frame(rows), START, END)
    assert found.counted == pytest.approx((100 + 100) / 2000)


def test_pause_beyond_the_think_time_is_a_lost_user() -> None:
    load = Closed(users=10, duration_s=2.0, think_s=0.1)
    found = closed_balance(load.held, frame(thinking(10, 100.0, 200.0)), START, END)
    assert found.counted == pytest.approx(10 * 200 / 300, rel=0.05)


def test_users_without_think_time_do_not_think() -> None:
    found = closed_balance(closed(10).held, frame(thinking(10, 100.0, 100.0)), START, END)
    assert found.counted == pytest.approx(5, rel=0.05)


@given(st.floats(1, 400), st.integers(20, 150))
def test_steady_open_load_balances(took_ms: float, requests: int) -> None:
    gap = 2000 / requests
    first = -round(1000 / gap)
    rows = [sample(sent_ms=gap * n, took_ms=took_ms) for n in range(first, requests)]
    found = open_balance(frame(rows), START, END)
    assert found.expected == pytest.approx(requests * took_ms / 2000, rel=0.02)
    assert found.deviation == 0


def test_edges_explain_four_standard_errors() -> None:
    rows = [sample(sent_ms=at, took_ms=300) for at in (-100, -200, -400, 500, 1800, 1900)]
    found = open_balance(frame(rows), START, END)
    assert found.counted == pytest.approx((200 + 100 + 300 + 200 + 100) / 2000)
    assert found.expected == pytest.approx(3 * 300 / 2000)
    # 200 and 100 ms of what was there before, 100 and 200 ms of what ends after it.
    assert found.tolerance == pytest.approx(4 * (2 * (200**2 + 100**2)) ** 0.5 / 900)


def test_response_counts_from_due_and_refused_arrivals_never_were_in_flight() -> None:
    rows = [sample(sent_ms=500, took_ms=100, waited_ms=100)]
    rows.append(sample(sent_ms=600, took_ms=0, waited_ms=300, error="refused"))
    found = open_balance(frame(rows), START, END)
    assert (found.counted, found.expected) == pytest.approx((0.1, 0.1))


def test_queue_that_grows_does_not_balance() -> None:
    rows = [sample(sent_ms=2 * n, took_ms=5 + 1.5 * n) for n in range(-100 + 100, 1000)]
    assert open_balance(frame(rows), START, END).deviation > 0.03


def test_only_steady_loads_have_a_balance() -> None:
    samples = frame(steady(10, 2.0, 20.0))
    assert balance(closed(), samples, START, END) is not None
    assert balance(open_(), samples, START, END) is not None
    assert balance(steps(), samples, START, END) is None
    assert balance(ramp(), samples, START, END) is None


def test_window_without_length_or_requests() -> None:
    assert closed_balance(closed().held, frame([]), START, START).deviation == 1
    assert open_balance(frame([]), START, END) == Balance(0.0, 0.0, 0.0)
    assert Balance(1.0, 0.0).deviation == float("inf")
    assert Balance(0.0, 0.0).deviation == 0
