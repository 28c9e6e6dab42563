"""Series: which number was best, from where more did not help, and inconclusive ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis.series import series_of
from loopmark.harness.vocabulary.cell import Validity, ValidityState
from loopmark.harness.vocabulary.comparison import SeriesResult
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.scenario import ScenarioFacts, Sweep
from tests.harness.builders import (
    burst,
    cell,
    cell_result,
    closed,
    figures,
    open_,
    round_result,
    steps,
)

DOUBTFUL = Validity(ValidityState.ERRORS)
SCATTER = (0.98, 1.0, 1.02)
MARGIN = 0.15


def facts(*numbers: float) -> list[ScenarioFacts]:
    return [
        ScenarioFacts(f"files-{at:g}", f"{at:g} at once", "", Sweep("files", "Files", "limit", at))
        for at in numbers
    ]


def results_of(
    cells: Sequence[CellResult], scenarios: Sequence[ScenarioFacts]
) -> tuple[SeriesResult, ...]:
    return tuple(one.result for one in series_of(cells, scenarios, MARGIN))


def of_throughput(at: float, *rps: float, target: str = "async") -> CellResult:
    rounds = [round_result(n, throughput_rps=one) for n, one in enumerate(rps)]
    found = cell_result(cell(target, closed(), scenario=f"files-{at:g}"), rounds)
    return replace(found, unjudged=figures(rounds, throughput_rps=sorted(rps)[len(rps) // 2]))


def measured(by_number: Mapping[float, float], scatter: Sequence[float] = SCATTER) -> SeriesResult:
    """A series of closed loads with these answers per second, and this scatter over the rounds."""
    cells = [of_throughput(at, *(rps * s for s in scatter)) for at, rps in by_number.items()]
    (found,) = results_of(cells, facts(*by_number))
    return found


def test_best_and_from_where_more_did_not_help() -> None:
    cells = [
        of_throughput(1, 98, 100, 102),
        of_throughput(4, 300, 310, 290),
        of_throughput(16, 395, 400, 405),
        of_throughput(64, 402, 398, 404),
        of_throughput(256, 300, 302, 298),
    ]
    (found,) = results_of(cells, facts(1, 4, 16, 64, 256))
    assert (found.series, found.target, found.metric) == ("files", "async", "throughput_rps")
    assert (found.best_at, found.enough_at, found.worse_from) == (64, 16, 256)
    assert (found.rounds, found.left_out) == (3, ())


def test_each_number_is_compared_with_the_best_one() -> None:
    cells = [of_throughput(1, 98, 100, 102), of_throughput(4, 300, 310, 290)]
    (series,) = series_of(cells, facts(1, 4), MARGIN)
    (found,) = series.comparisons.values()
    assert (found.axis, found.base.label, found.other.label) == ("place", "files-4", "files-1")
    assert (found.base.figure, found.other.figure, found.rounds) == (300, 100, 3)
    assert found.ratio == pytest.approx(1 / 3, rel=0.05)


def test_where_rates_rise_there_is_no_series() -> None:
    cells = [
        cell_result(cell(load=steps(), scenario=f"files-{at}"), [round_result()]) for at in (1, 4)
    ]
    assert series_of(cells, facts(1, 4), MARGIN) == ()


def test_a_rise_without_an_end_needs_all_of_it() -> None:
    found = measured({1: 100, 4: 200, 16: 300})
    assert (found.best_at, found.enough_at, found.worse_from) == (16, 16, None)


def test_what_these_rounds_cannot_tell_apart() -> None:
    cells = [of_throughput(at, 80, 100, 130 + at) for at in (1, 4)]
    cells[1] = of_throughput(4, 130, 101, 82)
    (found,) = results_of(cells, facts(1, 4))
    assert (found.best_at, found.enough_at, found.worse_from) == (4, None, None)


def test_a_single_round_shows_neither_what_is_worse_nor_what_is_enough() -> None:
    found = measured({1: 100, 4: 200}, scatter=(1.0,))
    assert (found.best_at, found.enough_at, found.rounds) == (4, None, 1)


def test_enough_is_what_falls_short_by_no_more_than_the_margin() -> None:
    """And all that lies between it and the best."""
    cells = [of_throughput(at, *(rps * s for s in SCATTER)) for at, rps in ((1, 91), (4, 100))]
    found = {
        margin: series_of(cells, facts(1, 4), margin)[0].result for margin in (0.15, 0.12, 0.05)
    }
    assert {margin: one.enough_at for margin, one in found.items()} == {0.15: 1, 0.12: 1, 0.05: 4}
    assert {margin: one.margin for margin, one in found.items()} == {one: one for one in found}
    assert measured({1: 100, 2: 60, 4: 101}).enough_at == 4
    assert measured({1: 86.5, 4: 100}).enough_at == 4, "the best is 15.6% above it"
    assert measured({1: 87.5, 4: 100}).enough_at == 1


def test_delay_of_the_driver_widens_to_the_side_on_which_it_acts() -> None:
    """The slower number can have been faster than it seems, and not slower."""
    cells = []
    for at, times, truly in ((1, 2.0, 1.8), (4, 1.0, 1.0)):
        rounds = [round_result(n, makespan_s=times * s) for n, s in enumerate(SCATTER)]
        undelayed = [
            replace(one, undelayed=replace(one, makespan_s=truly * s))
            for one, s in zip(rounds, SCATTER, strict=True)
        ]
        one = cell_result(cell(load=burst(), scenario=f"files-{at}"), undelayed)
        cells.append(replace(one, unjudged=replace(one.unjudged, makespan_s=times)))
    (series,) = series_of(cells, facts(1, 4), MARGIN)
    bounds = series.comparisons[1].ratio_ci
    assert bounds is not None
    assert bounds[0] == pytest.approx(1.8, rel=0.01)
    assert bounds[1] == pytest.approx(2.0, rel=0.01)


def test_interval_of_a_number_is_that_of_its_distance_from_the_best() -> None:
    cells = [of_throughput(at, *(rps * s for s in SCATTER)) for at, rps in ((1, 50), (4, 100))]
    cells.append(of_throughput(16, 80, 99, 121))
    (series,) = series_of(cells, facts(1, 4, 16), MARGIN)
    worse, alike = (series.comparisons[at] for at in (1, 16))
    assert worse.ratio_ci is not None
    assert alike.ratio_ci is not None
    assert worse.ratio_ci[0] < 0.5 < worse.ratio_ci[1] < 1
    assert worse.is_clear
    assert alike.ratio_ci[0] < 1 < alike.ratio_ci[1]
    assert series.result.worse_from is None, "16 only scatters more"


def test_numbers_that_were_never_measured_in_one_block_are_not_compared() -> None:
    first, second = of_throughput(1, 100, 101), of_throughput(4, 200, 201)
    later = tuple(replace(one, block=one.block + 2) for one in second.unjudged.per_round)
    second = replace(second, unjudged=replace(second.unjudged, per_round=later))
    (found,) = results_of([first, second], facts(1, 4))
    assert (found.best_at, found.enough_at) == (None, None)


def test_cell_that_is_not_valid_is_left_out_and_named() -> None:
    cells = [of_throughput(at, 100 * at, 101 * at, 99 * at) for at in (1, 4, 16)]
    cells[2] = replace(cells[2], validity=DOUBTFUL)
    (found,) = results_of(cells, facts(1, 4, 16))
    assert (found.best_at, found.left_out) == (4, (16,))
    cells[1] = replace(cells[1], validity=DOUBTFUL)
    (found,) = results_of(cells, facts(1, 4, 16))
    assert (found.best_at, found.enough_at, found.worse_from) == (None, None, None)
    assert found.left_out == (4, 16)


@pytest.mark.parametrize(
    ("load", "metric", "figure"),
    [(burst(), "makespan_s", 0.5), (open_(), "latency_ms.p50", 5.0)],
)
def test_less_is_better_of_a_time(load: Load, metric: str, figure: float) -> None:
    cells = []
    for at, times in ((1, 4.0), (4, 1.0), (16, 2.0)):
        rounds = [
            round_result(n, makespan_s=figure * times * s, p50=figure * times * s)
            for n, s in enumerate(SCATTER)
        ]
        one = cell_result(cell(load=load, scenario=f"files-{at:g}"), rounds)
        whole = replace(
            one.unjudged,
            makespan_s=figure * times,
            latency_ms=replace(one.unjudged.latency_ms, p50=figure * times),
        )
        cells.append(replace(one, unjudged=whole))
    (found,) = results_of(cells, facts(1, 4, 16))
    assert found.metric == metric
    assert (found.best_at, found.enough_at, found.worse_from) == (4, 4, 16)


def test_targets_are_judged_each_for_itself_and_others_passed_over() -> None:
    cells = [of_throughput(at, 100 * at, 99 * at, 101 * at) for at in (1, 4)]
    cells += [of_throughput(at, 100, 99, 101, target="sync") for at in (1, 4)]
    cells.append(cell_result(cell(scenario="crud"), [round_result()]))
    found = results_of(cells, [*facts(1, 4), ScenarioFacts("crud", "Crud", "")])
    assert [(one.target, one.enough_at) for one in found] == [("async", 4), ("sync", 1)]
    assert results_of(cells[:1], facts(1)) == ()


@given(
    st.dictionaries(st.integers(1, 300), st.floats(1, 1e4), min_size=2, max_size=8),
    st.lists(st.floats(0.5, 2), min_size=1, max_size=5),
)
def test_enough_is_never_beyond_the_best_and_worse_never_before_it(
    by_number: dict[int, float], scatter: list[float]
) -> None:
    found = measured({float(at): rps for at, rps in by_number.items()}, scatter)
    assert found.best_at is not None
    assert found.enough_at is None or found.enough_at <= found.best_at
    assert found.worse_from is None or found.worse_from > found.best_at
