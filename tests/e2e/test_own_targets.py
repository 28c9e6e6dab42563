"""Somebody's own service as a target: an ASGI application, a command, and what runs already."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loopmark.harness.launch.ports import free_port
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.vocabulary.target import Target

Loopmark = Callable[..., "subprocess.CompletedProcess[str]"]

PLAN = """
name = "own"
title = "Somebody's own"

[[measure]]
scenarios = ["wait-timer", "create-fresh"]
targets = ["app", "script", "there"]
loads = [{ model = "burst", n = 3, planned_s = 1.0 }]
rounds = 1

[targets.app]
asgi = "contract_app:app"
folder = "service"
ready = "/up"

[targets.script]
command = [PYTHON, "contract_app.py"]
folder = "service"
environment = { PORT = "{port}" }

[targets.there]
url = URL
"""
# Whatever is tried with the database ends the run at once.
NO_DATABASE = {"LOOPMARK_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}


@pytest.fixture
def write_plan(tmp_path: Path) -> Callable[[str], None]:
    def write(url: str, right: str = "", wrong: str = "") -> None:
        (tmp_path / "service").mkdir(exist_ok=True)
        code = Path(__file__).with_name("contract_app.py").read_text()
        (tmp_path / "service" / "contract_app.py").write_text(code)
        text = PLAN.replace("PYTHON", json.dumps(sys.executable)).replace("URL", json.dumps(url))
        (tmp_path / "plan.toml").write_text(text.replace(right, wrong))

    return write


def test_all_ways_are_measured_without_a_database(
    loopmark: Loopmark, write_plan: Callable[..., None], tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    write_plan(url)
    server = subprocess.Popen(
        [sys.executable, "contract_app.py"],
        cwd=tmp_path / "service",
        env=os.environ | {"PORT": str(port)},
    )
    try:
        RunningTarget(Target(name="there", url=url), tmp_path, "there").wait_until_ready(60)
        done = loopmark("run", "plan.toml", environment=NO_DATABASE)
    finally:
        server.kill()
        server.wait()
    assert "Report: results/" in done.stdout, done.stderr
    run = json.loads((tmp_path / "results/latest/run.json").read_text())
    results = json.loads((tmp_path / "results/latest/results.json").read_text())
    assert run["database"] is None
    app, _, there = run["targets"]
    assert (app["asgi"], there["url"]) == ("contract_app:app", url)
    page = (tmp_path / "results/latest/report/index.html").read_text()
    audited = "Writes are not audited."
    assert f"contract_app:app, served by uvicorn. {audited}" in page
    assert f"A running service at {url}; its resources are not monitored. {audited}" in page
    assert len(results["cells"]) == 6
    for cell in results["cells"]:
        assert cell["errors"] == 0, (cell["name"], cell["error_examples"])
        assert cell["requests"] == 3
        assert cell["audits"] == [], "there is no database of ours behind it"
        is_watched = cell["target"] != "there"
        assert (cell["target_use"]["rss_mib"] is not None) == is_watched, cell["name"]


def test_what_cannot_be_measured_is_told_before_anything_is(
    loopmark: Loopmark, write_plan: Callable[..., None], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    write_plan(url, json.dumps(sys.executable), '"absent-program"')
    done = loopmark("run", "plan.toml", environment=NO_DATABASE)
    assert done.returncode == 2
    command, there = done.stderr.splitlines()
    assert command == "loopmark: target script: no command absent-program"
    assert there.startswith(f"loopmark: target there does not answer at {url}: ")
    assert not (tmp_path / "results").exists()


def test_a_target_that_does_not_start_costs_its_cells_and_says_why(
    loopmark: Loopmark, write_plan: Callable[..., None], tmp_path: Path
) -> None:
    write_plan("http://unused", '"contract_app:app"', '"broken:app"')
    (tmp_path / "service" / "broken.py").write_text("import no_such_module\n")
    done = loopmark("run", "plan.toml", "--only", "/app/", environment=NO_DATABASE)
    assert done.returncode == 1, done.stderr
    results = json.loads((tmp_path / "results/latest/results.json").read_text())
    for cell in results["cells"]:
        assert cell["validity"]["state"] == "target-died"
        first = cell["stderr_tail"].splitlines()[0]
        assert first.startswith("app ended at its start: ModuleNotFoundError: No module named ")
        assert first.endswith("broken.py:1)")
