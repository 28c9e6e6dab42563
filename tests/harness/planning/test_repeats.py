"""Which rounds are measured again."""

from __future__ import annotations

import math
from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.planning.repeats import pairs_of, repeated
from loopmark.harness.vocabulary.question import Question
from tests.harness.builders import burst, cell

SYNC, ASYNC, OTHER = "sync", "async", "other"
PAIR = frozenset({frozenset({SYNC, ASYNC})})


def again(
    *blocks: Mapping[str, bool],
    pairs: frozenset[frozenset[str]] = PAIR,
    reserve_s: float = math.inf,
    seconds: Mapping[str, float] | None = None,
) -> list[set[str]]:
    costs = seconds or {}
    found = repeated(blocks, pairs, lambda name: costs.get(name, 1.0), reserve_s)
    assert all(len(set(block)) == len(block) for block in found)
    return [set(block) for block in found]


def test_disturbed_pair_is_repeated_whole_whichever_side_it_was() -> None:
    assert again({SYNC: True, ASYNC: False, OTHER: False}) == [{SYNC, ASYNC}]
    assert again({SYNC: False, ASYNC: True, OTHER: False}) == [{SYNC, ASYNC}]
    assert again({SYNC: True, ASYNC: True}) == [{SYNC, ASYNC}]


def test_nothing_is_repeated_where_nothing_was_disturbed() -> None:
    assert again({SYNC: False, ASYNC: False}, {OTHER: False}) == []


def test_cell_without_a_partner_is_repeated_alone() -> None:
    assert again({OTHER: True, SYNC: False}) == [{OTHER}]
    assert again({SYNC: True}) == [{SYNC}]  # Its partner is in other blocks.


def test_each_disturbed_block_is_repeated_in_one_of_its_own() -> None:
    disturbed = {SYNC: True, ASYNC: False}
    assert again(disturbed, disturbed) == [{SYNC, ASYNC}, {SYNC, ASYNC}]


def test_what_does_not_overlap_shares_a_block() -> None:
    assert again({SYNC: True, ASYNC: False}, {OTHER: True}) == [{OTHER, SYNC, ASYNC}]


def test_pairs_with_a_common_cell_are_repeated_together() -> None:
    chain = frozenset(frozenset(two) for two in ("ab", "bc", "cd", "de"))
    assert again(dict.fromkeys("abcde", False) | {"b": True}, pairs=chain) == [{*"abc"}]
    ends = dict.fromkeys("abcde", False) | {"a": True, "c": True}
    assert again(ends, pairs=chain) == [{*"abcd"}]


def test_reserve_goes_to_as_many_pairs_as_it_can() -> None:
    block = {SYNC: True, ASYNC: False, OTHER: True}
    costs = {SYNC: 50.0, OTHER: 2.0}
    assert again(block, seconds=costs, reserve_s=60) == [{SYNC, ASYNC, OTHER}]
    assert again(block, seconds=costs, reserve_s=52) == [{OTHER}]
    assert again(block, seconds=costs, reserve_s=1) == []


names = st.sampled_from("abcdefg")
edges = st.frozensets(st.frozensets(names, min_size=2, max_size=2))


@given(st.lists(st.dictionaries(names, st.booleans()), max_size=4), edges, st.floats(0, 30))
def test_reserve_is_kept_and_no_pair_is_torn(
    blocks: list[dict[str, bool]], pairs: frozenset[frozenset[str]], reserve_s: float
) -> None:
    found = again(*blocks, pairs=pairs, reserve_s=reserve_s)
    assert sum(map(len, found)) <= reserve_s
    for disturbed in again(*blocks, pairs=pairs):
        assert any(was for block in blocks for name, was in block.items() if name in disturbed)
    whole = again(*blocks, pairs=pairs)
    for block in blocks:
        for name in (name for name, was in block.items() if was):
            partners = {one for pair in pairs if name in pair for one in pair} & block.keys()
            assert any({name} | partners <= one for one in whole)


def test_compared_are_those_under_the_same_load_and_those_of_a_question() -> None:
    cells = (
        cell(SYNC),
        cell(ASYNC),
        cell(ASYNC, burst()),
        cell(ASYNC, scenario="upload"),
    )
    one, other, bursting, upload = (cell.name for cell in cells)
    question = Question("throughput_rps", bursting, upload, "target")
    assert pairs_of(cells, ()) == {frozenset({one, other})}
    assert pairs_of(cells, [question]) == {frozenset({one, other}), frozenset({bursting, upload})}
