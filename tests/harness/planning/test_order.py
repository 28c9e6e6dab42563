"""The order of the rounds: random, but what is compared is measured close together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.planning.order import compared, interleave
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.question import Question
from tests.harness.builders import cell


def ordered(
    cells: Sequence[Cell], seed: int, questions: Sequence[Question] = ()
) -> tuple[tuple[tuple[Cell, int], ...], ...]:
    return interleave(cells, questions, Random(seed))


plans = st.lists(st.integers(1, 8), min_size=1, max_size=8).map(
    lambda rounds: tuple(
        cell(f"t{n}", scenario=f"s{n % 3}", rounds=count) for n, count in enumerate(rounds)
    )
)


@given(plans, st.integers())
def test_interleaving_measures_every_round_of_every_cell_once(
    cells: tuple[Cell, ...], seed: int
) -> None:
    blocks = ordered(cells, seed)
    measured = Counter(pair for block in blocks for pair in block)
    assert measured == Counter((one, n) for one in cells for n in range(one.rounds))


@given(plans, st.integers())
def test_a_block_holds_a_cell_at_most_once_and_rounds_keep_their_order(
    cells: tuple[Cell, ...], seed: int
) -> None:
    blocks = ordered(cells, seed)
    assert len(blocks) == max(one.rounds for one in cells)
    for block in blocks:
        assert len({one for one, _ in block}) == len(block) > 0
    for one in cells:
        numbers = [number for block in blocks for other, number in block if other == one]
        assert numbers == list(range(one.rounds))


@given(plans, st.integers())
def test_the_same_seed_gives_the_same_order(cells: tuple[Cell, ...], seed: int) -> None:
    assert ordered(cells, seed) == ordered(cells, seed)


def test_another_seed_gives_another_order() -> None:
    cells = tuple(cell(f"t{n}", rounds=3) for n in range(6))
    orders = {ordered(cells, seed) for seed in range(20)}
    assert len(orders) == 20


def test_every_cell_takes_every_place_in_a_block() -> None:
    cells = tuple(cell(f"t{n}", rounds=100) for n in range(3))
    firsts = Counter(block[0][0].target for block in ordered(cells, 1))
    assert min(firsts[one.target] for one in cells) > 20


def test_a_cell_with_fewer_rounds_falls_into_any_block() -> None:
    cells = (cell("many", rounds=4), cell("once", rounds=1))
    places = {
        next(n for n, block in enumerate(ordered(cells, seed)) if len(block) == 2)
        for seed in range(60)
    }
    assert places == {0, 1, 2, 3}


def test_nothing_to_measure_makes_no_blocks() -> None:
    assert ordered((), 1) == ()


def test_cells_under_comparison_share_their_blocks() -> None:
    few = Cell("wait", "sync", Burst(10, planned_s=5.0), "native", 2)
    many = Cell("wait", "async", Burst(10, planned_s=0.6), "native", 5)
    for seed in range(20):
        blocks = ordered((few, many), seed)
        of_few = {
            number for number, block in enumerate(blocks) if (few, 0) in block or (few, 1) in block
        }
        of_many = {
            number for number, block in enumerate(blocks) for cell, _ in block if cell is many
        }
        assert len(of_few) == 2
        assert of_few <= of_many


def test_cells_of_both_drivers_share_their_blocks() -> None:
    cells = tuple(
        Cell("wait", target, Burst(10), driver, rounds)
        for target in ("sync", "async")
        for driver, rounds in (("native", 5), ("locust", 2))
    )
    for seed in range(20):
        places = [
            {number for number, block in enumerate(ordered(cells, seed)) if one in dict(block)}
            for one in cells
        ]
        assert places[1] == places[3]
        assert places[1] < places[0] == places[2]


def test_what_is_compared_follows_each_other_within_a_block() -> None:
    cells = [
        cell(target, scenario=f"s{n}", rounds=3) for n in range(4) for target in ("sync", "async")
    ]
    for seed in range(20):
        for block in ordered(cells, seed):
            names = [one.scenario for one, _ in block]
            assert names[::2] == names[1::2]


def test_places_of_a_series_that_are_compared_follow_each_other() -> None:
    cells = [cell("async", scenario=f"files-{n}", rounds=3) for n in range(4)]
    others = [cell("async", scenario=f"other-{n}", rounds=3) for n in range(4)]
    questions = [
        Question("throughput_rps", one.name, other.name, "place") for one, other in pairwise(cells)
    ]
    for seed in range(20):
        for block in ordered([*cells, *others], seed, questions):
            places = [n for n, (one, _) in enumerate(block) if one in cells]
            assert places[-1] - places[0] == 3


def test_a_question_about_others_changes_nothing() -> None:
    cells = [cell("sync"), cell("async")]
    elsewhere = Question("throughput_rps", "a", "b", "target")
    assert compared(cells, [elsewhere]) == compared(cells, []) == (cells,)
