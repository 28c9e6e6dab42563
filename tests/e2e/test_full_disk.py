"""A disk that is full in the middle of a run costs what comes after it, and is named."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Loopmark = Callable[..., "subprocess.CompletedProcess[str]"]

PLAN = """
name = "full"
title = "More than fits"
reserve = 0

[[measure]]
scenarios = ["wait-timer"]
targets = ["script"]
loads = [{ model = "burst", n = 2, planned_s = 0.5 }]
rounds = 200

[targets.script]
command = [PYTHON, "contract_app.py"]
environment = { PORT = "{port}" }
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk with room for some rounds."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root mounts a disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "small", str(place)]
    if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def test_what_was_measured_before_is_reported(
    loopmark: Loopmark, small_disk: Path, tmp_path: Path
) -> None:
    code = Path(__file__).with_name("contract_app.py").read_text()
    (tmp_path / "contract_app.py").write_text(code)
    (tmp_path / "plan.toml").write_text(PLAN.replace("PYTHON", json.dumps(sys.executable)))
    done = loopmark("run", "plan.toml", "--out", str(small_disk))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert re.search(r"\d+ of 200 rounds were completed", " ".join(done.stdout.split()))
    # Whatever did not fit first is named.
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("loopmark: ")]
    assert re.fullmatch(
        rf"loopmark: cannot write {small_disk}/.+: No space left on device; make room there, or "
        "name another folder with --out",
        told,
    )
    run_json = next(small_disk.glob("*full*/run.json"))
    assert json.loads(run_json.read_text())["round_states"], "it is whole"
