"""A run whose load comes from workers: on this machine, and from hosts with their own addresses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest

from loopmark.harness.launch.ports import free_port
from tests.conftest import Invoke, Start, assert_refused
from tests.forked import CommandLine
from tests.hang_limit import HANG_S
from tests.harness.drivers.locustfile_target import CountingTarget
from tests.network_namespaces import Host, hosts, why_not

Loopmark = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = str(Path(sys.executable).with_name("loopmark"))

PLAN = """
name = "shared"
title = "By workers"

[[measure]]
scenarios = ["create-fresh"]
targets = ["async"]
drivers = ["locust"]
loads = [{ model = "closed", users = 6, duration_s = SECONDS, warmup_s = 0.2 }]
rounds = 1
"""

NOT_FOR_LOCUST = """
[[measure]]
scenarios = ["upload"]
drivers = ["websocket"]
targets = ["async"]
loads = [{ model = "burst", n = 1 }]
rounds = 1
"""


@pytest.fixture
def plan(tmp_path: Path) -> Callable[[float], str]:
    def write(seconds: float) -> str:
        path = tmp_path / "plan.toml"
        path.write_text(PLAN.replace("SECONDS", str(seconds)))
        return str(path)

    return write


def only_cell(folder: Path) -> dict[str, Any]:
    results = json.loads((folder / "results/latest/results.json").read_text())
    (cell,) = results["cells"]
    found: dict[str, Any] = cell
    return found


def test_workers_of_this_machine_share_a_plan(
    loopmark: Loopmark, plan: Callable[[float], str], tmp_path: Path
) -> None:
    with Path(plan(0.6)).open("a") as file:
        file.write(NOT_FOR_LOCUST)
    done = loopmark("run", file.name, "--driver", "locust", "--workers", "2")
    assert done.returncode == 0, done.stderr
    skipped = "--driver locust: 1 of 2 cells skipped: only websocket can drive upload\n"
    assert skipped in done.stderr
    cell = only_cell(tmp_path)
    assert cell["errors"] == 0
    assert cell["requests"] > 0
    assert [one["clock"] for one in cell["workers"]] == ["shared", "shared"]
    (audit,) = [one for one in cell["audits"] if one["kind"] == "durable"]
    assert audit["acknowledged"] == audit["found"] > 0, "every write has its sample, once"
    assert json.loads((tmp_path / "results/latest/run.json").read_text())["workers"] == 2
    page = (tmp_path / "results/latest/report/index.html").read_text()
    assert "2 workers" in page


@pytest.fixture(scope="module")
def three_hosts() -> Iterator[Sequence[Host]]:
    """The first is for the run, the others for workers."""
    if reason := why_not():
        assert not os.environ.get("CI"), f"{reason}: it must be there where CI is set"
        pytest.skip(reason)
    with hosts(3) as found:
        yield found


def started(host: Host, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*host.prefix, COMMAND, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def awaiting(run: subprocess.Popen[str]) -> str:
    """What a run has said when it waits for workers."""
    assert run.stdout is not None
    said = ""
    while "loopmark worker --master" not in said:
        line = run.stdout.readline()
        assert line, said
        said += line
    return said


def killed(processes: Sequence[subprocess.Popen[str] | CommandLine]) -> None:
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_workers_of_other_hosts_drive_a_target_that_they_reach(
    three_hosts: Sequence[Host], plan: Callable[[float], str], tmp_path: Path
) -> None:
    here, *others = three_hosts
    run = started(here, tmp_path, "run", plan(0.6), "--workers", "2", "--listen", here.address)
    workers: list[subprocess.Popen[str]] = []
    try:
        assert f"loopmark worker --master {here.address}:5557" in awaiting(run)
        workers += [started(one, tmp_path, "worker", "--master", here.address) for one in others]
        out, _ = run.communicate(timeout=HANG_S)
        assert run.returncode == 0, out
        said = [one.communicate(timeout=HANG_S)[0] for one in workers]
        assert [one.returncode for one in workers] == [0, 0], said
        cell = only_cell(tmp_path)
        assert len({one["name"] for one in cell["workers"]}) == 2
        assert sum(one["samples"] for one in cell["workers"]) >= cell["requests"] > 0
        (audit,) = [one for one in cell["audits"] if one["kind"] == "durable"]
        assert audit["acknowledged"] == audit["found"] > 0
    finally:
        killed([run, *workers])


def test_a_worker_killed_on_another_host_leaves_an_interrupted_cell(
    three_hosts: Sequence[Host], plan: Callable[[float], str], tmp_path: Path
) -> None:
    here, *others = three_hosts
    seconds = 4.0
    run = started(here, tmp_path, "run", plan(seconds), "--workers", "2", "--listen", here.address)
    workers: list[subprocess.Popen[str]] = []
    try:
        awaiting(run)
        workers += [started(one, tmp_path, "worker", "--master", here.address) for one in others]
        deadline = time.monotonic() + HANG_S
        while not (samples := list(tmp_path.glob("results/*/cells/*/round-0.parquet"))):
            assert time.monotonic() < deadline, "the round does not begin"
            time.sleep(0.05)
        time.sleep(2.0)  # Into the round, so that there are samples to keep.
        # `loopmark worker` becomes the worker itself, so that it is this process.
        psutil.Process(workers[0].pid).kill()
        out, _ = run.communicate(timeout=HANG_S)
        assert run.returncode == 1, out
        cell = only_cell(tmp_path)
        assert cell["validity"]["state"] == "interrupted"
        (loss,) = [
            one["values"] for one in cell["validity"]["objections"] if one["code"] == "worker-lost"
        ]
        lost = [one for one in cell["workers"] if one["lost"]]
        assert len(lost) == 1
        assert lost[0]["name"] == loss["worker"]
        assert lost[0]["samples"] > 0
        record = json.loads((samples[0].parent / "round-0.json").read_text())
        assert record["state"] == "worker-lost"
        assert sum(one["samples"] for one in cell["workers"]) == record["driver"]["requests"]
        workers[1].communicate(timeout=HANG_S)
        assert workers[1].returncode == 0, "the other one stays to the end"
    finally:
        killed([run, *workers])


# ---- a locustfile on workers ----

LOCUSTFILE = """
from locust import FastHttpUser, constant, events, task

starts = []

@events.test_start.add_listener
def _(**_):
    starts.append(1)

class Shopper(FastHttpUser):
    wait_time = constant(0.02)

    @task
    def shop(self):
        assert starts == [1], "what the file sets up is as new in each round"
        self.client.get("/a")
"""


@pytest.fixture
def target() -> Iterator[CountingTarget]:
    with CountingTarget().serving() as serving:
        yield serving


def samples_of(folder: Path) -> pd.DataFrame:
    files = sorted((folder / "results/latest/cells").glob("*/round-*.parquet"))
    frame: pd.DataFrame = pd.concat([pq.read_table(file).to_pandas() for file in files])
    return frame


def test_a_locustfile_runs_on_workers_of_this_machine(
    loopmark: Loopmark, target: CountingTarget, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(LOCUSTFILE)
    options = ["--host", target.url, "--users", "5", "--spawn-rate", "10", "--run-time", "1s"]
    command = ["run", "--locustfile", "shop.py", *options, "--workers", "2"]
    done = loopmark(*command, "--", "--stop-timeout", "5")
    assert done.returncode == 0, done.stderr
    cell = only_cell(tmp_path)
    assert cell["error_kinds"] == {}
    samples = samples_of(tmp_path)
    assert len(samples) == target.asked["GET /a"] > 0, "each request is one sample"
    assert samples["user"].nunique() == 5, "no two users of different workers have one number"
    assert sum(one["samples"] for one in cell["workers"]) == len(samples)
    assert {one["clock"] for one in cell["workers"]} == {"shared"}
    assert json.loads((tmp_path / "results/latest/run.json").read_text())["workers"] == 2


# Of a user that quits while another is there, Locust never says that the test has stopped.
@pytest.mark.parametrize("who", ["each", "only the first"])
def test_a_worker_whose_users_stop_by_themselves_is_missing(
    loopmark: Loopmark, target: CountingTarget, tmp_path: Path, who: str
) -> None:
    quits = f"""
        if self.environment.runner.worker_index == 0 and not ({who != "each"} and len(starts) > 1):
            starts.append(0)
            self.environment.runner.quit()
    """
    own = LOCUSTFILE.replace("starts == [1]", "starts[0] == 1")
    (tmp_path / "shop.py").write_text(f"{own}{quits}")
    options = ["--host", target.url, "--users", "4", "--spawn-rate", "10", "--run-time", "2s"]
    done = loopmark("run", "--locustfile", "shop.py", *options, "--workers", "2")
    assert done.returncode == 1, done.stderr
    cell = only_cell(tmp_path)
    assert cell["validity"]["state"] == "interrupted"
    (lost,) = [one["lost"] for one in cell["workers"] if one["lost"]]
    assert lost == "its users stopped before the master said so"


def test_workers_from_elsewhere_get_the_locustfile_and_begin_every_round_anew(
    start_loopmark: Start, target: CountingTarget, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(LOCUSTFILE)
    listen = f"127.0.0.1:{free_port()}"
    options = ["--host", target.url, "--users", "4", "--spawn-rate", "10", "--run-time", "1s"]
    command = ["run", "--locustfile", "shop.py", *options, "--rounds", "2", "--workers", "2"]
    run = start_loopmark(*command, "--listen", listen)
    workers: list[CommandLine] = []
    try:
        while "loopmark worker --master" not in (line := run.stderr.readline()):
            assert line, "it does not wait for workers"
        workers += [start_loopmark("worker", "--master", listen) for _ in range(2)]
        _, said = run.communicate(timeout=HANG_S)
        assert run.returncode == 0, said
        told = [one.communicate(timeout=HANG_S)[1] for one in workers]
        assert [one.returncode for one in workers] == [0, 0], told
    finally:
        killed([run, *workers])
    cell = only_cell(tmp_path)
    assert cell["error_kinds"] == {}
    assert cell["error_examples"] == {}, "no task has raised"
    assert cell["rounds"] == 2
    assert [one["rounds"] for one in cell["workers"]] == [2, 2]
    assert set(samples_of(tmp_path)["round"]) == {0, 1}


def test_a_locustfile_that_a_worker_cannot_import_is_told(
    start_loopmark: Start, target: CountingTarget, tmp_path: Path
) -> None:
    """What it imports lies beside it here, and nowhere where the worker is."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (here / "catalogue_of_mine.py").write_text("")
    (here / "shop.py").write_text(f"import catalogue_of_mine\n{LOCUSTFILE}")
    listen = f"127.0.0.1:{free_port()}"
    options = ["--host", target.url, "--run-time", "2s", "--workers", "1", "--listen", listen]
    run = start_loopmark("run", "--locustfile", str(here / "shop.py"), *options)
    workers: list[CommandLine] = []
    try:
        while "loopmark worker --master" not in (line := run.stderr.readline()):
            assert line, "it does not wait for workers"
        workers.append(start_loopmark("worker", "--master", listen))
        run.communicate(timeout=HANG_S)
        assert run.returncode == 1
    finally:
        killed([run, *workers])
    cell = only_cell(tmp_path)
    assert cell["validity"]["state"] == "interrupted"
    assert "No module named 'catalogue_of_mine'" in cell["stderr_tail"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--workers", "2"), "the native driver of "),
        (
            ("run", "--profile", "smoke", "--driver", "locust", "--only", "crud-client"),
            "--driver locust: no cells to measure: only httpx can drive crud-client",
        ),
        (("run", "--workers", "0"), "'--workers'"),
        (("run", "--listen", "127.0.0.1"), "--listen requires --workers N"),
        (("run", "--driver", "locst"), "unknown driver 'locst'; did you mean 'locust'?"),
        (
            ("run", "--driver", "locust", "--workers", "2", "--listen", "0.0.0.0"),
            "--listen: give the address",
        ),
        (
            ("run", "--driver", "locust", "--workers", "2", "--listen", "192.0.2.1"),
            "--listen: cannot listen on 192.0.2.1:5557: Cannot assign requested address",
        ),
        (("worker",), "--master"),
        (("worker", "--master", "host:port"), "--master: the port must be a number"),
    ],
)
def test_bad_input_is_told_and_exit_code_2(
    arguments: tuple[str, ...], message: str, invoke: Invoke
) -> None:
    assert_refused(invoke(*arguments), message)
