"""From evidence and answers to what is said: routes, what recurs, what is accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis.blocking import MOST_POINTS
from loopmark.harness.analysis.probe_findings import has_answered, result_of
from loopmark.harness.vocabulary.blocking import (
    Call,
    Frame,
    Kind,
    LostCoroutine,
    ProcessEvidence,
    ProcessFacts,
    ResourceUse,
    Route,
    StackSample,
    Stretch,
)
from loopmark.harness.vocabulary.probe_result import LagPercentiles, ProbeResult, Unblamed
from loopmark.harness.vocabulary.route_request import RouteAnswers, is_same_path

MS = 1_000_000
RUN = Frame("/py/asyncio/base_events.py", 80, "run")
ORDERS, CACHE = Frame("/shop/orders.py", 12, "read"), Frame("/shop/cache.py", 3, "fill")
ROUTES = (Route("/orders/{id:int}", ("GET",), "/shop/orders.py", 10, 20),)
FACTS = ProcessFacts(
    python="3.11.7",
    loop="asyncio.events",
    runs_callbacks=(RUN.file, RUN.function),
    routes=ROUTES,
    libraries=("/py/",),
)


def stretch(at_ms: int, frame: Frame, ms: int = 100, queued_ms: int = 0) -> Stretch:
    """A loop that slept in a line for a time."""
    start, end = at_ms * MS, (at_ms + ms) * MS
    sample = StackSample(start + 40 * MS, (frame, RUN), Call("nanosleep"), ms * MS)
    return Stretch(start, end, 0, queued_ms * MS, 0, 0, 0, (sample,))


def evidence(*stretches: Stretch, pid: int = 1, **facts: Any) -> ProcessEvidence:  # noqa: ANN401 - any field
    lags = tuple((at * MS, 1 * MS) for at in range(0, 4000, 20))
    return ProcessEvidence(pid, replace(FACTS, **facts), stretches, (), lags)


def answers(route: str, start_ms: int, end_ms: int, *statuses: int) -> RouteAnswers:
    times = dict.fromkeys(statuses or (200,), 10)
    return RouteAnswers(route, 10, times, {}, 1.0, 2.0, start_ms * MS, end_ms * MS)


ANSWERS = (
    answers("GET /orders/{id}", 1000, 1900),
    answers("GET /cache", 2000, 2900),
    answers("", 3000, 3900),
)


def result(*seen: ProcessEvidence, allow: tuple[str, ...] = (), **rest: Any) -> ProbeResult:  # noqa: ANN401 - any argument
    told = {"answers": ANSWERS, "origins": (), "held": (), "skipped": (), **rest}
    return result_of(
        seen,
        **told,
        application="shop:app",
        folder="/shop",
        users=10,
        authorization_from="TOKEN",
        allow=allow,
        code=lambda file, line: f"{file} {line}",
    )


def test_the_route_is_the_stacks_else_the_one_that_was_asked() -> None:
    found = result(
        evidence(
            stretch(100, CACHE, ms=60),
            *(stretch(at, ORDERS) for at in (1100, 1400, 3100)),
            *(stretch(at, CACHE, ms=60) for at in (1950, 2100, 3500)),
        )
    )
    orders, cache = found.findings
    assert orders.line == ORDERS
    # Known by its stack while all are asked mixed, too, and with the method that was asked.
    assert orders.routes == ("GET /orders/{id}",)
    # What one route leaves behind belongs to it until the next is asked; before and mixed: none.
    assert cache.routes == ("GET /cache", "GET /orders/{id}")
    assert cache.code == "/shop/cache.py 3"


def test_once_in_each_process_is_once() -> None:
    first, second = evidence(stretch(100, CACHE)), evidence(stretch(100, CACHE), pid=2)
    found = result(first, second)
    assert found.processes == 2
    assert [one.line for one in found.once] == [CACHE]
    assert not found.is_guilty
    again = result(evidence(stretch(100, CACHE), stretch(2100, CACHE)), second)
    assert [one.line for one in again.blocking] == [CACHE]
    assert again.is_guilty


@pytest.mark.parametrize(
    "allow",
    ["orders.py:12", "orders.py", "shop/orders.py", "/shop/orders.py:12", "read", "blocking-call"],
)
def test_what_is_accepted_is_no_reason_to_fail(allow: str) -> None:
    found = result(evidence(*(stretch(at, ORDERS) for at in (1100, 1400))), allow=("no", allow))
    assert found.blocking == ()
    assert [one.allowed_by for one in found.allowed] == [allow]
    assert found.allowed_in_vain == ("no",)
    assert not found.is_guilty


@pytest.mark.parametrize("allow", ["orders.py:1", "rders.py", "rea", "py", ":12", "gc"])
def test_what_is_not_quite_it_accepts_nothing(allow: str) -> None:
    found = result(evidence(*(stretch(at, ORDERS) for at in (1100, 1400))), allow=(allow,))
    assert found.is_guilty
    assert found.allowed_in_vain == (allow,)


def lost(file: str, line: int, function: str, times: int = 1) -> LostCoroutine:
    return LostCoroutine("note", file, line, function, times)


def test_lost_coroutines_get_the_line_that_makes_them() -> None:
    dropped = lost("/shop/orders.py", 14, "read", 3)
    made, other = lost("/shop/notes.py", 5, "make"), lost("/shop/orders.py", 13, "read")
    seen = [evidence(lost_coroutines=(dropped,)), evidence(pid=2, lost_coroutines=(dropped,))]
    (alone,) = result(*seen).lost
    assert alone.created is None
    assert alone.lost.times == 6
    assert alone.line == Frame("/shop/orders.py", 14, "read")
    (with_origin,) = result(*seen, origins=(made,)).lost
    assert with_origin.created == with_origin.line == Frame("/shop/notes.py", 5, "make")
    # Of several lines the one of the function that drops it.
    (nearest,) = result(*seen, origins=(made, other)).lost
    assert nearest.created == Frame("/shop/orders.py", 13, "read")
    assert result(*seen).is_guilty
    assert not result(*seen, allow=("not-awaited",)).is_guilty
    assert not result(*seen, origins=(made,), allow=("notes.py:5",)).is_guilty


def test_nobody_is_to_blame_for_the_host_or_without_a_line() -> None:
    many = stretch(1500, ORDERS)
    scattered = replace(many, samples=())
    found = result(evidence(stretch(1100, ORDERS, queued_ms=90), scattered))
    assert found.findings == ()
    assert found.starved == Unblamed(1, 100.0)
    assert found.unnamed == Unblamed(1, 100.0)
    idle = replace(many, samples=(replace(many.samples[0], frames=(RUN,)),))
    assert result(evidence(idle)).unnamed == Unblamed(1, 100.0)


def test_lag_is_of_the_time_in_which_routes_were_asked() -> None:
    lags = [(at * MS, at * MS) for at in range(0, 10_000, 100)]
    seen = replace(evidence(), lags=tuple(lags))
    found = result(seen)
    assert found.lag_ms == LagPercentiles(2400.0, 3900.0, 3900.0)
    assert result(seen, answers=()).lag_ms is None
    assert result().lag_ms is None


@given(st.lists(st.integers(0, 10**9), max_size=3000))
def test_the_picture_keeps_the_highest_lag(values: list[int]) -> None:
    lags = tuple((at * 20 * MS, lag) for at, lag in enumerate(values))
    shown = result(replace(evidence(), lags=lags)).timeline.lags
    assert len(shown) <= MOST_POINTS
    assert [at for at, _ in shown] == sorted(at for at, _ in shown)
    if values:
        assert max(lag for _, lag in shown) == max(values) / 1e6
        assert shown[0][0] == 0


def test_stretches_are_in_the_picture_where_they_were() -> None:
    found = result(evidence(stretch(1100, ORDERS)))
    (still,) = found.timeline.stood_still
    assert (still.at_s, still.duration_ms, still.kind) == (1.1, 100.0, Kind.CALL)
    assert found.asked[0].start_s == 1.0


def test_the_process_in_which_most_waited_speaks_for_the_threads() -> None:
    few, many = ResourceUse(40, 40, 1, 0), ResourceUse(40, 40, 5, 0)
    found = result(evidence(threads=few), evidence(threads=many, pid=2), evidence(pid=3))
    assert found.threads == many


def test_authorization_is_needed_where_all_say_so() -> None:
    unauthorized = (answers("GET /a", 0, 1, 401), answers("GET /b", 1, 2, 403))
    assert result(evidence(), answers=unauthorized).needs_authorization
    assert not has_answered(unauthorized)
    some = (*unauthorized, answers("GET /c", 2, 3, 204))
    assert not result(evidence(), answers=some).needs_authorization
    assert has_answered(some)
    assert not result(evidence(), answers=()).needs_authorization


@pytest.mark.parametrize(
    ("path", "route", "is_same"),
    [
        ("/a/{x}", "GET /a/{x}", True),
        ("/a/{x:path}", "GET /a/{x}", True),
        ("/a/{x}", "GET /a/{y}", False),
        ("/a/{x}", "GET /a/7?limit=3", True),
        ("/a/{x}", "GET /a/7/b", False),
        ("/a/{x:path}", "GET /a/7/b", True),
        ("/a.b", "GET /axb", False),
        ("/a", "POST /a", True),
    ],
)
def test_a_path_is_known_by_its_form_or_by_its_values(
    path: str,
    route: str,
    is_same: bool,  # noqa: FBT001 - of a table
) -> None:
    assert is_same_path(path, route) is is_same
