"""What target and database spent, from readings whose truth is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis.resource_use import cpu_ms, database_cpu_ms, database_use, target_use
from loopmark.harness.vocabulary.figures import DatabaseUse, LoopLag, TargetUse
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.record import DatabaseReading
from tests.harness.builders import START, burst, closed, database_reading, reading, record, report

STEP_MS = 80


def spanned(window_s: float, rate: float) -> tuple[DatabaseReading, ...]:
    """Readings around a window; sessions show their `rate` commits per second once a second."""
    return tuple(
        database_reading(at, commits=round(rate * math.floor(at / 1e3 + 0.37)))
        for at in range(-STEP_MS, round(window_s * 1e3) + STEP_MS + 1, STEP_MS)
    )


# ---- the target ----


def test_a_counter_is_read_at_the_edges_of_the_window() -> None:
    readings = [reading(-100, 0, switches=0), reading(100, 20, switches=200)]
    readings += [reading(1900, 200, switches=2000), reading(2100, 220, switches=2200)]
    one = record(driver=report(2.0), target=readings)
    assert cpu_ms(closed(), one) == pytest.approx(200)
    use = target_use(closed(), [one], {0: 1000})
    assert use.cpu_ms_per_request == pytest.approx(0.2)
    assert use.cpu_fraction == pytest.approx(0.1)
    assert use.context_switches_per_request == pytest.approx(2.0)


def test_a_burst_is_read_just_outside_of_its_window() -> None:
    readings = [reading(-90, 5, switches=3), reading(-10, 7, switches=5)]
    readings += [reading(70, 50, switches=90), reading(150, 60, switches=105)]
    one = record(driver=report(0.1), target=readings)
    assert cpu_ms(burst(), one) == pytest.approx(53)
    assert target_use(burst(), [one], {0: 10}).context_switches_per_request == pytest.approx(10)


@pytest.mark.parametrize("readings", [(), (0,), (10, 3000), (-10, 1990)])
def test_readings_that_do_not_span_the_window_give_no_cost(readings: tuple[int, ...]) -> None:
    one = record(driver=report(2.0), target=[reading(at, 1) for at in readings])
    assert cpu_ms(closed(), one) is None
    use = target_use(closed(), [one], {0: 10})
    assert use.cpu_ms_per_request is None
    assert use.context_switches_per_request is None
    assert use.cpu_fraction is None


def test_the_largest_of_all_rounds_counts_and_the_median_cost() -> None:
    records = [
        record(
            number,
            report(1.0),
            target=[
                reading(
                    -1,
                    0,
                    rss_mib=10 * number,
                    threads=number,
                    sockets=100 - number,
                    files=50 * number,
                ),
                reading(1001, cpu, rss_mib=1, threads=1, sockets=1),
            ],
            loop_lag=[(START + number, number * 1_000_000), (START - 1, 10**12)],
        )
        for number, cpu in enumerate((100, 600, 200))
    ]
    use = target_use(closed(), records, {0: 100, 1: 100, 2: 100})
    assert (use.rss_mib, use.threads, use.sockets, use.files) == (20, 2, 100, 100)
    assert use.cpu_ms_per_request == pytest.approx(2.0, rel=0.01)
    assert use.cpu_fraction == pytest.approx(0.2, rel=0.01)
    assert use.cpu_ms_per_request_ci is not None
    assert use.loop_lag_ms == LoopLag(1.0, 2.0, 2.0)


def test_only_rounds_that_were_measured_to_their_end_have_a_cost() -> None:
    good, bad = (
        record(number, report(1.0), target=[reading(-1, 0, threads=number), reading(1001, cpu)])
        for number, cpu in enumerate((100.2, 900.0))
    )
    use = target_use(closed(), [good, bad, record(2)], {0: 100})
    assert use.cpu_ms_per_request == pytest.approx(1.0)
    assert use.threads == 4


@pytest.mark.parametrize(("seen", "files"), [((3, 9, 4), 9), ((0, 0, 0), None)])
def test_open_files_are_the_most_seen_and_unknown_where_nobody_looked(
    seen: tuple[int, ...], files: int | None
) -> None:
    one = record(
        driver=report(1.0), target=[reading(n, 0, files=many) for n, many in enumerate(seen)]
    )
    assert target_use(closed(), [one], {0: 1}).files == files


def test_nothing_was_seen() -> None:
    assert target_use(closed(), [], {}) == TargetUse()
    assert target_use(closed(), [record(loop_lag=[(START, 5)])], {}) == TargetUse()
    assert database_use(closed(), [], {}) == DatabaseUse()
    assert database_use(closed(), [record(driver=report())], {0: 10}) == DatabaseUse()


def test_a_round_without_requests_has_no_cost() -> None:
    one = record(driver=report(1.0), target=[reading(-1, 0), reading(1001, 5)])
    assert target_use(closed(), [one], {0: 0}).cpu_ms_per_request is None


@given(
    rate=st.floats(1, 1000),
    offset=st.integers(1, 79),
    window_ms=st.integers(100, 5000),
)
def test_steady_use_is_found_wherever_the_readings_lie(
    rate: float, offset: int, window_ms: int
) -> None:
    readings = [reading(at, rate * at) for at in range(-offset, window_ms + 2 * STEP_MS, STEP_MS)]
    one = record(driver=report(window_ms / 1e3), target=readings)
    assert cpu_ms(closed(), one) == pytest.approx(rate * window_ms, rel=1e-3)


# ---- the database ----


def test_connections_are_those_within_the_window() -> None:
    outside = {"connections": 99, "active": 99, "waiting": 99}
    readings = [
        database_reading(-10, **outside),
        database_reading(10, connections=20, active=1, idle_in_transaction=3, waiting=0),
        database_reading(500, connections=30, active=4, idle_in_transaction=0, waiting=3),
        database_reading(1010, **outside),
    ]
    use = database_use(closed(), [record(driver=report(1.0), database=readings)], {0: 10})
    assert (use.connections, use.waiting_max) == (30, 3)
    assert (use.active, use.idle_in_transaction, use.waiting) == (2.5, 1.5, 1.5)
    assert use.transactions_per_request is None, "too short for counters of PostgreSQL's"


def test_cpu_of_the_database() -> None:
    readings = [database_reading(at, cpu_ms=at + 10) for at in (-10, 500, 1010)]
    one = record(driver=report(1.0), database=readings)
    assert database_cpu_ms(closed(), one) == pytest.approx(1000)
    use = database_use(closed(), [one], {0: 100})
    assert use.cpu_ms_per_request == pytest.approx(10)
    assert use.cpu_fraction == pytest.approx(1.0)


def test_cpu_of_a_server_elsewhere_is_not_known() -> None:
    one = record(driver=report(1.0), database=[database_reading(at) for at in (-10, 500, 1010)])
    use = database_use(closed(), [one], {0: 100})
    assert (use.cpu_ms_per_request, use.cpu_fraction) == (None, None)
    assert use.connections == 30


def test_a_burst_between_two_readings_still_has_a_cost() -> None:
    readings = [database_reading(-10, cpu_ms=1), database_reading(70, cpu_ms=21)]
    use = database_use(burst(), [record(driver=report(0.05), database=readings)], {0: 10})
    assert use.connections is None
    assert use.cpu_ms_per_request == pytest.approx(2.0)
    assert use.cpu_fraction == pytest.approx(0.4)


@pytest.mark.parametrize("window_s", [2.0, 3.0, 5.5, 30.0])
def test_counters_brought_up_to_date_once_a_second_give_the_true_rate(window_s: float) -> None:
    one = record(driver=report(window_s), database=spanned(window_s, rate=500))
    found = database_use(closed(), [one], {0: round(100 * window_s)}).transactions_per_request
    assert found == pytest.approx(5.0, rel=0.13 if window_s < 3 else 0.06)


def test_rates_are_between_the_means_of_the_first_and_the_last_second() -> None:
    commits = {0: 0, 500: 40, 1000: 100, 1500: 9999, 2000: 180, 2500: 260, 2999: 300, 3000: 9999}
    readings = [database_reading(at, commits=count) for at, count in commits.items()]
    one = record(driver=report(3.0), database=readings)
    # From 20 at 250 ms to 246.67 at 2499.67 ms; 10 requests in 3 s.
    expected = (740 / 3 - 20) / (7.499 / 3 - 0.25) / (10 / 3)
    found = database_use(closed(), [one], {0: 10}).transactions_per_request
    assert found == pytest.approx(expected)
    short = record(driver=report(1.999), database=readings[:4])
    assert database_use(closed(), [short], {0: 10}).transactions_per_request is None


def test_transactions_are_those_that_ended_either_way() -> None:
    readings = [
        database_reading(
            at, commits=2 * at, rollbacks=at, blocks_hit=at // 100, blocks_read=at // 100 * 3
        )
        for at in range(0, 4000, 100)
    ]
    use = database_use(closed(), [record(driver=report(4.0), database=readings)], {0: 1000})
    assert use.transactions_per_request == pytest.approx(12)
    assert use.rollbacks_per_request == pytest.approx(4)
    assert use.cache_hits == pytest.approx(0.25)


def test_counters_brought_up_to_date_once_a_second_say_nothing_of_a_burst() -> None:
    one = record(driver=report(5.0), database=spanned(5.0, rate=500))
    use = database_use(burst(), [one], {0: 100})
    assert (use.transactions_per_request, use.rollbacks_per_request) == (None, None)
    assert use.cache_hits is None


def test_a_database_that_did_nothing_has_no_share_of_hits() -> None:
    readings = [database_reading(at) for at in range(0, 4000, 100)]
    use = database_use(closed(), [record(driver=report(4.0), database=readings)], {0: 1000})
    assert use.cache_hits is None
    assert use.transactions_per_request == 0


@given(
    at_ms=st.lists(st.integers(-500, 6000), max_size=40, unique=True).map(sorted),
    window_ms=st.integers(0, 5000),
    requests=st.integers(0, 100),
)
def test_any_readings_give_figures_or_none(at_ms: list[int], window_ms: int, requests: int) -> None:
    driver: DriverReport = report(window_ms / 1e3)
    one = record(
        driver=driver,
        target=[reading(at, at + 500) for at in at_ms],
        database=[database_reading(at, commits=at + 500, cpu_ms=at + 500) for at in at_ms],
    )
    for load in (burst(), closed()):
        target = target_use(load, [one], {0: requests})
        database = database_use(load, [one], {0: requests})
        for value in (
            target.cpu_ms_per_request,
            target.cpu_fraction,
            target.context_switches_per_request,
            database.active,
            database.transactions_per_request,
            database.cpu_ms_per_request,
        ):
            assert value is None or (math.isfinite(value) and value >= 0)
