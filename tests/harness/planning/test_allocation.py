"""Which rounds follow: of the questions that are known least, as far as the time goes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.planning.allocation import Known, further_blocks
from loopmark.harness.vocabulary.question import Question

ROUND_S: Mapping[str, float] = dict.fromkeys("abcdefgh", 1.0)


def known(
    base: str, other: str, half_width: float | None, pairs: int = 3, delay: float = 0.0
) -> Known:
    return Known(Question("throughput_rps", base, other, "target"), pairs, half_width, delay)


def test_what_is_known_well_enough_gets_no_more() -> None:
    assert further_blocks([known("a", "b", 0.1)], ROUND_S, 100) == ()


def test_a_ratio_that_is_known_half_as_well_needs_four_times_the_pairs() -> None:
    goal = Question("throughput_rps", "a", "b", "target").half_width
    blocks = further_blocks([known("a", "b", 2 * goal)], ROUND_S, 1000)
    assert blocks == (("a", "b"),) * 9


def test_the_widest_comes_first_where_the_time_is_short() -> None:
    two = [known("a", "b", 0.3), known("c", "d", 0.6)]
    assert further_blocks(two, ROUND_S, 2) == (("c", "d"),)


def test_what_no_longer_fits_leaves_its_time_to_others() -> None:
    dear = {**ROUND_S, "c": 50.0}
    two = [known("a", "b", 0.3), known("c", "d", 0.6)]
    assert ("a", "b") in further_blocks(two, dear, 20)


def test_questions_about_the_same_cells_share_their_rounds() -> None:
    three = [known("a", "b", 0.28), known("a", "c", 0.28), known("a", "b", 0.28)]
    blocks = further_blocks(three, ROUND_S, 1000)
    assert all(sorted(block) == ["a", "b", "c"] for block in blocks)


def test_lost_first_pairs_are_made_up_for_before_all_else() -> None:
    two = [known("a", "b", 5.0), known("c", "d", None, pairs=1)]
    first, *_ = further_blocks(two, ROUND_S, 4)
    assert {"c", "d"} <= set(first)


def test_pairs_that_say_nothing_get_no_more() -> None:
    assert further_blocks([known("a", "b", None)], ROUND_S, 100) == ()


def test_what_delay_alone_keeps_from_being_known_gets_no_more() -> None:
    goal = Question("throughput_rps", "a", "b", "target").half_width
    assert further_blocks([known("a", "b", 0.5, delay=goal)], ROUND_S, 100) == ()
    assert (
        further_blocks([known("a", "b", goal, delay=goal / 2)], ROUND_S, 100) == (("a", "b"),) * 9
    )


def test_a_single_pair_stays_the_only_one() -> None:
    single = Known(Question("makespan_s", "a", "b", "target", pairs=1), 1, 3.0)
    assert further_blocks([single], ROUND_S, 100) == ()


QUESTIONS = st.lists(
    st.builds(
        lambda cells, half_width, pairs: known(cells[0], cells[1], half_width, pairs),
        st.permutations("abcdefgh"),
        st.one_of(st.none(), st.floats(1e-3, 0.5)),
        st.integers(0, 6),
    ),
    max_size=8,
)


@given(QUESTIONS, st.floats(0, 60), st.floats(0, 3))
def test_no_more_time_is_spent_than_there_is(
    questions: list[Known], left_s: float, block_s: float
) -> None:
    blocks = further_blocks(questions, ROUND_S, left_s, block_s)
    assert sum(len(block) + block_s for block in blocks) <= left_s + 1e-6
    assert all(len(set(block)) == len(block) for block in blocks)


@given(QUESTIONS)
def test_with_time_enough_everything_is_known_as_well_as_aimed_at(questions: list[Known]) -> None:
    blocks = further_blocks(questions, ROUND_S, math.inf)
    for one in questions:
        pairs = sum({one.question.base, one.question.other} <= set(block) for block in blocks)
        assert one.lack(pairs) <= 1
