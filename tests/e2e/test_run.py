"""The command line as users meet it: real database, real targets, real drivers."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from loopmark.harness.launch.process_reaper import MARK
from loopmark.scenarios.catalog import SCENARIOS
from loopmark.scenarios.file_scenarios import FILE_SCENARIOS
from tests.conftest import Invoke, Start, assert_refused
from tests.hang_limit import HANG_S

Loopmark = Callable[..., subprocess.CompletedProcess[str]]

EMBEDDED = {"LOOPMARK_DATABASE_URL": ""}
"""A PostgreSQL of the run's own, as users get it; other runs share the one of the tests."""

NOWHERE = {"LOOPMARK_DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/none"}

PLAN = """
name = "small"
title = "Everything once"
reserve = 0

[[measure]]
scenarios = ["wait-timer"]
targets = ["sync-one-thread", "sync"]
loads = [{ model = "burst", n = 4, planned_s = 1.0 }]
rounds = 1

[[measure]]
scenarios = ["wait-timer"]
targets = ["async"]
loads = [{ model = "burst", n = 4, planned_s = 0.6 }]
rounds = 2

[[measure]]
scenarios = ["create-fresh", "crud"]
targets = ["sync", "async"]
loads = [{ model = "closed", users = 5, duration_s = 0.5, warmup_s = 0.1 }]
rounds = 1
"""

LONG_PLAN = """
name = "long"
title = "Ended before its end"

[[measure]]
scenarios = ["create-fresh"]
targets = ["async"]
loads = [
    { model = "closed", users = 5, duration_s = 0.5 },
    { model = "closed", users = 6, think_s = 0.02, duration_s = 60.0 },
]
rounds = 1
"""


@pytest.fixture
def plan(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "plan.toml").write_text(text)
        return "plan.toml"

    return write


def results_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results/latest/results.json").read_text())
    return found


def by_name(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {cell["name"]: cell for cell in results["cells"]}


def started_by(test: Path) -> list[psutil.Process]:
    """The processes of the runs that a test has started, the command line's own apart."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if environment.get("LOOPMARK_TEST") == str(test) and MARK in environment:
            found.append(process)
    return found


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_plan_is_measured_and_reported(
    loopmark: Loopmark, invoke: Invoke, plan: Callable[[str], str], tmp_path: Path
) -> None:
    done = loopmark("run", plan(PLAN), environment=EMBEDDED)
    assert "Report: results/" in done.stdout
    results = results_of(tmp_path)
    cells = by_name(results)
    assert len(cells) == 7
    for name, cell in cells.items():
        assert cell["errors"] == 0, name
        assert cell["validity"]["state"] not in {"errors", "wrong-answers", "target-died"}, name
        assert cell["target_use"]["cpu_ms_per_request"] > 0
        for audit in cell["audits"]:
            assert audit["ok"]
            assert audit["acknowledged"] == audit["found"]
    # Relations that hold on any machine: one thread waits four times, the others once.
    one_thread = cells["wait-timer/sync-one-thread/burst-4/native"]["makespan_s"]
    assert one_thread >= 2.0
    for target in ("sync", "async"):
        assert 0.5 <= cells[f"wait-timer/{target}/burst-4/native"]["makespan_s"] < one_thread
    assert cells["create-fresh/sync/closed-5/native"]["audits"][0]["found"] > 0
    run = json.loads((tmp_path / "results/latest/run.json").read_text())
    assert run["finished"]
    for name, cell in cells.items():
        assert run["round_states"][name] == ["measured"] * cell["rounds"]
    assert run["machine"]["cores"] >= 1
    assert run["database"]["embedded"] is True
    page = (tmp_path / "results/latest/report/index.html").read_text()
    assert "<svg" in page

    # The same run, analysed again and shown otherwise.
    csv = invoke("report", "--format", "csv")
    text = invoke("report", "--format", "text").stdout
    for scenario in ("wait-timer", "create-fresh", "crud"):
        assert f"  {scenario}\n" in text
    assert "prints all" not in text
    assert csv.exit_code == 0
    assert len(csv.stdout.splitlines()) == 8
    again = json.loads(invoke("report", run["run_id"], "--format", "json").stdout)
    assert again["cells"] == results["cells"]
    assert invoke("report", "results/latest", "--format", "md").stdout.startswith("#")


def test_a_target_that_dies_costs_its_cell_and_not_the_run(
    start_loopmark: Start, plan: Callable[[str], str], tmp_path: Path
) -> None:
    text = LONG_PLAN.replace("60.0", "6.0").replace('["async"]', '["async", "sync"]')
    run = start_loopmark("run", plan(text), "--only", "*/closed-*")

    def measuring() -> list[psutil.Process]:
        if not list(tmp_path.glob("results/*/cells/*async__closed-6*/driver-0.job.json")):
            return []
        return [
            process
            for process in started_by(tmp_path)
            if "loopmark.targets.serve" in process.cmdline() and "async" in process.cmdline()
        ]

    wait_until(lambda: bool(measuring()), "the long round begins")
    time.sleep(1.0)  # Into the round, so that there are samples to keep.
    for process in measuring():
        process.kill()
    out, err = run.communicate(timeout=HANG_S * 2)
    assert run.returncode == 1
    cells = by_name(results_of(tmp_path))
    died = cells["create-fresh/async/closed-6-think-0.02/native"]
    assert died["validity"]["state"] == "target-died"
    assert "[ended by signal 9]" in died["stderr_tail"]
    assert list((tmp_path / "results/latest/cells").glob("*async__closed-6*/round-0.parquet"))
    assert "target-died" in out
    assert "failed: create-fresh/async/closed-6-think-0.02/native: the target exited" in err
    others = [cell for name, cell in cells.items() if cell is not died]
    assert len(others) == 3
    assert all(cell["requests"] > 0 for cell in others), "the run went on"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_it_has(
    number: signal.Signals,
    start_loopmark: Start,
    plan: Callable[[str], str],
    tmp_path: Path,
) -> None:
    run = start_loopmark("run", plan(LONG_PLAN))
    pattern = "results/*/cells/*closed-6*/driver-0.job.json"
    wait_until(lambda: bool(list(tmp_path.glob(pattern))), "the long round begins")
    time.sleep(2.0)
    run.send_signal(number)
    out, err = run.communicate(timeout=HANG_S)
    assert run.returncode == 130, err
    assert "Traceback" not in err
    longest = by_name(results_of(tmp_path))["create-fresh/async/closed-6-think-0.02/native"]
    assert longest["validity"]["state"] == "interrupted"
    assert "interrupted" in out
    assert (tmp_path / "results/latest/report/index.html").exists()
    assert not started_by(tmp_path)


def test_a_killed_run_leaves_no_process(
    start_loopmark: Start, plan: Callable[[str], str], tmp_path: Path
) -> None:
    run = start_loopmark("run", plan(LONG_PLAN), environment=EMBEDDED)
    pattern = "results/*/cells/*closed-6*/driver-0.job.json"
    wait_until(lambda: bool(list(tmp_path.glob(pattern))), "the long round begins")
    assert len(started_by(tmp_path)) >= 3, "target, driver and database"
    run.kill()
    run.communicate()
    wait_until(lambda: not started_by(tmp_path), "all processes have ended")


def test_verify_finds_right_answers(loopmark: Loopmark) -> None:
    # Of the scenarios about files the one with the least to read: they have one flow.
    scenarios = SCENARIOS.keys() - {one.name for one in FILE_SCENARIOS} | {"files-mixed"}
    done = loopmark("verify", "async", *(f"--scenario={name}" for name in scenarios))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("right") == len(scenarios)
    assert "WRONG" not in done.stdout


def test_serve_says_how_to_try_it_and_its_example_works(
    start_loopmark: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_THREADS", "none at all")  # Would end it.
    served = start_loopmark("serve", "async", "--set", "ANONYMOUS_LISTENERS=1")
    lines: list[str] = []
    while not any("curl" in line for line in lines):
        lines.append(served.stdout.readline())
        assert lines[-1], f"ended early: {lines}"
    command = next(line for line in lines if "curl" in line).split("'")
    header, url = command[1], command[2].strip()
    name, _, value = header.partition(": ")
    answer = httpx.get(url, headers={name: value}, trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["username"] == "user-1"
    served.send_signal(signal.SIGINT)
    _, err = served.communicate(timeout=HANG_S)
    assert "Traceback" not in err
    assert (
        "ignored, set in this shell: WORKER_THREADS; to set it: --set WORKER_THREADS=VALUE" in err
    )
    assert not started_by(tmp_path)


NEIGHBOUR = """
import os
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
while True:
    pass
"""

DISTURBED_PLAN = """
name = "disturbed"
title = "Beside a neighbour"
reserve = 0.65  # Enough for one repeat, however slow the start is, and too little for two.

[[measure]]
scenarios = ["wait-timer"]
targets = ["sync", "async"]
loads = [{ model = "burst", n = 2, planned_s = 10 }]
rounds = 1
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_rounds_beside_a_neighbour_are_repeated_in_pairs(
    start_loopmark: Start, plan: Callable[[str], str], tmp_path: Path
) -> None:
    command = ["run", plan(DISTURBED_PLAN)]
    with (
        subprocess.Popen([sys.executable, "-c", NEIGHBOUR]) as neighbour,
        start_loopmark(*command, environment=EMBEDDED) as run,
    ):
        try:
            while "as others took the processors" not in (line := run.stderr.readline()):
                assert line, "nothing is repeated"
        finally:
            neighbour.kill()
        out, _ = run.communicate(timeout=HANG_S)
    blocks = [[one["block"] for one in cell["per_round"]] for cell in results_of(tmp_path)["cells"]]
    assert len(blocks[0]) > 1
    assert blocks[0] == blocks[1], "a pair is repeated whole"
    for cell in results_of(tmp_path)["cells"]:
        first = cell["per_round"][0]
        assert first["disturbed"]
        assert first["conditions"]["seconds"] > 0.5
    assert "thers took the processors during" in out


def test_doctor_finds_this_machine_fit(loopmark: Loopmark) -> None:
    done = loopmark("doctor")
    assert done.returncode == 0, done.stdout
    assert "PostgreSQL" in done.stdout
    assert "open files" in done.stdout


def test_list_names_everything(invoke: Invoke) -> None:
    done = invoke("list", "--cells", "--profile", "smoke")
    assert done.exit_code == 0
    for name in (
        "sync-one-thread",
        "read-mostly",
        "native",
        "quick",
        "crud/async/closed-10/native",
    ):
        assert name in done.stdout
    assert re.search(
        r"drivers +Do the native, the httpx and the Locust driver agree\?", done.stdout
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--profile", "quik"), "unknown profile 'quik'; did you mean 'quick'?"),
        (("run", "absent.toml"), "cannot read the plan absent.toml: No such file or directory"),
        (("run", "smoke"), "for the shipped plan: --profile smoke"),
        (("run", __file__), "for a locustfile: --locustfile"),
        (("run", "--only", "wait-timr"), "no cell is 'wait-timr'; the nearest: wait-timer, wait-"),
        (("run", "x.toml", "--profile", "smoke"), "name a plan file or a --profile, not both"),
        (("runn",), "unknown command 'runn'; did you mean 'run'?"),
        (
            ("serve", "async", "--set", "WORKER_THREADS"),
            "--set WORKER_THREADS: expected NAME=VALUE",
        ),
        (
            ("serve", "async", "--set", "WORKERS_THREADS=1"),
            "unknown setting 'WORKERS_THREADS'; did you mean 'WORKER_THREADS'?",
        ),
        (("serve", "asinc"), "unknown target 'asinc'; did you mean 'async'?"),
        (("verify", "async", "--scenario", "cruud"), "unknown scenario 'cruud'; did you mean"),
        (("report", "--format", "htm"), "unknown format 'htm'; did you mean 'html'?"),
        (("report",), "no run at results/latest; make one with `loopmark run`"),
        (("report", "."), ". is not a run folder: it has no run.json"),
        (("run", "--profile", "smoke", "--out", "/proc/nowhere"), "cannot write to /proc/nowhere"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...],
    message: str,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, url in NOWHERE.items():  # It is told before anything is started.
        monkeypatch.setenv(name, url)
    assert_refused(invoke(*arguments), message)


def test_a_broken_plan_names_file_and_key(loopmark: Loopmark, plan: Callable[[str], str]) -> None:
    done = loopmark("run", plan(PLAN.replace("users = 5", 'users = "five"')))
    assert done.returncode == 2
    assert done.stderr == (
        'loopmark: plan.toml:21: measure[2].loads[0].users: "five" is text, a whole number is '
        "needed\n"
    )


def test_a_driver_that_cannot_drive_a_scenario_is_refused(
    invoke: Invoke, plan: Callable[[str], str]
) -> None:
    text = PLAN.replace('["create-fresh", "crud"]', '["crud-client"]').replace(
        'targets = ["sync", "async"]', 'targets = ["async"]\ndrivers = ["httpx", "locust"]'
    )
    done = invoke("run", plan(text))
    assert_refused(done, "plan.toml:21: measure[2].drivers: 'locust' cannot drive the scenario")
    assert 'with drivers = ["httpx"]' in done.stderr


def test_without_a_database_nothing_starts(loopmark: Loopmark) -> None:
    done = loopmark("run", "--profile", "smoke", environment=NOWHERE)
    assert done.returncode == 2
    assert "no database at postgresql://me:***@127.0.0.1:1/none" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    doctor = loopmark("doctor", environment=NOWHERE)
    assert doctor.returncode == 1
    assert "problem" in doctor.stdout


def test_a_file_limit_that_is_too_low_is_named(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("loopmark")), "run", "--only", "sync/burst-1000"]

    def low() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))

    done = subprocess.run(
        command, cwd=tmp_path, preexec_fn=low, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "1000 connections need 1150 open files, and the limit is 512" in done.stderr
    assert not (tmp_path / "results").exists(), "said before anything starts"
