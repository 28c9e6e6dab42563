"""Inspects a locustfile before the run, in a process of its own.

Importing Locust patches the standard library, and the file may do anything.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from pydantic import TypeAdapter

from loopmark.harness.errors import UserError
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.target_process import last_lines
from loopmark.harness.vocabulary.locustfile import Inspection, LocustfileChoice

LIMIT_S = 30.0
"""For the import: enough for large libraries, and a limit for a file that never returns."""

_CHOICE = TypeAdapter(LocustfileChoice)
_INSPECTION = TypeAdapter(Inspection)


def inspect(choice: LocustfileChoice, limit_s: float = LIMIT_S) -> Inspection:
    """Import it, and list what would run.

    Args:
        choice: Which file, and what of it.
        limit_s: Time limit in seconds.

    Raises:
        UserError: It cannot be run.
    """
    name = Path(choice.path).name
    with tempfile.TemporaryDirectory(prefix="loopmark-inspection-") as made:
        folder = Path(made)
        asked, found, log = folder / "choice.json", folder / "inspection.json", folder / "log"
        asked.write_bytes(_CHOICE.dump_json(choice))
        command = [sys.executable, "-P", "-m"]
        command += [
            "loopmark.harness.drivers.locust_driver.locustfile.inspection",
            str(asked),
            str(found),
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise UserError(f"importing {name} took more than {limit_s:g} s") from None
        finally:
            end(process, grace_s=1.0)
        if not found.exists():
            said = " ".join(" ".join(last_lines(log)[-1:]).split())
            how = f"exit code {process.returncode}" + (f": {said}" if said else "")
            raise UserError(f"importing {name} ended its process ({how})")
        inspection = _INSPECTION.validate_json(found.read_bytes())
    if inspection.problem:
        raise UserError(inspection.problem)
    return inspection
