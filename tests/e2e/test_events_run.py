"""Events, uploads and files through the command line: real targets, a real driver, the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Invoke, assert_refused

PLAN = """
name = "events"
title = "Events, once"

[[measure]]
scenarios = ["fan-out-websocket", "fan-out-socketio"]
targets = ["sync", "async"]
drivers = ["websocket"]
rounds = 1
[[measure.loads]]
model = "fan-out"
clients = 9
stalled = 2
slow = 2
http_users = 1
rate = 20
duration_s = 0.5
drain_s = 0.3
[[measure.loads]]
model = "fan-out-steps"
clients = 5
rates = [10, 20]
step_s = 0.5
drain_s = 0.3

[[measure]]
scenarios = ["process-websocket", "process-socketio", "upload"]
targets = ["sync", "async"]
drivers = ["websocket"]
loads = [{ model = "burst", n = 5, planned_s = 0.5 }]
rounds = 1

[[measure]]
scenarios = ["files-io-1", "files-io-64"]
targets = ["async"]
loads = [{ model = "burst", n = 1, planned_s = 1.5 }]
rounds = 1
"""


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results/latest/results.json").read_text())
    return found


@pytest.mark.usefixtures("database_url")
def test_events_files_and_uploads_are_measured(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN)
    done = invoke("run", "plan.toml")
    assert "Report: results/" in done.stdout, done.stderr
    results = results_of(tmp_path)
    assert len(results["cells"]) == 2 * 4 + 3 * 2 + 2
    for cell in results["cells"]:
        name = cell["name"]
        assert cell["errors"] == 0, (name, cell["error_examples"])
        assert cell["validity"]["state"] not in {"errors", "wrong-answers", "target-died"}, name
        assert all(audit["ok"] for audit in cell["audits"]), name
        fan_out = cell["fan_out"]
        assert (fan_out is not None) == cell["load"]["model"].startswith("fan-out"), name
        if fan_out is None:
            continue
        load = cell["load"]
        readers = load["clients"] - load.get("slow", 0) - load.get("stalled", 0)
        assert fan_out["published"] > 0, name
        assert fan_out["expected"] == fan_out["published"] * readers, name
        assert fan_out["reach"] == 1.0, name
        assert fan_out["duplicates"] == fan_out["out_of_order"] == fan_out["reconnects"] == 0, name
        assert fan_out["dropped"] == 0, name
        if load["model"] == "fan-out-steps":
            assert [stage["rate"] for stage in cell["stages"]] == load["rates"]
    by_name = {cell["name"]: cell for cell in results["cells"]}
    process = by_name["process-websocket/async/burst-5/websocket"]
    slowest = {step["step"]: step["latency_ms"]["max"] for step in process["steps"]}
    assert slowest["first-event"] < slowest["last-event"]
    (series,) = results["series"]
    assert series["series"] == "files-io"
    one, many = (by_name[f"files-io-{at}/async/burst-1/native"] for at in (1, 64))
    assert many["makespan_s"] < one["makespan_s"]
    # A busy machine may make one of the two unbelievable; then nothing is best.
    both = {one["validity"]["state"], many["validity"]["state"]} == {"valid"}
    assert series["best_at"] == (64 if both else None)
    page = (tmp_path / "results/latest/report/index.html").read_text()
    for title in ("Fan-out over WebSocket", "Progress events over Socket.IO"):
        assert title in page
    csv = invoke("report", "--format", "csv").stdout
    assert len(csv.splitlines()) == len(results["cells"]) + 1


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('drivers = ["websocket"]', 'drivers = ["native"]', "fan-out-websocket"),
        ("clients = 20", "clients = 0", "clients"),
        ("rate = 20", "rate = 20, stalled = 20", "at least one must be active"),
        ("fan-out-websocket", "connect-websocket", "connect-websocket"),
    ],
)
def test_what_no_driver_can_do_with_events_is_refused_in_one_line(
    invoke: Invoke, tmp_path: Path, right: str, wrong: str, told: str
) -> None:
    text = """
name = "refused"
title = "Refused"
[[measure]]
scenarios = ["fan-out-websocket"]
targets = ["async"]
drivers = ["websocket"]
rounds = 1
loads = [{ model = "fan-out", clients = 20, rate = 20, duration_s = 1.0 }]
"""
    (tmp_path / "plan.toml").write_text(text.replace(right, wrong))
    assert_refused(invoke("run", "plan.toml"), told)
