"""What a run shows while it measures, with a terminal and without."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from loopmark.harness.run.progress import ProgressBar
from loopmark.harness.store import RunFolder
from tests.harness.builders import cell, closed, record, run_record

CELL = cell(load=closed(), rounds=1)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path, "one")
    made.write_run(run_record(CELL))
    return made


def shown(folder: RunFolder, *, terminal: bool, blocks: int) -> tuple[str, int]:
    """What is printed during a run of these blocks, and how often its table is made."""
    console = Console(file=StringIO(), force_terminal=terminal, width=80, highlight=False)
    calls = 0

    def settling(_: RunFolder) -> str:
        nonlocal calls
        calls += 1
        return f"settled after {calls - 1} blocks"

    bar = ProgressBar(console, [CELL], settling)
    with bar:
        bar.run_begins(folder)
        for number in range(blocks):
            bar.round_begins(CELL, number)
            bar.round_ends(CELL, record(number))
            bar.block_ends()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return text, calls


def test_a_terminal_shows_what_is_settled_after_each_block(folder: RunFolder) -> None:
    text, calls = shown(folder, terminal=True, blocks=2)
    assert calls == 1 + 2
    assert "settled after 2 blocks" in text
    assert "measured" not in text


def test_without_a_terminal_there_is_a_line_for_each_round_and_no_table(folder: RunFolder) -> None:
    text, calls = shown(folder, terminal=False, blocks=2)
    assert not calls, "an analysis that nobody sees would take time from the run"
    assert f"{CELL.name} round 1/1: measured" in text
    assert f"{CELL.name} round 2: measured" in text, "beyond those planned"


def test_before_there_is_a_folder_there_is_nothing_to_settle() -> None:
    def settling(_: RunFolder) -> str:
        raise AssertionError("there is no folder")

    ProgressBar(Console(file=StringIO(), force_terminal=True), [CELL], settling).block_ends()
