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
from pydantic import TypeAdapter

from tests.bench.conclusions.neighbours import KINDS
from tests.bench.conclusions.runs import ROOT, Answer, Concluded, concluded

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
    parser.add_argument("--of", type=Path, help="write the page anew, of the runs in this folder")
    chosen = parser.parse_args()
    if chosen.of is not None:
        PAGES[chosen.what].write_text(page(chosen.what, stored(chosen.of)))
        return 0
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


def stored(folder: Path) -> list[Concluded]:
    """The runs that an earlier call has kept."""
    return TypeAdapter(list[Concluded]).validate_json((folder / "runs.json").read_text())


def page(what: str, runs: Sequence[Concluded]) -> str:
    by_kind = {kind: [one for one in runs if one.kind == kind] for kind in KINDS}
    quiet = by_kind["quiet"]
    apart = [
        (run.kind, number, answer, reference)
        for number, run in enumerate(runs, start=1)
        for place, answer in enumerate(run.answers)
        if (
            reference := _contradicted(
                answer, [one.answers[place] for one in quiet if one is not run]
            )
        )
    ]
    return MARKDOWN.get_template(f"{what}.md.jinja").render(
        runs=runs,
        by_kind={kind: found for kind, found in by_kind.items() if found},
        kinds=KINDS,
        contradictions=[row for row in apart if row[2].verdict != row[3].verdict],
        of_another_size=[row for row in apart if row[2].verdict == row[3].verdict],
        answers=[answer for one in runs for answer in one.answers if answer.has_interval],
        written=f"{datetime.now(UTC):%Y-%m-%d}",
    )


def _contradicted(answer: Answer, others: Sequence[Answer]) -> Answer | None:
    """The first of the others that cannot be true if this one is; one in other words before all."""
    found = [other for other in others if answer.contradicts(other)]
    return min(found, key=lambda other: other.verdict == answer.verdict, default=None)


if __name__ == "__main__":
    sys.exit(main())
