"""Scores of trials that were made up, and the page of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.probe.corpus_entries import ENTRIES, GUILTY, STARVED
from tests.bench.probe.cost import Cost
from tests.bench.probe.guilty import GuiltyLine
from tests.bench.probe.kinds import BLOCKING_CALL, COMPUTING, COMPUTING_GIL, HOST_STARVED
from tests.bench.probe.outcome import Outcome, Plan, joined
from tests.bench.probe.page import section, with_section
from tests.bench.probe.scoring import LATE_NS, Score, score, total
from tests.bench.probe.trial import Accusation, Block, Trial

MS = 1_000_000
BLOCKS = tuple(Block(n * 500 * MS, (n * 500 + 150) * MS) for n in range(1, 5))
LINES = (
    GuiltyLine("sleep", "application.py", 7, BLOCKING_CALL),
    GuiltyLine("loop", "application.py", 20, COMPUTING),
    GuiltyLine("loop", "application.py", 21, COMPUTING),
)
RIGHT = "/app/corpus/application.py"


def accusation(
    began_ms: float, ended_ms: float, line: int = 7, *kinds: str, file: str = RIGHT
) -> Accusation:
    return Accusation(round(began_ms * MS), round(ended_ms * MS), kinds, file, line, "f")


def trial(*accusations: Accusation, entry: str = "sleep") -> Trial:
    return Trial("tool", "asyncio", entry, 0, BLOCKS, accusations)


def during(block: Block, *kinds: str, line: int = 7) -> Accusation:
    return Accusation(block.began_ns, block.ended_ns, kinds, RIGHT, line, "f")


def test_all_right() -> None:
    right = [during(block, BLOCKING_CALL) for block in BLOCKS]
    assert score(trial(*right), LINES) == Score(
        blocks=4, seen=4, right_line=4, right_kind=4, strays=0
    )


def test_nothing_said() -> None:
    assert score(trial(), LINES) == Score(blocks=4, seen=0, right_line=0, right_kind=None)


def test_wrong_line_wrong_file_and_wrong_kind_count_as_seen() -> None:
    said = [
        during(BLOCKS[0], BLOCKING_CALL, line=8),
        replace(during(BLOCKS[1], BLOCKING_CALL), file="/lib/other.py"),
        during(BLOCKS[2], COMPUTING),
    ]
    assert score(trial(*said), LINES) == Score(blocks=4, seen=3, right_line=1, right_kind=2)


def test_any_marked_line_is_right_and_any_kind_that_the_word_covers() -> None:
    said = [
        during(BLOCKS[0], COMPUTING, COMPUTING_GIL, line=20),
        during(BLOCKS[1], COMPUTING, COMPUTING_GIL, line=21),
    ]
    counted = score(trial(*said, entry="loop"), LINES)
    assert (counted.right_line, counted.right_kind) == (2, 2)


def test_the_line_that_was_accused_longest_counts() -> None:
    said = [accusation(500, 520, 9), accusation(520, 600), accusation(600, 650, 9)]
    assert score(trial(*said), LINES).right_line == 1
    said = [accusation(500, 550, 9), accusation(520, 530), accusation(600, 650, 9)]
    assert score(trial(*said), LINES).right_line == 0


def test_of_accusations_without_durations_the_most_frequent_counts() -> None:
    said = [accusation(510, 510, 9), accusation(520, 520), accusation(530, 530)]
    assert score(trial(*said), LINES).right_line == 1


@pytest.mark.parametrize(
    ("began_ms", "ended_ms", "seen"),
    [
        (400, 499, 0),
        (400, 500, 1),
        (600, 600, 1),
        (650 + LATE_NS / MS, 700 + LATE_NS / MS, 1),
        (651 + LATE_NS / MS, 700 + LATE_NS / MS, 0),
    ],
)
def test_accusations_overlap_or_come_soon_after(
    began_ms: float, ended_ms: float, seen: int
) -> None:
    counted = score(trial(accusation(began_ms, ended_ms)), LINES)
    assert (counted.seen, counted.strays) == (seen, 1 - seen)


def test_who_accuses_the_innocent_is_wrong_and_a_starved_host_accuses_nobody() -> None:
    said = [accusation(500, 600), accusation(1000, 1100, 0, HOST_STARVED, file="")]
    assert score(trial(*said, entry=STARVED), LINES) == Score(innocent=4, false=1)


def test_a_block_is_not_excused_by_a_starved_host() -> None:
    said = [during(block, HOST_STARVED) for block in BLOCKS]
    assert score(trial(*said), LINES) == Score(blocks=4)


accusations = st.lists(
    st.builds(
        accusation,
        st.integers(400, 2400),
        st.integers(2400, 2500),
        st.sampled_from([7, 8]),
        st.sampled_from([BLOCKING_CALL, COMPUTING, HOST_STARVED]),
    ),
    max_size=6,
)


@given(accusations)
def test_counts_are_of_each_other(said: list[Accusation]) -> None:
    counted = score(trial(*said), LINES)
    assert counted.blocks == 4
    assert max(counted.right_line, counted.right_kind or 0) <= counted.seen <= counted.blocks
    assert counted.strays <= len(said)
    doubled = total([counted, counted])
    assert (doubled.blocks, doubled.seen) == (8, 2 * counted.seen)


def test_total_of_a_tool_without_kinds_has_none() -> None:
    assert total([Score(blocks=4, seen=2), Score(innocent=4, false=1)]) == Score(
        blocks=4, seen=2, innocent=4, false=1
    )
    assert total([Score(blocks=4), Score(blocks=4, seen=1, right_kind=1)]).right_kind == 1


# ---- the page ----


def outcome(*trials: Trial, missing: dict[str, str] | None = None) -> Outcome:
    costs = [Cost("tool", "asyncio", [110.0, 121.0, 110.0], [100.0, 110.0, 100.0])]
    return Outcome("2026-01-01", "a machine", Plan(), {}, trials, costs, missing or {})


def test_page_shows_each_tool_and_each_entry() -> None:
    line = next(line for line in GUILTY if line.entry == "sleep")
    said = [
        Accusation(block.began_ns, block.ended_ns, (line.kind,), line.file, line.line, "sleep")
        for block in BLOCKS[:3]
    ]
    text = section(
        outcome(trial(*said), trial(accusation(500, 600), entry="clean"), missing={"b": "no wheel"})
    )
    row = "| tool, asyncio | 3 of 4 (75%) | 3 of 4 (75%) | 3 of 4 (75%) | 0 | 1 in 4 | +10.0% ("
    assert row in text
    assert "| sleep | blocking-call | 3 / 3 / 3 |" in text
    assert "| clean | nobody is guilty | 1 accused |" in text
    assert "| gc | gc | - |" in text
    assert "- b was not measured: no wheel." in text
    assert all(f"| {entry} |" in text for entry in ENTRIES)


def test_page_says_how_starved_the_host_was() -> None:
    text = section(outcome(trial(entry=STARVED)))
    assert "took 150 ms, up to 150 ms" in " ".join(text.split())


def test_runs_of_different_tools_are_joined() -> None:
    first = outcome(trial(entry="clean"), missing={"b": "no wheel"})
    second = outcome(replace(trial(entry="clean"), tool="other"))
    both = joined([first, second])
    assert [one.tool for one in both.trials] == ["tool", "other"]
    assert len(both.costs) == 2
    assert both.missing == first.missing


SECTION = "## Scores\n\nnew\n"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("# A\n\ntext\n", "# A\n\ntext\n\n## Scores\n\nnew\n"),
        ("# A\n\n## Scores\n\nold\n\n### By entry\n", "# A\n\n## Scores\n\nnew\n"),
        (
            "# A\n\n## Scores\n\nold\n\n## B\n\ntext\n",
            "# A\n\n## Scores\n\nnew\n\n## B\n\ntext\n",
        ),
    ],
)
def test_a_section_takes_the_place_of_the_old_one(document: str, expected: str) -> None:
    assert with_section(document, SECTION) == expected
    assert with_section(expected, SECTION) == expected
