"""Runs of a plan of questions, and what they conclude."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopmark.reports import formatting
from tests.bench.conclusions.neighbours import neighbours

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Answer:
    """What one run says of one question."""

    question: str
    metric: str
    ratio: float | None
    low: float
    high: float
    pairs: int
    verdict: str

    @property
    def has_interval(self) -> bool:
        return self.ratio is not None and math.isfinite(self.high)

    @property
    def is_settled(self) -> bool:
        return self.verdict != "open"

    @property
    def excludes_one(self) -> bool:
        return not self.low <= 1 <= self.high

    def contradicts(self, other: Answer) -> bool:
        """Whether both are settled and at most one of them can be true."""
        apart = self.high < other.low or other.high < self.low
        return self.is_settled and other.is_settled and apart

    @property
    def figures(self) -> str:
        if self.ratio is None:
            return "no ratio"
        if not self.has_interval:
            return f"{self.ratio:.3g} (no interval)"
        return (
            f"{formatting.number(self.ratio)} ({formatting.ratio_interval((self.low, self.high))})"
        )

    @property
    def told(self) -> str:
        return f"{self.figures}, {self.verdict}" if self.has_interval else self.figures


@dataclass(frozen=True)
class Concluded:
    """One run: under which neighbours, how it ended, and its answers."""

    kind: str
    exit_code: int
    wall_s: float
    planned_s: float
    invalid: int
    cells: int
    answers: tuple[Answer, ...]

    @property
    def settled(self) -> int:
        return sum(one.is_settled for one in self.answers)


def concluded(kind: str, arguments: Sequence[str], out: Path) -> Concluded:
    """Run the command line beside these neighbours."""
    command = [str(Path(sys.executable).with_name("loopmark")), "run", *arguments]
    with neighbours(kind):
        started = time.monotonic()
        done = subprocess.run([*command, "--out", str(out)], cwd=ROOT, check=False)
        wall_s = time.monotonic() - started
    results = json.loads((out / "latest" / "results.json").read_text())
    states = [cell["validity"]["state"] for cell in results["cells"]]
    return Concluded(
        kind=kind,
        exit_code=done.returncode,
        wall_s=wall_s,
        planned_s=results["run"]["budget_s"],
        invalid=sum(state != "valid" for state in states),
        cells=len(states),
        answers=tuple(map(_answer, results["questions"])),
    )


def _answer(found: dict[str, Any]) -> Answer:
    question, comparison = found["question"], found["comparison"]
    low, high = comparison["ratio_ci"] or (0.0, math.inf)
    base = question["base"].split("/")
    other = question["other"].split("/")
    differs = [f"{one} against {two}" for one, two in zip(other, base, strict=True) if one != two]
    same = [one for one, two in zip(other, base, strict=True) if one == two]
    return Answer(
        question=f"{', '.join(same[:-1])}: {', '.join(differs)}",
        metric=question["metric"],
        ratio=comparison["ratio"],
        low=low,
        high=high,
        pairs=comparison["rounds"],
        verdict=found["verdict"],
    )
