"""The process of a target: what its output says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from loopmark.harness.launch.target_process import TargetProcess

FORGETFUL = """
import traceback

async def answer():
    return 1

for _ in range(3):
    try:
        forgotten = answer()
        forgotten + 1
    except TypeError:
        traceback.print_exc()
    del forgotten
"""


def ended(folder: Path, script: str) -> TargetProcess:
    """The process of a script, once it has ended."""
    file = folder / "service.py"
    file.write_text(script)
    process = TargetProcess(
        [sys.executable, str(file)], folder / "log", dict(os.environ), str(folder), ()
    )
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not process.is_alive
    return process


def test_coroutines_that_were_never_awaited_are_told_once_with_a_line(tmp_path: Path) -> None:
    process = ended(tmp_path, FORGETFUL)
    assert process.never_awaited == (
        "coroutine 'answer' was never awaited, in use at service.py:10",
    )


def test_output_without_such_warnings_tells_nothing(tmp_path: Path) -> None:
    assert ended(tmp_path, "print('coroutine was awaited')").never_awaited == ()
