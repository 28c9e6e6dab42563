"""The stretches of a window: few, equal, and together the whole."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis.timeline import over_time
from loopmark.harness.vocabulary.figures import TimelinePoint
from tests.harness.builders import database_reading, reading, record, report


def test_what_happened_when() -> None:
    one = record(
        driver=report(0.2),
        target=[
            reading(-50, 0, sockets=5, threads=1, switches=0),
            reading(50, 100, rss_mib=50, sockets=10, threads=4, switches=10),
            reading(150, 150, rss_mib=70, sockets=20, threads=6, switches=40),
            reading(250, 250, sockets=99, threads=99, switches=50),
        ],
        database=[
            database_reading(-10, connections=1, cpu_ms=0),
            database_reading(110, connections=9, active=3, waiting=2, cpu_ms=12),
            database_reading(210, connections=9, cpu_ms=12),
        ],
    )
    assert over_time([one]) == (
        TimelinePoint(
            t_s=0.05,
            cpu_fraction=0.75,
            rss_mib=50,
            threads=4,
            sockets=10,
            context_switches_per_s=200,
            connections=1,
            active=2,
            waiting=0,
            database_cpu_fraction=0.1,
        ),
        TimelinePoint(
            t_s=0.15,
            cpu_fraction=0.75,
            rss_mib=70,
            threads=6,
            sockets=20,
            context_switches_per_s=200,
            connections=9,
            active=3,
            waiting=2,
            database_cpu_fraction=0.01,
        ),
    )


def test_gauges_hold_until_the_next_reading_and_are_unknown_before_the_first() -> None:
    readings = [reading(at, 0, threads=at) for at in (100, 350, 500)]
    points = over_time([record(driver=report(0.5), target=readings)])
    assert [one.threads for one in points] == [None, 100, 100, 350, 350]
    assert [one.cpu_fraction for one in points] == [None, 0, 0, 0, 0]


def test_nobody_looked() -> None:
    assert over_time([record(driver=report(0.1))]) == (TimelinePoint(t_s=0.05),)


def test_a_server_elsewhere_has_connections_and_no_cpu() -> None:
    readings = [database_reading(-1), database_reading(101)]
    (point,) = over_time([record(driver=report(0.1), database=readings)])
    assert point.connections == 30
    assert point.database_cpu_fraction is None


def test_it_is_the_first_round_that_was_measured_to_its_end() -> None:
    records = [
        record(0, report(1.0), state="interrupted"),
        record(1, None),
        record(2, report(0.2)),
        record(3, report(0.7)),
    ]
    assert len(over_time(records)) == 2
    assert over_time(records[:2]) == ()
    assert over_time([record(driver=report(0.0))]) == ()


@given(
    window_ms=st.integers(0, 100_000),
    at_ms=st.lists(st.integers(-1000, 110_000), max_size=100, unique=True).map(sorted),
)
def test_stretches_are_few_equal_and_within_the_window(window_ms: int, at_ms: list[int]) -> None:
    window_s = window_ms / 1e3
    one = record(driver=report(window_s), target=[reading(at, at) for at in at_ms])
    points = over_time([one])
    assert len(points) == min(60, window_ms // 100)
    for place, point in enumerate(points):
        assert point.t_s == pytest.approx(window_s * (place + 0.5) / len(points), rel=1e-3)
        if point.cpu_fraction is not None:
            assert math.isclose(point.cpu_fraction, 1.0, rel_tol=1e-3)


@given(cpu=st.lists(st.integers(0, 100), min_size=30, max_size=30))
def test_no_cpu_is_lost_between_the_stretches(cpu: list[int]) -> None:
    total = 0
    readings = []
    for place, more in enumerate(cpu):
        total += more
        readings.append(reading(80 * place - 80, total))
    points = over_time([record(driver=report(2.0), target=readings)])
    shown = sum(point.cpu_fraction or 0.0 for point in points) * 0.1 * 1e3
    before = readings[0].cpu_ns + (readings[1].cpu_ns - readings[0].cpu_ns)
    assert shown == pytest.approx((readings[26].cpu_ns - before) / 1e6, rel=1e-3, abs=0.1)
