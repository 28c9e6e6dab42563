"""What others take of the processors, and which rounds are called disturbed.

    python -m tests.bench.disturbances [--runs N] [--kinds quiet half always]

Runs the profile `smoke` without repeats, quiet and beside neighbours, and tells what share of the
processors of one side others took in each round. The thresholds follow from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.thresholds import SHIPPED
from tests.bench.conclusions.neighbours import KINDS, neighbours

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "scenarios" / "plans" / "smoke.toml"
RESULTS = ROOT / "results" / "bench-disturbed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=3, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    chosen = parser.parse_args()
    folder = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    plan = folder / "plan.toml"
    plan.write_text(f"reserve = 0\n{PLAN.read_text(encoding='utf-8')}", encoding="utf-8")
    found: dict[str, list[RoundRecord]] = {kind: [] for kind in chosen.kinds}
    for number in range(chosen.runs):
        for kind in chosen.kinds:
            with neighbours(kind):
                found[kind] += measured(plan, folder / f"{kind}-{number}")
    shares = {kind: [share(one) for one in records] for kind, records in found.items()}
    (folder / "shares.json").write_text(json.dumps(shares), encoding="utf-8")
    sys.stdout.write(table(found))
    return 0


def measured(plan: Path, out: Path) -> list[RoundRecord]:
    """The rounds of one run that ran to their end."""
    program = str(Path(sys.executable).with_name("loopmark"))
    subprocess.run([program, "run", str(plan), "--out", str(out)], cwd=ROOT, check=False)
    folder = RunFolder.existing(out / "latest")
    records = [one for cell in folder.read_run().cells for one in folder.read_rounds(cell)]
    return [one for one in records if one.conditions is not None and one.state == "measured"]


def share(record: RoundRecord) -> float:
    """Share of the processors of one side that others took, of the side that lost most."""
    assert record.conditions is not None
    lost = record.conditions
    return max(one.seconds / (lost.seconds * len(one.cpus)) for one in lost.taken)


def table(found: dict[str, list[RoundRecord]]) -> str:
    """By kind, in Markdown."""
    lines = [
        "| beside the run | rounds | least | median | most | disturbed |",
        "|---|---|---|---|---|---|",
    ]
    for kind, records in found.items():
        shares = [share(one) for one in records]
        disturbed = sum(one.is_disturbed(SHIPPED) for one in records)
        parts = " | ".join(f"{100 * part:.1f}%" for part in _quantiles(shares))
        lines.append(f"| {KINDS[kind]} | {len(records)} | {parts} | {disturbed} |")
    return "\n".join(lines) + "\n"


def _quantiles(shares: Sequence[float]) -> list[float]:
    return [float(part) for part in np.quantile(shares, [0.0, 0.5, 1.0])]


if __name__ == "__main__":
    sys.exit(main())
