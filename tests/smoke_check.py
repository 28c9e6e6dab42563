"""What must hold of the smoke runs of a change: `python -m tests.smoke_check CSV...`.

Each file is the CSV report of one run; a later one is made because in those before it too few
cells were valid. A machine that is busy with others makes cells invalid, now one, now another:
most must be valid in one of the runs at least. Nothing explains a wrong response, an error or a
dead target, in any run, whatever else is said against the cell.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from loopmark.harness.vocabulary.cell import ValidityState

GOOD, TOO_FEW_VALID, FAILED = 0, 1, 2
"""Exit codes: with the second one another run may help."""

Row = Mapping[str, str]


def verdict(runs: Sequence[Sequence[Row]]) -> tuple[int, list[str]]:
    """The exit code for these runs, and what to print.

    Args:
        runs: By run, the rows of its cells.
    """
    failed = [
        f"{row['cell']}: {row['validity_states']}: {row['validity_reasons']}"
        for rows in runs
        for row in rows
        if any(ValidityState(state).is_failure for state in row["validity_states"].split("; "))
    ]
    cells = {row["cell"] for rows in runs for row in rows}
    valid = {row["cell"] for rows in runs for row in rows if row["validity"] == "valid"}
    lines = [f"smoke run: {len(cells)} cells, {len(valid)} valid, {len(failed)} failed"]
    lines += [f"  failed: {one}" for one in failed]
    lines += [f"  never valid: {name}" for name in sorted(cells - valid)]
    if failed or not cells:
        return FAILED, lines
    return (GOOD if 2 * len(valid) > len(cells) else TOO_FEW_VALID), lines


def rows_of(path: Path) -> list[Row]:
    """The rows of a CSV report."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    code, said = verdict([rows_of(Path(name)) for name in sys.argv[1:]])
    sys.stdout.write("\n".join([*said, ""]))
    sys.exit(code)
