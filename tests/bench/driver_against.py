"""What a request costs our drivers, here and in another checkout, in pairs.

    make bench-driver-against OTHER=../before

The other checkout needs a .venv of its own (`make setup` there). Both drive the same target, in
turns whose order is drawn anew for each round; the ratio of CPU per request is here over there.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median

from loopmark.harness.launch.processors import assign, cores, staying_on
from tests.bench.driver.processes import ROOT, target
from tests.bench.driver.task import Reading, Task, decoded, encoded
from tests.bench.ratios import ratio_over_rounds

MODULE = "tests.bench.driver.generators.loopmark"
RESULTS = ROOT / "results" / "bench-driver-against"
USERS = (10, 100, 1000)
KINDS = ("native", "httpx", "locust")
LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Side:
    """A checkout, and its Python."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / ".venv" / "bin" / "python")

    def reading(self, task: Task) -> Reading:
        """Let its driver carry out a task, on the processor that this process is on.

        Raises:
            subprocess.SubprocessError: It failed, or did not end.
        """
        done = subprocess.run(
            [self.python, "-m", MODULE, encoded(task)],
            cwd=self.folder,
            capture_output=True,
            check=True,
            text=True,
            timeout=LIMIT_S,
        )
        return decoded(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--window", type=float, default=2.0, metavar="SECONDS")
    chosen = parser.parse_args()
    sides = (Side(ROOT), Side(chosen.other.resolve()))
    for side in sides:
        if not Path(side.python).exists():
            parser.error(f"{side.folder} has no .venv: run `make setup` there")
    random = Random(1)
    pinning = assign(cores())
    costs: dict[str, list[tuple[float, float]]] = {}
    for number in range(chosen.rounds):
        with target("trivial_target", pinning.target) as base_url, staying_on(pinning.driver):
            for kind in KINDS:
                for users in USERS:
                    task = Task(base_url, "/", users, chosen.window, 0.5, kind=kind)
                    order = random.sample(sides, 2)
                    cost = {side: side.reading(task).cpu_us_per_request for side in order}
                    costs.setdefault(f"{kind} {users}", []).append((cost[sides[0]], cost[sides[1]]))
        sys.stderr.write(f"round {number + 1} of {chosen.rounds}\n")
    RESULTS.mkdir(parents=True, exist_ok=True)
    raw = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    raw.write_text(json.dumps({"other": str(sides[1].folder), "us_per_request": costs}, indent=1))
    sys.stdout.write("| driver, users | here, us | there, us | here / there |\n|---|---|---|---|\n")
    for what, pairs in costs.items():
        here, there = zip(*pairs, strict=True)
        ratio = ratio_over_rounds(here, there)
        assert ratio is not None, "CPU per request is positive"
        bounds = "" if ratio[1] is None else f" ({ratio[1][0]:.3f} to {ratio[1][1]:.3f})"
        sys.stdout.write(
            f"| {what} | {median(here):.1f} | {median(there):.1f} | {ratio[0]:.3f}{bounds} |\n"
        )
    sys.stdout.write(f"\nRaw data: {raw}\n")


if __name__ == "__main__":
    main()
