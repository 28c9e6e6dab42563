"""Drivers compared: on which cells, and when there is no ratio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loopmark.harness.analysis.comparison import compare
from loopmark.harness.vocabulary.cell import Cell, Validity, ValidityState
from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.figures import Percentiles, TargetUse
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.result import CellResult
from tests.harness.builders import (
    burst,
    cell_result,
    closed,
    fan_out,
    fan_out_steps,
    figures,
    open_,
    ramp,
    round_result,
    steps,
)

LOCUST, NATIVE = "locust", "native"


def measured(
    driver: str,
    *rps: float,
    load: Load | None = None,
    target: str = "async",
    scenario: str = "crud",
) -> CellResult:
    """A cell with a round for each of these throughputs, a tenth of which is its p90 in ms."""
    rounds = [
        replace(
            round_result(number, throughput_rps=one, p50=one / 20, makespan_s=one / 100),
            latency_ms=Percentiles(p50=one / 20, p90=one / 10),
        )
        for number, one in enumerate(rps)
    ]
    of = Cell(scenario, target, load or closed(), driver, len(rps))
    latest = rps[-1]
    return replace(
        cell_result(of, rounds),
        unjudged=figures(
            rounds,
            makespan_s=latest / 100,
            throughput_rps=latest,
            latency_ms=Percentiles(p50=latest / 20, p90=latest / 10),
            target_use=TargetUse(cpu_ms_per_request=1.0),
        ),
    )


def along_driver(cells: Sequence[CellResult]) -> tuple[Comparison, ...]:
    found = compare(cells)
    assert {one.axis for one in found} <= {"driver"}
    return found


def of_metric(found: tuple[Comparison, ...], metric: str) -> Comparison:
    (one,) = (one for one in found if one.metric == metric)
    return one


def test_ratio_is_the_driver_named_later_over_the_one_named_first() -> None:
    cells = [measured(NATIVE, 100.0, 110.0), measured(LOCUST, 90.0, 99.0)]
    found = of_metric(along_driver(cells), "throughput_rps")
    assert (found.base.label, found.other.label) == (NATIVE, LOCUST)
    assert (found.scenario, found.target, found.load) == ("crud", "async", closed())
    assert found.ratio == pytest.approx(0.9)
    assert found.ratio_ci == pytest.approx((0.9, 0.9), rel=1e-3)
    assert found.rounds == 2
    assert (found.base.figure, found.other.figure) == (110.0, 99.0)
    turned = of_metric(along_driver(cells[::-1]), "throughput_rps")
    assert (turned.base.label, turned.other.label) == (LOCUST, NATIVE)
    assert turned.ratio == pytest.approx(1 / 0.9)


def test_rounds_are_pairs_by_their_block() -> None:
    base, other = measured(NATIVE, 100.0, 200.0), measured(LOCUST, 400.0)
    moved = replace(other.unjudged.per_round[0], block=1)
    other = replace(other, unjudged=replace(other.unjudged, per_round=(moved,)))
    found = of_metric(along_driver([base, other]), "throughput_rps")
    assert (found.ratio, found.rounds) == (2.0, 1)
    assert found.ratio_ci is None


@pytest.mark.parametrize(
    ("load", "metrics"),
    [
        (closed(), {"throughput_rps", "latency_ms.p50", "latency_ms.p90", "cpu_ms_per_request"}),
        (burst(), {"makespan_s", "latency_ms.p50", "cpu_ms_per_request"}),
        (open_(), {"latency_ms.p50", "latency_ms.p90", "cpu_ms_per_request"}),
        (steps(), set()),
        (ramp(), set()),
        (fan_out_steps(), set()),
        (fan_out(), {"latency_ms.p50", "latency_ms.p90", "cpu_ms_per_request"}),
    ],
)
def test_what_is_held_side_by_side(load: Load, metrics: set[str]) -> None:
    # No p99: neither cell has enough samples for one, and nobody can agree on nothing.
    found = along_driver([measured(NATIVE, 100.0, load=load), measured(LOCUST, 100.0, load=load)])
    assert {one.metric for one in found} == metrics


def test_figure_that_an_invalid_cell_may_have_had_is_told_as_inconclusive() -> None:
    cells = [measured(NATIVE, 100.0), measured(LOCUST, 100.0)]
    for invalid in (0, 1):
        doubtful = replace(cells[invalid], validity=Validity(ValidityState.ERRORS))
        found = along_driver([doubtful if n == invalid else cell for n, cell in enumerate(cells)])
        assert of_metric(found, "latency_ms.p99").reasons == (f"{doubtful.driver}: errors",)


@pytest.mark.parametrize(
    "other",
    [
        measured(LOCUST, 100.0, target="sync"),
        measured(LOCUST, 100.0, scenario="read-mostly"),
        measured(LOCUST, 100.0, load=closed(users=11)),
        measured(NATIVE, 100.0),
    ],
    ids=["target", "scenario", "load", "the same driver"],
)
def test_cells_that_were_not_asked_alike_have_no_agreement(other: CellResult) -> None:
    assert along_driver([measured(NATIVE, 100.0), other]) == ()


@pytest.mark.parametrize(
    ("load", "longer"),
    [
        (burst(planned_s=0.6), burst(planned_s=5.0)),
        (closed(), replace(closed(), drain_s=3.0)),
    ],
)
def test_what_a_round_is_expected_to_take_is_no_part_of_the_question(
    load: Load, longer: Load
) -> None:
    cells = [measured(NATIVE, 100.0, load=load), measured(LOCUST, 100.0, load=longer)]
    assert of_metric(along_driver(cells), "latency_ms.p50").ratio == 1.0


def test_every_driver_is_held_beside_the_first() -> None:
    cells = [measured(driver, 100.0) for driver in (NATIVE, LOCUST, "third")]
    cells.append(measured(LOCUST, 100.0, load=burst()))
    pairs = {(one.base.label, one.other.label) for one in along_driver(cells)}
    assert pairs == {(NATIVE, LOCUST), (NATIVE, "third")}


@pytest.mark.parametrize("state", [state for state in ValidityState if state != "valid"])
def test_cell_that_is_not_valid_has_no_figure_and_no_ratio(state: ValidityState) -> None:
    bad = replace(measured(LOCUST, 90.0), validity=Validity(state))
    found = along_driver([measured(NATIVE, 100.0), bad])
    assert found
    for one in found:
        assert one.ratio is None
        assert one.ratio_ci is None
        assert one.rounds == 0
        assert one.other.figure is None
        assert one.reasons == (f"locust: {state.value}",)
    assert of_metric(found, "throughput_rps").base.figure == 100.0


def test_figure_that_no_single_round_can_carry_is_shown_without_a_ratio() -> None:
    cells = [measured(NATIVE, 100.0), measured(LOCUST, 100.0)]
    cells = [
        replace(
            one,
            unjudged=replace(
                one.figures_despite(one.validity), latency_ms=Percentiles(p50=5.0, p99=9.0)
            ),
        )
        for one in cells
    ]
    found = of_metric(along_driver(cells), "latency_ms.p99")
    assert (found.base.figure, found.other.figure, found.ratio) == (9.0, 9.0, None)
    assert found.reasons == ("too few responses for a p99",)
