"""Who finds what blocks an event loop: `python -m tests.bench.probe [--quick]`.

Writes a section of docs/probe.md, and the raw data under results/bench-probe/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.processors import assign, cores, staying_on
from loopmark.harness.run.machine import fingerprint
from tests.bench.probe.asking import trial
from tests.bench.probe.corpus.blockers import AMOUNTS_VARIABLE, calibrate
from tests.bench.probe.corpus_entries import ENTRIES
from tests.bench.probe.cost import Cost, cost
from tests.bench.probe.outcome import Outcome, Plan, joined
from tests.bench.probe.page import section, with_section
from tests.bench.probe.running import Setting, TargetFailedError
from tests.bench.probe.tools.catalog import OURS, TOOLS, Tool
from tests.bench.probe.tools.installation import ROOT, NotInstalledError
from tests.bench.probe.trial import Trial

PAGE = ROOT / "docs" / "probe.md"
RESULTS = ROOT / "results" / "bench-probe"
QUICK = Plan(blocks_ours=2, blocks_others=2, cost_starts=3, cost_requests=500)
INTERRUPTED = 130


def main() -> None:
    chosen = _parser().parse_args()
    if chosen.of:
        kept = [(folder / "probe.json").read_text(encoding="utf-8") for folder in chosen.of]
        outcomes = [TypeAdapter(Outcome).validate_json(text) for text in kept]
        _write(section(joined(outcomes)))
        return
    tools = [tool for tool in TOOLS if all(word in tool.name for word in chosen.tool)]
    entries = [entry for entry in ENTRIES if not chosen.entry or entry in chosen.entry]
    with reaped():
        outcome = measured(QUICK if chosen.quick else Plan(), tools, entries)
    folder = RESULTS / f"{datetime.fromisoformat(outcome.started):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "probe.json").write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
    text = section(outcome)
    (folder / "probe.md").write_text(text, encoding="utf-8")
    # The figures of a part, or of a quick run, must not replace those of a whole one.
    if not (chosen.quick or chosen.tool or chosen.entry):
        _write(text)
    sys.stdout.write(text)


def _write(text: str) -> None:
    document = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_section(document, text), encoding="utf-8")


def measured(plan: Plan, tools: Sequence[Tool], entries: Sequence[str]) -> Outcome:
    """Try each tool on each entry, then what it costs."""
    started, facts, pinning = datetime.now(UTC), fingerprint(), assign(cores())
    with staying_on(pinning.target):
        amounts = calibrate()
    environment = {AMOUNTS_VARIABLE: json.dumps(amounts)}
    trials: list[Trial] = []
    costs: list[Cost] = []
    missing: dict[str, str] = {}
    with staying_on(pinning.driver):
        for tool, loop, blocks in _tools(tools, plan):
            setting = Setting(loop, pinning.target, environment)
            try:
                for entry in entries:
                    with _reported(f"{tool.name}, {loop}: {entry}", missing):
                        trials.append(trial(tool, entry, setting, blocks))
                with _reported(f"{tool.name}, {loop}: CPU per request", missing):
                    costs.append(cost(tool, setting, plan.cost_starts, plan.cost_requests))
            except NotInstalledError as error:
                missing[tool.name] = str(error)
    return Outcome(
        started=started.isoformat(timespec="seconds"),
        machine=f"{facts.cores} cores, {facts.cpu}, {facts.system}, Python {facts.python}",
        plan=plan,
        amounts=amounts,
        trials=trials,
        costs=costs,
        missing=missing,
    )


def _tools(tools: Sequence[Tool], plan: Plan) -> Iterator[tuple[Tool, str, int]]:
    """Each tool with its loop and the blocks of an entry: ours on both loops."""
    for tool in tools:
        if tool.name == OURS:
            yield from ((tool, loop, plan.blocks_ours) for loop in ("asyncio", "uvloop"))
        else:
            yield tool, "asyncio", plan.blocks_others


@contextmanager
def _reported(name: str, missing: dict[str, str]) -> Iterator[None]:
    """Say what is measured; keep why, if it cannot be."""
    sys.stderr.write(f"{name}\n")
    try:
        yield
    except TargetFailedError as error:
        missing[name] = str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.probe", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="does it work? Writes no docs/probe.md"
    )
    parser.add_argument("--tool", action="append", default=[], help="part of a tool's name")
    parser.add_argument("--entry", action="append", default=[], choices=ENTRIES)
    parser.add_argument(
        "--of", type=Path, nargs="+", help="write the page anew, of the runs in these folders"
    )
    return parser


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
