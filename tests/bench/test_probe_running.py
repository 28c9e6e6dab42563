"""A real target under a tool, asked once: what it said comes back as an accusation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from loopmark.harness.launch.process_reaper import reaped
from tests.bench.probe.asking import trial
from tests.bench.probe.corpus.blockers import AMOUNTS_VARIABLE
from tests.bench.probe.corpus_entries import ENTRIES, GUILTY, STARVED
from tests.bench.probe.cost import cost
from tests.bench.probe.running import Setting, TargetFailedError, started
from tests.bench.probe.scoring import score
from tests.bench.probe.tools.catalog import OURS, TOOLS, WITHOUT
from tests.patience import tried_again

TOOL = {tool.name: tool for tool in TOOLS}
SETTING = Setting("asyncio", (), {AMOUNTS_VARIABLE: json.dumps({"unused": 1})})


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    with reaped():
        yield


@tried_again
def test_debug_mode_sees_a_block_and_names_another_line() -> None:
    seen = trial(TOOL["asyncio debug mode"], "sleep", SETTING, 2)
    counted = score(seen, GUILTY)
    assert (counted.blocks, counted.seen, counted.right_line) == (2, 2, 0)
    assert all(block.ended_ns - block.began_ns >= 150e6 for block in seen.blocks)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@tried_again
def test_our_probe_names_the_line_and_the_kind(loop: str) -> None:
    setting = Setting(loop, (), SETTING.environment)
    counted = score(trial(TOOL[OURS], "sleep", setting, 2), GUILTY)
    assert (counted.blocks, counted.right_line, counted.right_kind) == (2, 2, 2)


def test_without_a_tool_nothing_is_accused() -> None:
    assert score(trial(WITHOUT, "clean", SETTING, 1), GUILTY).false == 0
    assert {"clean", STARVED} <= set(ENTRIES)


def test_cost_is_taken_in_pairs() -> None:
    taken = cost(WITHOUT, SETTING, starts=2, requests=40)
    assert len(taken.with_it_us) == len(taken.without_us) == 2
    assert all(us > 0 for us in (*taken.with_it_us, *taken.without_us))


def test_a_target_that_does_not_start_is_refused_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(TargetFailedError, match="No module named"),
        started("no_such_module", SETTING, {}, tmp_path),
    ):
        pass
