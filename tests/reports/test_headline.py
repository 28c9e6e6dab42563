from dataclasses import replace

from loopmark.harness.vocabulary.cell import Validity, ValidityState
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import headline
from tests.reports.conftest import with_scenarios


def test_the_documented_line_is_held_against_the_measured_one(results: RunResults) -> None:
    text = " ".join(headline.sentences(results))
    assert "5 s against 0.5 s for 10 concurrent requests" in text
    assert "one worker thread took 50.1 s for 100 concurrent requests; it matches the" in text
    assert "40 threads took 1.52 s for 100 concurrent requests; it does not match the" in text
    assert "Async code took 580 ms for 100 concurrent requests; it matches the documented" in text
    assert "async was 2.62 times as fast at 100 (95% interval 2.49 to 2.75" in text


def test_the_answer_counts_the_comparisons(results: RunResults, many: RunResults) -> None:
    assert headline.answer(many) == (
        "Of 18 comparisons with the default sync pool, async was faster in 16 (1.45 to 1.84 times "
        "the throughput, 2.69 to 13.3 times as fast to the last response) and showed no clear "
        "difference in 2; 2 reached the documented 10 times."
    )
    assert headline.answer(results) == (
        "Of 2 comparisons with the default sync pool, async was faster in 1 (2.62 times as fast to "
        "the last response) and was not comparable in 1."
    )


def own_plan(many: RunResults, *ratios: float | None, width: float = 0.01) -> RunResults:
    """Comparisons of create-fresh with these ratios of the throughput, and nothing else."""
    rows = [
        one
        for one in many.comparisons
        if one.scenario in {"create-fresh", "create-existing"} and one.metric == "throughput_rps"
    ]
    compared = tuple(
        replace(
            one, ratio=ratio, ratio_ci=None if ratio is None else (ratio - width, ratio + width)
        )
        for one, ratio in zip(rows, ratios, strict=False)
    )
    cells = tuple(cell for cell in many.cells if cell.scenario.startswith("create"))
    return replace(many, cells=cells, comparisons=compared)


def test_a_plan_without_the_documented_table_is_answered_by_itself(many: RunResults) -> None:
    found = own_plan(many, 1.2, 1.5, 0.8, 1.001, None)
    answer = headline.answer(found)
    assert answer == (
        "Of 5 comparisons with the default sync pool, async was faster in 2 (1.20 to 1.50 times "
        "the throughput), was slower in 1 (0.800 times the throughput), showed no clear difference "
        "in 1 and was not comparable in 1."
    )
    assert "10" not in " ".join([answer, *headline.short(found)])
    said = headline.sentences(found)
    assert len(said) == 5
    assert said[0].endswith(
        "async was faster, 1.20 times the throughput (95% interval 1.19 to 1.21, 3 rounds)."
    )
    assert "no clear difference (async 1.00 times the throughput, 95%" in said[3]


def test_a_range_is_only_over_what_is_clear(many: RunResults) -> None:
    both = own_plan(many, 1.14, 1.25, width=0.3)
    assert headline.answer(both) == (
        "Of 2 comparisons with the default sync pool, async showed no clear difference in 2."
    )
    together = " ".join([*headline.sentences(both), headline.answer(both)])
    assert "between" not in together
    assert "documentation" not in together


def test_a_single_comparison_is_told_itself(many: RunResults) -> None:
    assert headline.answer(own_plan(many, 0.8)) == (
        "Compared with the default sync pool, async was slower, 0.800 times the throughput (95% "
        "interval 0.790 to 0.810, 3 rounds)."
    )


def test_an_interval_that_reaches_the_claim_leaves_it_open(results: RunResults) -> None:
    wide = tuple(replace(one, ratio_ci=(0.01, 400.0)) for one in results.comparisons)
    assert "reached the" not in headline.answer(replace(results, comparisons=wide))
    alone = tuple(replace(one, ratio_ci=None, rounds=1) for one in results.comparisons)
    said = headline.answer(replace(results, comparisons=alone))
    assert "was measured in one round only in 1" in said
    assert "reached the" not in said


def test_a_level_that_the_documentation_lacks_is_not_said_to_agree(many: RunResults) -> None:
    text = " ".join(headline.sentences(many))
    assert "970 ms for 1,000; it matches the documented async line at 10 and 100" in text


def test_an_interval_across_one_is_no_difference(many: RunResults) -> None:
    text = " ".join(headline.sentences(many))
    assert "not significantly faster or slower at 10" in text


def test_an_invalid_cell_is_named_and_its_figure_is_not(
    results: RunResults,
) -> None:
    doubted = Validity(ValidityState.DRIVER_LIMITED)
    cells = tuple(
        replace(cell, validity=doubted) if cell.target == "async" else cell
        for cell in results.cells
    )
    text = " ".join(headline.sentences(replace(results, cells=cells)))
    assert "o valid result of async code; at 100 invalid: driver-limited" in text
    assert "580 ms" not in text


def test_nothing_is_said_about_a_table_that_was_not_measured(results: RunResults) -> None:
    cells = tuple(cell for cell in results.cells if isinstance(cell.load, Closed))
    bare = replace(results, cells=cells, comparisons=())
    text = " ".join(headline.sentences(bare))
    assert text == ""
    assert headline.answer(bare) == "Async and sync were not measured under the same load."
    assert not headline.timing_cells(bare)


def test_no_cells_at_all(results: RunResults) -> None:
    empty = replace(results, cells=(), comparisons=())
    assert headline.answer(empty)
    assert headline.short(empty)
    assert headline.sentences(empty) == ()


def test_a_target_that_was_not_measured_is_said_to_be_missing(results: RunResults) -> None:
    cells = tuple(cell for cell in results.cells if cell.target != "sync-one-thread")
    text = " ".join(headline.sentences(replace(results, cells=cells)))
    assert "Sync code with one worker thread was not measured in this run." in text


def test_a_single_round_is_said_to_be_one(results: RunResults) -> None:
    alone = tuple(replace(one, ratio_ci=None, rounds=1) for one in results.comparisons)
    text = " ".join(headline.sentences(replace(results, comparisons=alone)))
    assert "one round, no interval: it may be chance" in text


def test_ratios_are_turned_round_when_the_plan_names_async_first(results: RunResults) -> None:
    turned = tuple(
        replace(
            one,
            base=one.other,
            other=one.base,
            ratio=None if one.ratio is None else 1 / one.ratio,
            ratio_ci=None if one.ratio_ci is None else (1 / one.ratio_ci[1], 1 / one.ratio_ci[0]),
        )
        for one in results.comparisons
    )
    assert headline.sentences(replace(results, comparisons=turned)) == headline.sentences(results)


def test_the_short_form_has_the_documented_and_the_measured(results: RunResults) -> None:
    documented, measured, claim = headline.short(results)
    assert documented.startswith("Documented: 10 concurrent requests take 5 s sync, 0.5 s async")
    assert "100 take 50.1 s sync-one-thread, 1.52 s sync, 580 ms async" in measured
    assert claim == (
        "Of 2 comparisons with the default sync pool, async was faster in 1 and was not comparable "
        "in 1."
    )


def test_only_bursts_repeat_the_timing_table(results: RunResults) -> None:
    assert all(isinstance(cell.load, Burst) for cell in headline.timing_cells(results))


def test_fan_outs_and_series_are_no_evidence_for_what_is_claimed(
    fan_outs: RunResults, swept: RunResults
) -> None:
    assert headline.answer(fan_outs).startswith(
        "Async and sync published the same events to the same"
    )
    assert headline.answer(swept).startswith(
        "Async and sync were compared within parameter series only"
    )
    for results in (fan_outs, swept):
        assert headline.ratio_rows(results) == ()
        assert "10 times the answers" not in " ".join(headline.sentences(results))


def test_beside_fan_outs_and_series_the_claim_is_judged_as_ever(
    many: RunResults, fan_outs: RunResults, swept: RunResults
) -> None:
    scenarios = (*many.run.scenarios, *fan_outs.run.scenarios, *swept.run.scenarios)
    together = replace(
        with_scenarios(many, *scenarios),
        cells=(*many.cells, *fan_outs.cells, *swept.cells),
        comparisons=(*many.comparisons, *fan_outs.comparisons, *swept.comparisons),
    )
    assert headline.answer(together) == headline.answer(many)
