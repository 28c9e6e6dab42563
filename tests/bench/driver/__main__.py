"""What the driver costs and whether it is right: `python -m tests.bench.driver [--quick]`."""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

from loopmark.harness.launch.process_reaper import reaped
from tests.bench.driver.measure import measured
from tests.bench.driver.page import judged_lines, page
from tests.bench.driver.plan import QUICK, Plan
from tests.bench.driver.processes import ROOT

PAGE = ROOT / "docs" / "driver.md"
INTERRUPTED = 130
RESULTS = ROOT / "results" / "bench-driver"


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = _parser().parse_args(arguments)
    plan = QUICK if chosen.quick else Plan()
    if chosen.rounds is not None:
        plan = replace(plan, rounds=chosen.rounds)
    _allow_many_files()
    with reaped():
        outcome = measured(plan, lambda what: print(what, file=sys.stderr, flush=True))  # noqa: T201
    folder = chosen.out / f"{datetime.fromisoformat(outcome.started):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "driver.json").write_text(json.dumps(asdict(outcome), indent=1), encoding="utf-8")
    text = page(outcome)
    (folder / "driver.md").write_text(text, encoding="utf-8")
    # The figures of a quick run are good for nothing: they must not replace real ones.
    if not chosen.quick:
        PAGE.write_text(text, encoding="utf-8")
    for line in judged_lines(outcome):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{folder / 'driver.json'}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.driver", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="does it work? Writes no docs/driver.md"
    )
    parser.add_argument("--rounds", type=_positive, help=f"default {Plan().rounds}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the raw data")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _allow_many_files() -> None:
    """A thousand connections need more files than some systems allow by default."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
