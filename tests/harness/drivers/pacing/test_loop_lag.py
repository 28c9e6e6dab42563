"""The lag of the driver's event loop: bins against exact percentiles."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.drivers.pacing.loop_lag import BIN_MS, BINS, LoopLagMeter
from loopmark.harness.drivers.pacing.scheduler_wait import WaitLog
from loopmark.harness.vocabulary.job import SHORTEST_WAIT_NS
from tests.harness.drivers.pacing.fake_loop import LATE_NS, FakeLoop


def fed(lags_ms: list[float]) -> LoopLagMeter:
    """A meter that has seen these lags; its clock is not the machine's."""

    meter = LoopLagMeter.__new__(LoopLagMeter)
    LoopLagMeter._clear(meter)
    for lag_ms in lags_ms:
        meter._count(lag_ms)
    return meter


@given(st.lists(st.floats(0, 0.9 * BIN_MS * BINS), min_size=1), st.sampled_from([0.5, 0.99, 1.0]))
def test_percentiles_are_exact_to_a_bin(lags_ms: list[float], p: float) -> None:
    exact = float(np.quantile(lags_ms, p, method="inverted_cdf"))
    assert exact - 1e-9 <= fed(lags_ms).percentile_ms(p) <= exact + BIN_MS + 1e-9


def test_without_a_lag_there_is_none() -> None:
    assert fed([]).percentile_ms(0.99) == 0.0


def test_what_is_beyond_the_bins_keeps_its_maximum() -> None:
    meter = fed([1.0] * 10 + [1e6])
    assert meter.max_ms == 1e6
    assert meter.percentile_ms(1.0) <= BIN_MS * BINS


def test_a_loop_that_is_held_up_is_noticed(loop: FakeLoop) -> None:
    meter = LoopLagMeter(loop, WaitLog(lambda: None))
    meter.start()
    loop.call_later(0.101, lambda: loop.spend(50_000_000))
    loop.call_later(1.0, meter.stop)
    loop.run()
    assert meter.max_ms > 45
    assert meter.percentile_ms(1.0) == meter.max_ms
    assert meter.percentile_ms(0.5) <= LATE_NS / 1e6 + BIN_MS


def test_the_intervals_in_which_the_driver_waited_are_noted(loop: FakeLoop) -> None:
    """It is held up for 50 ms, 30 ms of it because another had the processor."""
    waited_s = 7.0

    def held_up() -> None:
        nonlocal waited_s
        waited_s += 0.03
        loop.spend(50_000_000)

    waits = WaitLog(lambda: waited_s)
    meter = LoopLagMeter(loop, waits)
    meter.start()
    began_ns = loop.now_ns()
    loop.call_later(0.101, held_up)
    loop.call_later(1.0, meter.stop)
    loop.run()
    assert waits.total_s is not None
    assert abs(waits.total_s - 0.03) < 1e-9
    (wait,) = waits.waits
    assert abs(wait.waited_ns - 30_000_000) < 10
    assert wait.from_ns <= began_ns + 101_000_000 + LATE_NS
    assert wait.to_ns >= began_ns + 151_000_000
    assert wait.to_ns - wait.from_ns < 60_000_000


def test_waits_too_short_to_tell_are_in_the_total_only(loop: FakeLoop) -> None:
    waited_s = 0.0

    def read() -> float:
        nonlocal waited_s
        waited_s += SHORTEST_WAIT_NS / 2e9
        return waited_s

    waits = WaitLog(read)
    meter = LoopLagMeter(loop, waits)
    meter.start()
    loop.call_later(0.1, meter.stop)
    loop.run()
    assert waits.waits == []
    assert waits.total_s is not None
    assert waits.total_s > 5 * SHORTEST_WAIT_NS / 1e9


def test_where_the_system_does_not_tell_nothing_is_known(loop: FakeLoop) -> None:
    waits = WaitLog(lambda: None)
    meter = LoopLagMeter(loop, waits)
    meter.start()
    loop.call_later(0.1, meter.stop)
    loop.run()
    assert (waits.total_s, waits.waits) == (None, [])
