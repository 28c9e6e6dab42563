"""Who is to blame for a loop that stands still: from what was seen to occurrences and culprits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.analysis.blocking import culprits, kind_of, occurrences, of_cell
from loopmark.harness.vocabulary.blocking import (
    GIL,
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

MS = 1_000_000
RUNS = Frame("/python/asyncio/events.py", 84, "_run")
SERVER = (RUNS, Frame("/python/asyncio/base_events.py", 1936, "_run_once"))
IDLE = (
    Frame("/python/selectors.py", 468, "select"),
    Frame("/python/asyncio/base_events.py", 1898, "_run_once"),
)
SHOP = Frame("/app/shop.py", 12, "orders")
FRAMEWORK = Frame("/venv/lib/python3.11/site-packages/fastapi/routing.py", 300, "run")
SOCKET = Frame("/python/socket.py", 700, "readinto")
FACTS = ProcessFacts(
    runs_callbacks=(RUNS.file, RUNS.function),
    routes=(Route("/orders", ("GET",), "/app/shop.py", 10, 20),),
    libraries=("/python",),
)
RECEIVES = Call("recvfrom", "127.0.0.1:80")
WAITS = Call("futex")
TURN = Call("futex", GIL)
START = Frame("/python/threading.py", 900, "start")
WAIT = Frame("/python/threading.py", 327, "wait")


def sample(*frames: Frame, call: Call | None = None, ms: int = 50) -> StackSample:
    return StackSample(0, (*frames, *SERVER), call, ms * MS)


def stretch(
    *samples: StackSample,
    run: int = 0,
    queued: int = 0,
    beside: int = 5,
    ms: int = 100,
    **rest: int,
) -> Stretch:
    return Stretch(
        start_ns=1000 * MS,
        end_ns=(1000 + ms) * MS,
        run_ns=run * MS,
        queued_ns=queued * MS,
        steal_ns=rest.get("steal", 0) * MS,
        collecting_ns=rest.get("collecting", 0) * MS,
        beside_ns=beside * MS,
        samples=samples,
    )


def evidence(*stretches: Stretch, sightings: tuple[StackSample, ...] = ()) -> ProcessEvidence:
    return ProcessEvidence(1, FACTS, stretches, sightings, ())


HOG = replace(
    stretch(sample(SHOP, call=WAITS, ms=100), beside=95),
    others=(StackSample(0, (Frame("/app/jobs.py", 3, "crunch"),), None, 1),),
)


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        (Kind.CALL, stretch(sample(SHOP, call=RECEIVES))),
        (Kind.CALL, stretch(sample(SHOP, call=WAITS), beside=20)),  # a lock of the application
        (Kind.COMPUTING, stretch(sample(SHOP), run=95, beside=25)),
        (Kind.COMPUTING_GIL, stretch(sample(SHOP), run=95, beside=95)),
        (Kind.COLLECTION, stretch(sample(SHOP), run=95, beside=95, collecting=90)),
        (Kind.GIL_HOG, HOG),
        (Kind.HOST, replace(HOG, others=())),  # who holds the GIL does not run either
        (Kind.HOST, stretch(sample(SHOP), run=20, queued=75)),
        (Kind.HOST, stretch(sample(SHOP), run=90, steal=80)),
        (Kind.UNKNOWN, stretch(run=95)),
        # Half of it was the host's, and what is left is long enough.
        (Kind.COMPUTING, stretch(sample(SHOP), run=100, queued=98, ms=200)),
        (Kind.UNKNOWN, replace(stretch(sample(SHOP)), run_ns=None)),
    ],
)
def test_kind(kind: Kind, seen: Stretch) -> None:
    assert kind_of(seen) is kind


def test_the_innermost_line_of_the_application_is_to_blame() -> None:
    caller = Frame("/app/shop.py", 15, "orders")
    seen = evidence(stretch(sample(SOCKET, FRAMEWORK, SHOP, caller, call=RECEIVES)))
    (one,) = occurrences(seen)
    assert (one.place, one.application, one.route) == (SOCKET, SHOP, "/orders")
    assert one.call == RECEIVES
    assert one.duration_ns == 100 * MS


def test_a_library_is_to_blame_where_no_line_of_the_application_runs() -> None:
    (one,) = occurrences(evidence(stretch(sample(FRAMEWORK), run=95)))
    assert (one.place, one.application, one.route) == (FRAMEWORK, None, "")
    assert culprits([one])[0].place == FRAMEWORK


def test_the_application_may_be_an_installed_package() -> None:
    facts = replace(FACTS, own="/venv/lib/python3.11/site-packages/fastapi")
    seen = replace(evidence(stretch(sample(FRAMEWORK), run=95)), facts=facts)
    assert occurrences(seen)[0].application == FRAMEWORK


def test_the_host_makes_nobody_a_culprit() -> None:
    (one,) = occurrences(evidence(stretch(sample(SHOP), queued=95)))
    assert one.place is None
    assert culprits([one]) == ()


def test_most_of_the_time_decides() -> None:
    other = Frame("/app/shop.py", 13, "orders")
    seen = evidence(
        stretch(sample(other, ms=10), sample(SHOP, ms=60), sample(other, ms=30), run=95)
    )
    assert occurrences(seen)[0].application == SHOP


def test_many_short_things_in_a_row_accuse_nobody() -> None:
    lines = [sample(Frame("/app/shop.py", line, "step"), ms=20) for line in range(5)]
    (one,) = occurrences(evidence(stretch(*lines, run=95)))
    assert one.place is None


def test_an_idle_loop_accuses_nobody() -> None:
    seen = stretch(StackSample(0, IDLE, Call("epoll_wait"), 100 * MS))
    assert occurrences(evidence(seen))[0].place is None


def test_a_loop_that_waits_in_its_own_code_waits_for_its_turn() -> None:
    seen = stretch(StackSample(0, IDLE, WAITS, 100 * MS), beside=20)
    (one,) = occurrences(evidence(seen))
    assert (one.kind, one.place) == (Kind.CONTENTION, None)


def test_the_probe_is_never_to_blame() -> None:
    facts = replace(FACTS, probe="/probe")
    own = Frame("/probe/pulse.py", 110, "_collecting")
    seen = replace(evidence(stretch(sample(own, SHOP), run=95)), facts=facts)
    assert occurrences(seen)[0].place == SHOP


def test_the_sample_that_tells_the_call_is_shown() -> None:
    samples = sample(SOCKET, SHOP, ms=60), sample(SOCKET, SHOP, call=RECEIVES, ms=40)
    assert occurrences(evidence(stretch(*samples)))[0].call == RECEIVES


def test_another_thread_is_to_blame_for_holding_the_gil() -> None:
    (one,) = occurrences(evidence(HOG))
    assert one.application == Frame("/app/jobs.py", 3, "crunch")


def test_short_calls_are_accused_when_seen_often_enough() -> None:
    seen = tuple(
        replace(sample(SOCKET, SHOP, call=RECEIVES, ms=5), at_ns=number) for number in range(3)
    )
    assert culprits(occurrences(evidence(sightings=seen[:2]))) == ()
    (culprit,) = culprits(occurrences(evidence(sightings=seen)))
    assert (culprit.application, culprit.call) == (SHOP, RECEIVES)
    assert (culprit.times, culprit.total_ms, culprit.worst_ms) == (0, 15.0, 0.0)
    assert culprit.recurs


def test_a_sighting_within_a_stretch_is_counted_once() -> None:
    within = replace(sample(SHOP, call=RECEIVES), at_ns=1050 * MS)
    seen = evidence(stretch(sample(SHOP, call=RECEIVES)), sightings=(within,))
    assert len(occurrences(seen)) == 1


def test_the_loops_own_wait_is_no_sighting() -> None:
    assert occurrences(evidence(sightings=(StackSample(0, IDLE, Call("poll"), 5 * MS),))) == ()


def test_culprits_are_lines_the_worst_first() -> None:
    long = stretch(sample(SHOP, call=RECEIVES), ms=300)
    other = Frame("/app/jobs.py", 3, "crunch")
    seen = evidence(long, stretch(sample(other), run=95), stretch(sample(SHOP, call=RECEIVES)))
    first, second = culprits(occurrences(seen))
    assert (first.application, first.times, first.total_ms, first.worst_ms) == (SHOP, 2, 400, 300)
    assert (first.recurs, second.recurs) == (True, False)
    assert first.routes == ("/orders",)
    assert (second.application, second.kind) == (other, Kind.COMPUTING)


def test_of_a_deep_stack_the_inner_frames_are_enough() -> None:
    deep = (SHOP, *(Frame("/app/shop.py", 14, "again") for _ in range(99)))
    (one,) = occurrences(evidence(stretch(StackSample(0, deep, None, MS), run=95)))
    assert one.application == SHOP


def test_a_cell_that_was_not_watched_has_nothing_to_say() -> None:
    assert of_cell([]) is None
    assert of_cell([()]) is None


def test_the_rounds_of_a_cell_are_taken_together() -> None:
    lost = LostCoroutine("get", "/app/shop.py", 12, "orders", times=3)
    pool = ResourceUse(limit=30, most_used=30, most_waiting=5, used=0)
    facts = replace(FACTS, lost_coroutines=(lost,), pools=(pool,))
    first = evidence(stretch(sample(SHOP, call=RECEIVES)), stretch(sample(SHOP), queued=95))
    second = replace(evidence(stretch(sample(SHOP, call=RECEIVES), ms=200)), facts=facts)
    of_both = of_cell([(first,), (second, replace(second, pid=2))])
    assert of_both is not None
    assert (of_both.stretches, of_both.standing_ms, of_both.by_host) == (4, 500, 1)
    (culprit,) = of_both.culprits
    assert (culprit.times, culprit.worst_ms) == (3, 200)
    assert of_both.lost_coroutines == (replace(lost, times=6),)
    assert of_both.pools == (pool, pool)
    assert of_both.threads is None


def test_what_was_seen_in_an_interval() -> None:
    seen = evidence(stretch(sample(SHOP)), sightings=(replace(sample(SHOP), at_ns=5 * MS),))
    seen = replace(seen, lags=((5 * MS, 1), (2000 * MS, 2)))
    assert seen.within(0, 10 * MS) == replace(seen, stretches=(), lags=((5 * MS, 1),))
    # A stretch that reaches into the interval is part of it.
    assert seen.within(1099 * MS, 3000 * MS) == replace(seen, sightings=(), lags=((2000 * MS, 2),))


def test_coroutines_lost_since_an_earlier_look() -> None:
    lost = LostCoroutine("get", "/app/shop.py", 12, "orders", times=3)
    other = replace(lost, line=13)
    earlier = replace(evidence(), facts=replace(FACTS, lost_coroutines=(lost,)))
    now = replace(lost, times=5)
    later = replace(evidence(), facts=replace(FACTS, lost_coroutines=(now, other)))
    assert later.since(earlier).facts.lost_coroutines == (replace(lost, times=2), other)
    assert later.since(later).facts.lost_coroutines == ()
    assert later.since(None) == later


def test_a_loop_that_waits_in_its_own_code_for_most_of_the_time_accuses_nobody_else() -> None:
    waits = StackSample(0, (SERVER[1],), WAITS, 80 * MS)
    (seen,) = occurrences(evidence(stretch(waits, sample(SHOP, ms=20))))
    assert seen.place is None
    (seen,) = occurrences(evidence(stretch(waits, sample(SHOP, ms=80))))
    assert seen.place == SHOP


@pytest.mark.parametrize(
    ("seconds", "state", "recurs"), [(6, "stands", True), (6, "ended", False), (1, "stands", False)]
)
def test_a_loop_that_never_goes_on_is_more_than_a_first_use(
    seconds: int,
    state: str,
    recurs: bool,  # noqa: FBT001 - a parameter
) -> None:
    blocked = stretch(sample(SHOP, call=WAITS), ms=seconds * 1000)
    seen = replace(blocked, has_ended=state == "ended")
    (culprit,) = culprits(occurrences(evidence(seen)))
    assert culprit.times == 1
    assert culprit.recurs is recurs


@pytest.mark.parametrize(
    "seen",
    [
        stretch(sample(SHOP, call=TURN, ms=80), beside=40),
        stretch(sample(WAIT, WAIT, START, SHOP, call=WAITS, ms=80), beside=40),
    ],
    ids=["its turn", "a thread that starts"],
)
def test_no_line_is_accused_where_threads_compete_for_the_gil(seen: Stretch) -> None:
    (only,) = occurrences(evidence(seen))
    assert (only.kind, only.place) == (Kind.CONTENTION, None)
    assert culprits([only]) == ()


def collected(*frames: Frame, at: int) -> Stretch:
    seen = stretch(sample(*frames, ms=100), run=95, beside=95, collecting=90)
    return replace(seen, start_ns=seen.start_ns + at, end_ns=seen.end_ns + at)


def test_collections_that_come_by_chance_do_not_recur() -> None:
    places = [replace(FRAMEWORK, line=number) for number in range(5)]
    chance = [collected(place, SHOP, at=at) for at, place in enumerate(places)]
    (by_chance,) = culprits(occurrences(evidence(*chance)))
    assert (by_chance.kind, by_chance.times, by_chance.recurs) == (Kind.COLLECTION, 5, False)
    (called,) = culprits(occurrences(evidence(*(collected(SHOP, at=at) for at in range(3)))))
    assert (called.kind, called.times, called.recurs) == (Kind.COLLECTION, 3, True)


@pytest.mark.parametrize(("stacks", "times", "recurs"), [(1, 2, False), (1, 3, True), (2, 2, True)])
def test_one_stack_of_a_computing_loop_may_be_chance(
    stacks: int, times: int, *, recurs: bool
) -> None:
    computing = stretch(*(sample(SHOP) for _ in range(stacks)), run=95, beside=25)
    (culprit,) = culprits(occurrences(evidence(*[computing] * times)))
    assert culprit.recurs is recurs
