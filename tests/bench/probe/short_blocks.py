"""Is a block of 60 ms found that comes once a second? `make bench-probe-short`, two minutes."""

from __future__ import annotations

import sys

from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.processors import assign, cores, staying_on
from tests.bench.probe.asking import trial
from tests.bench.probe.corpus_entries import GUILTY
from tests.bench.probe.running import Setting
from tests.bench.probe.scoring import score
from tests.bench.probe.tools.catalog import OURS, TOOLS

BLOCKS, QUERY, PAUSE_S = 60, "?ms=60", 0.94


def main() -> None:
    (ours,) = (tool for tool in TOOLS if tool.name == OURS)
    pinning = assign(cores())
    for loop in ("asyncio", "uvloop"):
        with reaped(), staying_on(pinning.driver):
            setting = Setting(loop, pinning.target, {})
            counted = score(trial(ours, "sleep", setting, BLOCKS, QUERY, PAUSE_S), GUILTY)
        sys.stdout.write(
            f"{loop}: {counted.seen} of {counted.blocks} blocks of 60 ms found, "
            f"{counted.right_line} with the right line, {counted.right_kind} with the right kind\n"
        )


if __name__ == "__main__":
    main()
