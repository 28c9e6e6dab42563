"""The section of lines that block event loops, and the pictures of loops."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.vocabulary.blocking import (
    Call,
    CellBlocking,
    Culprit,
    Frame,
    Kind,
    LoopTimeline,
    LostCoroutine,
    ResourceUse,
    StoodStill,
)
from loopmark.harness.vocabulary.fault import CellFinding, Fault, FaultFinding, Showing, Symptom
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import blocking, formatting, html, loop_picture, markdown, pitfalls
from tests.reports.conftest import HOSTILE, cell_result, run_results

SHOP = Frame("/srv/shop/orders.py", 31, "orders")
CULPRIT = Culprit(
    kind=Kind.CALL,
    place=Frame("/python/socket.py", 700, "readinto"),
    application=SHOP,
    routes=("/orders",),
    call=Call("recvfrom", "10.0.0.1:80"),
    times=3,
    total_ms=600.0,
    worst_ms=412.0,
    recurs=True,
)
TIMELINE = LoopTimeline(((0.0, 0.2), (0.5, 400.0)), (StoodStill(0.1, 400.0, Kind.CALL),))
QUIET = LoopTimeline(((0.0, 0.2), (0.5, 0.1)), ())
SEEN = CellBlocking(
    culprits=(CULPRIT,),
    stretches=4,
    standing_ms=700.0,
    by_host=1,
    lost_coroutines=(LostCoroutine("fetch", "/srv/shop/orders.py", 40, "orders", 7),),
    threads=ResourceUse(limit=40, most_used=40, most_waiting=12, used=0),
    pools=(ResourceUse(limit=30, most_used=3, most_waiting=0, used=0),),
    timeline=TIMELINE,
)


def watched(target: str, seen: CellBlocking, **changes: object) -> RunResults:
    cell = replace(cell_result("crud", target, Burst(100, 1.0), figure=1.0), blocking=seen)
    return replace(run_results([cell]), **changes)  # type: ignore[arg-type]


def test_each_line_has_its_reason_and_its_times() -> None:
    results = watched("async", SEEN)
    (row,) = blocking.rows(results)
    assert row.line == "shop/orders.py:31 orders"
    assert row.why == "blocking call: recvfrom, 10.0.0.1:80, in python/socket.py:700 readinto"
    assert (row.routes, row.times, row.total, row.worst) == ("/orders", "3", "600 ms", "412 ms")
    for text in (html.render(results), markdown.render(results)):
        assert blocking.TITLE in text
        assert "recvfrom" in text


def test_short_calls_have_no_count() -> None:
    short = replace(CULPRIT, times=0, worst_ms=0.0)
    (row,) = blocking.rows(watched("async", replace(SEEN, culprits=(short,))))
    assert (row.times, row.worst) == ("often, short", formatting.MISSING)


def test_what_is_beside_the_lines() -> None:
    cell, host, waits, lost = blocking.sentences(watched("async", SEEN))
    assert cell == "1 cell of 1 watched ones had a line that blocked the loop more than once."
    assert host.startswith("The host took the processor from a loop 1 time")
    assert waits.endswith("up to 12 requests waited for one of 40 worker threads.")
    assert lost.endswith("fetch was not awaited 7 times, dropped at shop/orders.py:40 orders.")


def test_a_run_that_was_not_watched_says_nothing(results: RunResults) -> None:
    assert blocking.sentences(results) == []
    assert 'id="blocking"' not in html.render(results)
    assert blocking.TITLE not in markdown.render(results)


def test_texts_are_escaped() -> None:
    hostile = replace(CULPRIT, application=replace(SHOP, function=HOSTILE))
    assert HOSTILE not in html.render(watched("async", replace(SEEN, culprits=(hostile,))))


@pytest.mark.parametrize(("showing", "number"), [("shown", 1), ("not-shown", 0)])
def test_the_loop_of_a_blocking_mistake_is_drawn_beside_its_twins(
    showing: Showing, number: int
) -> None:
    load = Burst(100, 1.0)
    faulty = replace(cell_result("crud", "faulty", load, figure=1.0), blocking=SEEN)
    clean = replace(
        cell_result("crud", "twin", load, figure=1.0), blocking=replace(SEEN, timeline=QUIET)
    )
    finding = CellFinding(faulty.name, showing, "It took long", "", clean.name)
    fault = Fault(Symptom.BLOCKS_LOOP, "A mistake", "A cure", "twin")
    results = replace(
        run_results([faulty, clean]), faults=(FaultFinding("faulty", fault, (finding,)),)
    )
    pictures = list(pitfalls.pictures(results))
    assert len(pictures) == number
    assert html.render(results).count('class="chart lag"') == 2 * number
    for both in pictures:
        assert [target for target, _ in both.drawn] == ["faulty", "twin"]
        of_faulty, of_twin = (picture for _, picture in both.drawn)
        assert (len(of_faulty.still), len(of_twin.still)) == (1, 0)
        assert of_faulty.y_ticks == of_twin.y_ticks  # one scale


def test_there_is_no_picture_without_a_heartbeat() -> None:
    assert loop_picture.drawn(LoopTimeline((), ())) is None
