"""Plans as the command line reads them."""

from __future__ import annotations

from pathlib import Path

from loopmark.harness.commands.plan_texts import plan_text
from loopmark.harness.commands.plans import parsed, request_for
from loopmark.harness.vocabulary.job import Workers

PLAN = """
name = "own"
title = "Where targets are started"

[[measure]]
scenarios = ["wait-timer"]
targets = ["async", "sync-100", "mine"]
loads = [{ model = "burst", n = 3 }]
rounds = 1

[targets.sync-100]
variant = "sync"
environment = { WORKER_THREADS = "100" }

[targets.mine]
asgi = "service:app"
folder = "service"
"""


def test_folders_count_from_the_plan_and_our_variants_stay_where_the_run_is(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.toml").write_text(PLAN)
    plan = parsed(plan_text(tmp_path / "own.toml", None))
    folders = {name: target.folder for name, target in plan.targets.items()}
    # What a variant is told of its files may be relative to where the run was started.
    assert folders == {"async": "", "sync-100": "", "mine": str(tmp_path / "service")}


def test_cells_that_locust_cannot_drive_are_skipped_and_told() -> None:
    smoke = plan_text(None, "smoke")
    request, skipped = request_for(smoke, ("locust",), "*/async/burst-10/*", Workers(2))
    assert skipped == (
        "--driver locust: 7 of 10 cells skipped: only websocket can drive connect-websocket, "
        "connect-socketio, connect-sse, process-websocket, process-socketio, process-sse, upload"
    )
    assert {(cell.scenario, cell.driver) for cell in request.cells} == {
        ("wait-timer", "locust"),
        ("wait-database", "locust"),
        ("wait-upstream", "locust"),
    }


def test_make_bench_measures_the_table_with_all_drivers_of_requests_and_the_native_one_first() -> (
    None
):
    request, _ = request_for(plan_text(None, "quick"), (), None, None)
    drivers = [cell.driver for cell in request.cells if cell.scenario == "wait-timer"]
    assert drivers[0] == "native"
    assert set(drivers) == {"native", "httpx", "locust"}
