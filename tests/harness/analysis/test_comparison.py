"""Targets compared: which cells, in which direction, and when there is no ratio."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.analysis.comparison import compare
from loopmark.harness.vocabulary.cell import Cell, Validity, ValidityState
from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.result import CellResult
from tests.harness.builders import (
    burst,
    cell,
    cell_result,
    closed,
    fan_out,
    fan_out_steps,
    open_,
    ramp,
    round_result,
    steps,
)


def measured(of: Cell, *rps: float, validity: Validity | None = None) -> CellResult:
    rounds = [round_result(n, throughput_rps=one) for n, one in enumerate(rps)]
    result = cell_result(of, rounds)
    return result if validity is None else replace(result, validity=validity)


def throughput(comparisons: tuple[Comparison, ...]) -> Comparison:
    (found,) = (one for one in comparisons if one.metric == "throughput_rps")
    return found


SYNC = measured(cell("sync"), 100.0, 110.0, 90.0)
ASYNC = measured(cell("async"), 200.0, 220.0, 180.0)


def test_ratio_is_the_later_cell_over_the_earlier_one() -> None:
    found = throughput(compare([SYNC, ASYNC]))
    assert (found.base.label, found.other.label) == ("sync", "async")
    assert found.ratio == pytest.approx(2.0)
    assert found.ratio_ci == pytest.approx((2.0, 2.0), rel=1e-3)
    assert found.rounds == 3
    assert found.reasons == ()
    assert found.axis == "target"


def test_rounds_that_do_not_count_take_no_part_and_are_told() -> None:
    rounds = [round_result(n, throughput_rps=rps) for n, rps in enumerate((200.0, 2.0, 180.0))]
    rounds[1] = replace(rounds[1], counts=False)
    found = throughput(compare([SYNC, cell_result(cell("async"), rounds)]))
    assert found.ratio == pytest.approx(2.0)
    assert (found.rounds, found.left_out) == (2, 1)
    assert throughput(compare([SYNC, ASYNC])).left_out == 0


def test_ratio_turns_round_with_the_order_of_the_cells() -> None:
    found = throughput(compare([ASYNC, SYNC]))
    assert (found.base.label, found.other.label) == ("async", "sync")
    assert found.ratio == pytest.approx(0.5)


def test_interval_comes_from_the_scatter_of_the_pairs() -> None:
    found = throughput(compare([SYNC, measured(cell("async"), 150.0, 220.0, 200.0)]))
    assert found.ratio_ci is not None
    assert found.ratio is not None
    low, high = found.ratio_ci
    assert low < found.ratio < high
    assert low * high == pytest.approx(found.ratio**2)


def test_comparison_says_what_was_compared() -> None:
    found = throughput(compare([SYNC, ASYNC]))
    assert (found.scenario, found.load, found.driver) == ("crud", closed(), "native")


@pytest.mark.parametrize(
    "other",
    [
        cell("async", scenario="read-mostly"),
        cell("async", closed(users=11)),
        cell("async", closed(duration_s=3.0)),
        cell("async", Closed(users=10, duration_s=2.0, warmup_s=9.0)),
        cell("async", burst(10)),
        Cell("crud", "async", closed(), "locust", 1),
    ],
    ids=["scenario", "users", "duration", "warm-up", "model", "driver"],
)
def test_cells_that_were_not_asked_alike_are_not_compared(other: Cell) -> None:
    assert compare([SYNC, measured(other, 100.0)]) == ()


@pytest.mark.parametrize(
    ("load", "longer"),
    [
        (burst(10, planned_s=0.6), burst(10, planned_s=5.0)),
        (closed(), replace(closed(), drain_s=3.0)),
    ],
)
def test_what_a_round_is_expected_to_take_is_no_part_of_the_question(
    load: Load, longer: Load
) -> None:
    slow, fast = measured(cell("sync", longer), 20.0), measured(cell("async", load), 40.0)
    assert throughput(compare([slow, fast])).ratio == pytest.approx(2.0)


def test_every_pair_of_targets_is_compared() -> None:
    cells = [measured(cell(name), 100.0) for name in ("a", "b", "c")]
    cells.append(measured(cell("d", burst(5)), 100.0))
    pairs = {(one.base.label, one.other.label) for one in compare(cells)}
    assert pairs == {("a", "b"), ("a", "c"), ("b", "c")}


def test_makespan_is_compared_under_bursts_only() -> None:
    bursts = [
        cell_result(cell(name, burst()), [round_result(makespan_s=seconds)])
        for name, seconds in (("sync", 3.0), ("async", 1.5))
    ]
    found = {one.metric: one for one in compare(bursts)}
    of_closed = {"throughput_rps", "latency_ms.p50", "cpu_ms_per_request"}
    assert set(found) == of_closed | {"makespan_s"}
    assert found["makespan_s"].ratio == pytest.approx(0.5)
    assert {one.metric for one in compare([SYNC, ASYNC])} == of_closed


@pytest.mark.parametrize("load", [open_(), fan_out()])
def test_open_load_is_compared_in_latency_and_cost_and_not_in_what_was_offered(load: Load) -> None:
    cells = [cell_result(cell(name, load), [round_result()]) for name in ("sync", "async")]
    assert {one.metric for one in compare(cells)} == {
        "latency_ms.p50",
        "latency_ms.p99",
        "cpu_ms_per_request",
    }


@pytest.mark.parametrize("load", [steps(), ramp(), fan_out_steps()])
def test_stages_are_held_side_by_side_and_not_made_a_ratio_of(load: Load) -> None:
    cells = [cell_result(cell(name, load), [round_result()]) for name in ("sync", "async")]
    assert compare(cells) == ()


@pytest.mark.parametrize("state", [state for state in ValidityState if state != "valid"])
def test_invalid_cell_makes_every_metric_inconclusive(state: ValidityState) -> None:
    bad = replace(ASYNC, validity=Validity(state))
    for cells in ([SYNC, bad], [bad, SYNC]):
        for one in compare(cells):
            assert one.ratio is None
            assert one.ratio_ci is None
            assert one.rounds == 0
            assert one.reasons == (f"async: {state.value}",)


def test_both_invalid_cells_are_named() -> None:
    errors = Validity(ValidityState.ERRORS)
    cells = [replace(SYNC, validity=errors), replace(ASYNC, validity=errors)]
    assert throughput(compare(cells)).reasons == ("sync: errors", "async: errors")


def test_metric_that_a_round_lacks_is_taken_from_the_other_rounds() -> None:
    base = cell_result(cell("sync"), [round_result(0, p50=10.0), round_result(1, p50=None)])
    other = cell_result(cell("async"), [round_result(0, p50=5.0), round_result(1, p50=4.0)])
    (found,) = (one for one in compare([base, other]) if one.metric == "latency_ms.p50")
    assert found.ratio == pytest.approx(0.5)
    assert found.rounds == 1
    assert found.ratio_ci is None


def test_metric_that_no_round_has_is_inconclusive() -> None:
    cells = [cell_result(cell(name), [round_result(cpu=None)]) for name in ("sync", "async")]
    (found,) = (one for one in compare(cells) if one.metric == "cpu_ms_per_request")
    assert found.ratio is None
    assert found.reasons == ("no pair of rounds has CPU per request",)


def test_throughput_of_nothing_has_no_ratio() -> None:
    found = throughput(compare([measured(cell("sync"), 0.0), measured(cell("async"), 10.0)]))
    assert found.ratio is None
    assert found.reasons


def test_nothing_is_compared_with_nothing() -> None:
    assert compare([]) == compare([SYNC]) == ()
