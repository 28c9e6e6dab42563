"""Is every pitfall detected in every round, and no twin accused: `python -m tests.bench.pitfalls`.

Twenty rounds of each at ten concurrent requests, quiet and beside a busy process on the targets'
processor; every round is judged by itself. Writes docs/pitfalls-detected.md, and the raw data under
results/bench-pitfalls/.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loopmark.harness.analysis import blocking, faults
from loopmark.harness.analysis.summaries import summarise
from loopmark.harness.launch.processors import assign, cores
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.blocking import Culprit
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.fault import Symptom
from loopmark.harness.vocabulary.record import RoundRecord, RunRecord
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import SUMMARISED

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PAGE = ROOT / "docs" / "pitfalls-detected.md"
RESULTS = ROOT / "results" / "bench-pitfalls"
KINDS = ("quiet", "busy")

MARKDOWN = Environment(
    loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True)
class Detected:
    """How often a pitfall showed, in how many rounds, and what the probe named."""

    kind: str
    target: str
    scenario: str
    rounds: int
    shown: int
    named: int
    line: str
    unclear: str


@dataclass(frozen=True)
class Accused:
    """In how many rounds a clean twin was accused of a line that blocks again and again."""

    kind: str
    target: str
    scenario: str
    rounds: int
    accused: int
    by_host: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    written: str
    detected: tuple[Detected, ...]
    accused: tuple[Accused, ...]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--of", type=Path, help="write the page anew, of the runs in this folder")
    chosen = parser.parse_args()
    folder = chosen.of or RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if chosen.of is None:
        command = [
            str(Path(sys.executable).with_name("loopmark")),
            "run",
            str(HERE / "pitfalls.toml"),
        ]
        for kind in chosen.kinds:
            with neighbour(kind):
                subprocess.run([*command, "--out", str(folder / kind)], cwd=ROOT, check=False)
    kinds = [kind for kind in KINDS if (folder / kind / "latest").exists()]
    outcome = judged({kind: RunFolder.existing(folder / kind / "latest") for kind in kinds})
    (folder / "outcome.json").write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
    PAGE.write_text(page(outcome), encoding="utf-8")
    return 0


def page(outcome: Outcome) -> str:
    return MARKDOWN.get_template("detected.md.jinja").render(outcome=outcome)


@contextmanager
def neighbour(kind: str) -> Iterator[None]:
    """A process that computes all the time on the targets' processor, where it is to be busy."""
    if kind == "quiet":
        yield
        return
    cpus = ",".join(map(str, assign(cores()).target[:1] or (0,)))
    with subprocess.Popen(
        ["taskset", "-c", cpus, sys.executable, "-c", "while True: pass"]
    ) as process:
        try:
            yield
        finally:
            process.terminate()


def judged(folders: dict[str, RunFolder]) -> Outcome:
    """Judge each round of each cell by itself."""
    detected: list[Detected] = []
    accused: list[Accused] = []
    for kind, folder in folders.items():
        run = folder.read_run()
        by_cell = {cell: of_rounds(folder, cell, run) for cell in run.cells}
        for cell, rounds in by_cell.items():
            if run.fault_of(cell.target) is None:
                accused.append(_accused(kind, cell, rounds))
            else:
                twins = [
                    other
                    for one, other in by_cell.items()
                    if one.scenario == cell.scenario and run.fault_of(one.target) is None
                ]
                detected.append(_detected(kind, cell, run, rounds, twins[0]))
    return Outcome(f"{datetime.now(UTC):%Y-%m-%d}", tuple(detected), tuple(accused))


def of_rounds(folder: RunFolder, cell: Cell, run: RunRecord) -> list[CellResult]:
    """The summary of each round, as if it were all of its cell."""
    loops = folder.read_loops(cell)

    def samples_of(number: int) -> pd.DataFrame:
        return folder.read_samples(cell, number, SUMMARISED, must_be_whole=False)

    def alone(record: RoundRecord) -> CellResult:
        summary = summarise(
            replace(cell, rounds=1), [record], samples_of, run.audits_of(cell), run.thresholds
        )
        return replace(summary, blocking=blocking.of_cell([loops.get(record.round, ())]))

    return [alone(record) for record in folder.read_rounds(cell)]


def _detected(
    kind: str,
    cell: Cell,
    run: RunRecord,
    rounds: Sequence[CellResult],
    twins: Sequence[CellResult],
) -> Detected:
    fault = run.fault_of(cell.target)
    assert fault is not None
    shown, named, lines, unclear = 0, 0, [""], [""]
    for one, twin in zip(rounds, twins, strict=False):
        (finding,) = faults.findings(run, [one, twin], {})
        (said,) = finding.cells
        shown += said.showing == "shown"
        if said.showing != "shown":
            unclear.append(said.sentence)
        line = _named(one, fault.symptom)
        named += bool(line)
        lines.append(line)
    return Detected(
        kind,
        cell.target,
        cell.scenario,
        len(rounds),
        shown,
        named,
        max(lines, key=lines.count) if named else "",
        unclear[-1],
    )


def _named(one: CellResult, symptom: Symptom) -> str:
    """What the probe tells of the fault: a line, or a coroutine."""
    if one.blocking is None:
        return ""
    if symptom is Symptom.WRONG_ANSWERS:
        # Where it was freed is somewhere in the server: no line to tell.
        return next((f"{lost.coroutine} not awaited" for lost in one.blocking.lost_coroutines), "")
    if symptom is not Symptom.BLOCKS_LOOP:
        return ""
    return next((_place(culprit) for culprit in one.blocking.culprits if culprit.recurs), "")


def _place(culprit: Culprit) -> str:
    blamed = culprit.application or culprit.place
    return f"{Path(blamed.file).name}:{blamed.line}"


def _accused(kind: str, cell: Cell, rounds: Sequence[CellResult]) -> Accused:
    lines = [
        f"{_place(one)} ({one.kind.words})"
        for summary in rounds
        if summary.blocking is not None
        for one in summary.blocking.culprits
        if one.recurs
    ]
    accused = sum(
        summary.blocking is not None and any(one.recurs for one in summary.blocking.culprits)
        for summary in rounds
    )
    by_host = sum(summary.blocking.by_host for summary in rounds if summary.blocking is not None)
    return Accused(
        kind, cell.target, cell.scenario, len(rounds), accused, by_host, tuple(dict.fromkeys(lines))
    )


if __name__ == "__main__":
    sys.exit(main())
