"""What workers are worth, and whether they lose anything: `python -m tests.bench.workers`.

Writes docs/workers.md, and the raw data under results/bench-workers/.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.run.machine import fingerprint
from tests.bench.workers.places import ROOT
from tests.bench.workers.trials import (
    QUICK,
    SLEEPS_MS,
    USERS,
    Delivery,
    Kill,
    Plan,
    Scaling,
    delivery,
    kills,
    scaling,
)
from tests.network_namespaces import hosts, why_not

PAGE = ROOT / "docs" / "workers.md"
RESULTS = ROOT / "results" / "bench-workers"
INTERRUPTED = 130

MARKDOWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

LEAST_RATIO = 1.8
LATEST_END_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """All of it; `unscaled` says why there was no scaling over hosts."""

    started: str
    machine: str
    plan: Plan
    scalings: Sequence[Scaling]
    unscaled: str
    delivery: Delivery
    kills: Sequence[Kill]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.workers", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="does it work? Writes no docs/workers.md"
    )
    quick = parser.parse_args().quick
    outcome = measured(QUICK if quick else Plan())
    folder = RESULTS / f"{datetime.fromisoformat(outcome.started):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "workers.json").write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
    text = page(outcome)
    (folder / "workers.md").write_text(text, encoding="utf-8")
    # The figures of a quick run are good for nothing: they must not replace real ones.
    if not quick:
        PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def measured(plan: Plan) -> Outcome:
    started, facts = datetime.now(UTC), fingerprint()
    unscaled = why_not()
    sleeping = f"the target sleeps {SLEEPS_MS:g} ms"
    busy = "one machine, the target answers at once"
    with reaped(), nullcontext(()) if unscaled else hosts(4) as there:
        scalings = [scaling(f"one machine, {sleeping}", plan, SLEEPS_MS, (), _say)]
        if there:
            what = f"each worker on a host of its own, {sleeping}"
            scalings.append(scaling(what, plan, SLEEPS_MS, there, _say))
        scalings.append(scaling(busy, plan, 0.0, (), _say))
        return Outcome(
            started=started.isoformat(timespec="seconds"),
            machine=f"{facts.cores} cores, {facts.cpu}, {facts.system}, Python {facts.python}",
            plan=plan,
            scalings=scalings,
            unscaled=unscaled,
            delivery=delivery(plan, _say),
            kills=kills(plan, _say),
        )


def page(outcome: Outcome) -> str:
    """The Markdown page."""
    template = MARKDOWN.get_template("page.md.jinja")
    found = template.render(
        outcome=outcome,
        median=median,
        users=USERS,
        sleeps_ms=SLEEPS_MS,
        least_ratio=LEAST_RATIO,
        latest_end_s=LATEST_END_S,
    )
    return f"{found.rstrip()}\n"


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
