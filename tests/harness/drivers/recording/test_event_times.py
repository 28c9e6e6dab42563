"""When a request was sent and done, from whatever an event says."""

from __future__ import annotations

import math

import pytest

from loopmark.harness.drivers.recording.event_times import moments

NOW_NS = 1_000_000_000_000
WALL_S = 1_700_000_000.0
SINCE_NS = NOW_NS - 60_000_000_000


def of(response_time: object, start_time: object) -> tuple[int, int, bool]:
    """Sent and done in whole milliseconds before now, and whether the duration is known."""
    found = moments(response_time, start_time, NOW_NS, WALL_S, SINCE_NS)
    return round((NOW_NS - found.sent_ns) / 1e6), round((NOW_NS - found.done_ns) / 1e6), found.known


def test_an_event_that_comes_late_is_counted_from_its_start() -> None:
    assert of(20.0, WALL_S - 0.5) == (500, 480, True)


def test_an_event_that_comes_at_once_is_done_now() -> None:
    assert of(20.0, WALL_S - 0.020) == (20, 0, True)


def test_the_duration_is_kept_to_the_nanosecond() -> None:
    found = moments(12.345678, WALL_S - 0.3, NOW_NS, WALL_S, SINCE_NS)
    assert found.done_ns - found.sent_ns == 12_345_678


@pytest.mark.parametrize(
    "start_time",
    [
        None,
        "yesterday",
        math.nan,
        math.inf,
        True,
        10**400,
        WALL_S + 5,  # in the future
        WALL_S - 0.001,  # after what it began
        WALL_S - 3600,  # before anything was sent
        123.4,  # of another clock
        WALL_S * 1000,  # of another unit
    ],
)
def test_a_start_that_cannot_be_is_passed_over(start_time: object) -> None:
    assert of(20.0, start_time) == (20, 0, True)


@pytest.mark.parametrize(
    "response_time", [None, "12", math.nan, -1.0, math.inf, True, 10**400, 1e12, [3], 1j]
)
def test_what_is_no_duration_is_said_to_be_none(response_time: object) -> None:
    assert of(response_time, None) == (0, 0, False)
    assert of(response_time, WALL_S - 0.5) == (500, 500, False)
