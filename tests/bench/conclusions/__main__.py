"""What `make bench` concludes, quiet and beside neighbours: `python -m tests.bench.conclusions`.

Writes docs/conclusions.md, and the raw data under results/bench-conclusions/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.bench.conclusions.neighbours import KINDS
from tests.bench.conclusions.runs import ROOT, Concluded, concluded

PAGES = {
    "profiles": ROOT / "docs" / "conclusions.md",
    "same": ROOT / "docs" / "same-against-same.md",
}
RESULTS = ROOT / "results" / "bench-conclusions"
SAME = Path(__file__).with_name("same.toml")

MARKDOWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=PAGES, help="the quick profile, or async against itself")
    parser.add_argument("--runs", type=int, default=1, help="of each kind")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    chosen = parser.parse_args()
    folder = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    plan = ["--profile", "quick"] if chosen.what == "profiles" else [str(SAME)]
    kinds = chosen.kinds if chosen.what == "profiles" else ["quiet"]
    runs = []
    for number in range(chosen.runs):
        for kind in kinds:
            sys.stderr.write(f"{kind}, run {number + 1} of {chosen.runs}\n")
            runs.append(concluded(kind, plan, folder / f"{kind}-{number}"))
            (folder / "runs.json").write_text(json.dumps([asdict(one) for one in runs], indent=1))
    PAGES[chosen.what].write_text(page(chosen.what, runs))
    return 0


def page(what: str, runs: Sequence[Concluded]) -> str:
    by_kind = {kind: [one for one in runs if one.kind == kind] for kind in KINDS}
    quiet = by_kind["quiet"]
    contradictions = [
        (one.kind, answer.question)
        for one in runs
        for reference in quiet
        if one is not reference
        for answer, other in zip(one.answers, reference.answers, strict=True)
        if answer.contradicts(other)
    ]
    return MARKDOWN.get_template(f"{what}.md.jinja").render(
        runs=runs,
        by_kind={kind: found for kind, found in by_kind.items() if found},
        kinds=KINDS,
        contradictions=contradictions,
        answers=[answer for one in runs for answer in one.answers if answer.has_interval],
        written=f"{datetime.now(UTC):%Y-%m-%d}",
    )


if __name__ == "__main__":
    sys.exit(main())
