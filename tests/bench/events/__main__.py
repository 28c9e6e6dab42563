"""What telling everybody costs, and how many files at once: `python -m tests.bench.events [RUN]`.

Carries out the profile `events`, or takes a run of it, and writes docs/fan-out.md from it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.folders import LATEST
from tests.bench.events.page import page

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "fan-out.md"
RESULTS = ROOT / "results"
UNUSABLE = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.events", description=__doc__)
    parser.add_argument(
        "run", nargs="?", type=Path, help="a run of the profile; default: a new one"
    )
    run: Path | None = parser.parse_args().run
    if run is None:
        command = [str(Path(sys.executable).with_name("loopmark")), "run", "--profile", "events"]
        # Invalid cells are part of what the page shows.
        if subprocess.run(command, cwd=ROOT, check=False).returncode >= UNUSABLE:
            return UNUSABLE
        run = RESULTS / LATEST
    text = page(RunFolder.existing(run))
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
