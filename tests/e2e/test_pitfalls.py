"""Declared faults, from a plan to the report: real database, real targets, real driver."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

Loopmark = Callable[..., subprocess.CompletedProcess[str]]

PLAN = """
name = "mistakes"
title = "Do they show?"
reserve = 0

[[measure]]
scenarios = ["open-account"]
targets = ["async", "manual-commit", "forgotten-commit"]
loads = [{ model = "burst", n = 60, planned_s = 0.5 }]
rounds = 1

[[measure]]
scenarios = ["read-mostly"]
targets = ["missing-await"]
loads = [{ model = "burst", n = 10, planned_s = 0.2 }]
rounds = 1
"""

UNSEEN = """
name = "unseen"
title = "What if it does not show?"
reserve = 0

[[measure]]
scenarios = ["open-account"]
targets = ["missing-await"]
loads = [{ model = "burst", n = 5, planned_s = 0.2 }]
rounds = 1
"""


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results/latest/results.json").read_text())
    return found


def test_declared_faults_show_and_are_no_error(loopmark: Loopmark, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    done = loopmark("run", "plan.toml")
    assert done.returncode == 0, done.stderr
    results = results_of(tmp_path)
    (manual,), (forgotten,), (missing,) = (
        next(one["cells"] for one in results["faults"] if one["target"] == name)
        for name in ("manual-commit", "forgotten-commit", "missing-await")
    )
    audits = {
        (cell["target"], audit["what"]): audit
        for cell in results["cells"]
        for audit in cell["audits"]
    }
    half = audits["manual-commit", "accounts without their resource"]["found"]
    assert half > 0
    assert manual["sentence"].startswith(f"accounts without their resource: {half}; ")
    # Each refused request left a connection behind, unless the collector has come by.
    assert audits["manual-commit", "connections left in a transaction"]["found"] <= half

    acknowledged = audits["forgotten-commit", "user accounts"]["acknowledged"]
    assert acknowledged == 60 - half  # The same requests, as the seed is.
    assert forgotten["sentence"].startswith(
        f"{acknowledged} of {acknowledged} acknowledged user accounts are not in the database"
    )
    assert "answered 500" in missing["sentence"]
    assert (
        "coroutine 'AsyncSession.scalar' was never awaited, in use at missing_await.py:"
        in (missing["sentence"])
    )
    assert {one["showing"] for one in (manual, forgotten, missing)} == {"shown"}
    assert manual["beside"] == "open-account/async/burst-60/native"
    assert all(audit["ok"] for (target, _), audit in audits.items() if target == "async")

    assert "3 of 3 documented mistakes showed" in done.stdout
    page = (tmp_path / "results/latest/report/index.html").read_text()
    assert 'id="pitfalls"' in page
    markdown = loopmark("report", "--format", "md").stdout
    assert "## Pitfalls" in markdown


def test_a_declared_fault_that_does_not_show_is_an_error(
    loopmark: Loopmark, tmp_path: Path
) -> None:
    (tmp_path / "plan.toml").write_text(UNSEEN)
    done = loopmark("run", "plan.toml")
    assert done.returncode == 1
    assert "failed: missing-await: its declared fault has not shown" in done.stderr
