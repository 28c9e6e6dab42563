"""Disturbances: against what a fan-out with clients that do not read is held, and when not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loopmark.harness.analysis.comparison import compare
from loopmark.harness.vocabulary.cell import Validity, ValidityState
from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.loads.fan_out import FanOut
from loopmark.harness.vocabulary.result import CellResult
from tests.harness.builders import cell, cell_result, closed, fan_out, round_result

DOUBTFUL = Validity(ValidityState.ERRORS)


def measured(load: FanOut, *p50: float, target: str = "async") -> CellResult:
    rounds = [round_result(n, p50=one) for n, one in enumerate(p50)]
    return cell_result(cell(target, load), rounds)


def along_disturbance(cells: Sequence[CellResult]) -> tuple[Comparison, ...]:
    return tuple(one for one in compare(cells) if one.axis == "disturbance")


CALM = measured(fan_out(), 10.0, 11.0, 9.0)


@pytest.mark.parametrize(
    "load", [fan_out(stalled=1), fan_out(slow=3), fan_out(http_users=5), fan_out(slow=1, stalled=1)]
)
def test_disturbed_is_held_against_the_same_load_where_all_read(load: FanOut) -> None:
    found = along_disturbance([measured(load, 20.0, 22.0, 18.0), CALM])
    assert [one.metric for one in found] == list(load.traits.compared)
    assert {one.base.label for one in found} == {CALM.load.label}
    p50 = next(one for one in found if one.metric == "latency_ms.p50")
    assert (p50.target, p50.load, p50.rounds) == ("async", load, 3)
    assert p50.ratio == pytest.approx(2.0)
    assert p50.ratio_ci == pytest.approx((2.0, 2.0), rel=1e-3)


@pytest.mark.parametrize(
    "other",
    [
        measured(fan_out(clients=11, stalled=1), 20.0),
        measured(fan_out(rate=5.0, stalled=1), 20.0),
        measured(fan_out(stalled=1), 20.0, target="sync"),
        cell_result(cell(load=closed()), [round_result()]),
        measured(fan_out(), 20.0),
    ],
    ids=["clients", "rate", "target", "model", "calm"],
)
def test_what_was_asked_otherwise_is_not_held_side_by_side(other: CellResult) -> None:
    assert along_disturbance([CALM, other]) == ()


def test_what_is_invalid_has_no_ratio() -> None:
    other = replace(measured(fan_out(stalled=1), 20.0), validity=DOUBTFUL)
    for one in along_disturbance([CALM, other]):
        assert one.ratio is None
        assert one.reasons == ("fan-out-10-at-20-stalled-1: errors",)
