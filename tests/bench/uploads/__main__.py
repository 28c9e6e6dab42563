"""Large uploads, and what they cost the server beside them: `python -m tests.bench.uploads`.

Writes docs/uploads.md, and the raw data under results/bench-uploads/.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loopmark.harness.commands.plans import catalog_targets
from loopmark.harness.launch.process_reaper import reaped, temporary_folder
from loopmark.harness.launch.provision import provision
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.run.machine import fingerprint
from tests.bench.uploads.trial import QUICK, Plan, Trial, trial

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "uploads.md"
RESULTS = ROOT / "results" / "bench-uploads"
VARIANTS = ("sync", "async")
MOST_GROWTH_MIB = 64
INTERRUPTED = 130

MARKDOWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Outcome:
    """All of it."""

    started: str
    machine: str
    plan: Plan
    trials: Sequence[Trial]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.uploads", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="does it work? Writes no docs/uploads.md"
    )
    quick = parser.parse_args().quick
    outcome = measured(QUICK if quick else Plan())
    folder = RESULTS / f"{datetime.fromisoformat(outcome.started):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "uploads.json").write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
    template = MARKDOWN.get_template("page.md.jinja")
    text = template.render(
        outcome=outcome,
        most_growth_mib=MOST_GROWTH_MIB,
        mib=lambda trials, name: [f"{getattr(one, name):.1f}" for one in trials],
        seconds=lambda trials, name: [
            f"{min(getattr(one, name)):.1f}, {max(getattr(one, name)):.1f}" for one in trials
        ],
    )
    text = f"{text.rstrip()}\n"
    (folder / "uploads.md").write_text(text, encoding="utf-8")
    # The figures of a quick run are good for nothing: they must not replace real ones.
    if not quick:
        PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def measured(plan: Plan) -> Outcome:
    started, facts = datetime.now(UTC), fingerprint()
    trials = []
    targets = catalog_targets()
    asked = [targets[variant] for variant in VARIANTS]
    with reaped() as token, provision(asked, token, f"uploads_{token}") as provided:
        assert provided is not None
        for variant in VARIANTS:
            provided.database.reset((token,), 0)
            folder = temporary_folder(token, "log")
            target = RunningTarget(targets[variant], folder, variant, provided=provided.environment)
            try:
                target.wait_until_ready()
                sys.stderr.write(f"{variant}: {plan.uploads} uploads of {plan.mb} MB\n")
                trials.append(asyncio.run(trial(target, token, plan)))
            finally:
                target.stop()
    return Outcome(
        started=started.isoformat(timespec="seconds"),
        machine=f"{facts.cores} cores, {facts.cpu}, {facts.system}, Python {facts.python}",
        plan=plan,
        trials=trials,
    )


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
