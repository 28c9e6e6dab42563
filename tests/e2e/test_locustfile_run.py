"""A user's own locustfile, from the command line to the report."""

from __future__ import annotations

import json
import signal
import subprocess
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from loopmark.harness.launch.ports import free_port
from tests.conftest import Start
from tests.e2e.test_run import results_of, started_by, wait_until
from tests.hang_limit import HANG_S
from tests.harness.drivers.locustfile_target import CountingTarget

Loopmark = Callable[..., subprocess.CompletedProcess[str]]


LOCUSTFILE = """
    from locust import FastHttpUser, constant, events, tag, task

    from scenarios import PATHS  # the user's own, beside the file

    @events.init_command_line_parser.add_listener
    def _(parser):
        parser.add_argument("--step", required=True)

    class Shopper(FastHttpUser):
        wait_time = constant(0.01)

        @tag("shop")
        @task
        def shop(self):
            for path in PATHS:
                self.client.get(path, name=self.environment.parsed_options.step + path)

        @tag("never")
        @task
        def never(self):
            self.client.get("/never")

    class Unwanted(FastHttpUser):
        @task
        def unwanted(self):
            self.client.get("/unwanted")
"""


@pytest.fixture
def target() -> Iterator[CountingTarget]:
    with CountingTarget().serving() as serving:
        yield serving


@pytest.fixture
def locustfile(tmp_path: Path) -> Path:
    (tmp_path / "scenarios.py").write_text('PATHS = ("/a", "/b")\n')
    path = tmp_path / "my shop.py"
    path.write_text(textwrap.dedent(LOCUSTFILE))
    return path


def test_a_locustfile_is_measured_and_reported(
    loopmark: Loopmark, locustfile: Path, target: CountingTarget, tmp_path: Path
) -> None:
    options = ["--host", target.url, "--users", "3", "--spawn-rate", "10", "--run-time", "1s"]
    options += ["--rounds", "2", "--class", "Shopper", "--tags", "shop"]
    done = loopmark("run", "--locustfile", locustfile.name, *options, "--", "--step", "in ")
    results = results_of(tmp_path)
    (cell,) = results["cells"]
    # On a busy machine the cell may be invalid; that is no error.
    assert done.returncode == 0, done.stderr
    place = target.url.removeprefix("http://")
    assert cell["name"] == f"my-shop/{place}/users-3/locust"
    assert cell["rounds"] == 2
    assert [round_["round"] for round_ in cell["per_round"]] == [0, 1]
    assert cell["error_kinds"] == {}
    assert {step["step"] for step in cell["steps"]} == {"GET in /a", "GET in /b"}
    run = results["run"]
    assert run["database"] is None
    file = run["scenarios"][0]["locustfile"]
    assert file["name"] == "my shop.py"
    assert file["text"] == textwrap.dedent(LOCUSTFILE)
    assert file["user_classes"] == ["Shopper"]
    assert file["shape"] is None
    assert place in (tmp_path / "results/latest/report/index.html").read_text()
    assert set(target.asked) == {"GET /a", "GET /b"}
    samples = sum(sampled(tmp_path).values())
    # Each user may have been stopped within a request.
    assert samples <= target.asked.total() <= samples + 2 * 3
    assert not started_by(tmp_path)


def sampled(folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in (folder / "results/latest/cells").glob("*/round-*.parquet"):
        found.update(pq.read_table(file).column("step").to_pylist())
    return found


def test_the_page_is_there_meanwhile_and_ctrl_c_keeps_what_was_measured(
    start_loopmark: Start, locustfile: Path, target: CountingTarget, tmp_path: Path
) -> None:
    port = free_port()
    options = ["--host", target.url, "--run-time", "10m", "--web", "--web-port", str(port)]
    options += ["--class", "Shopper", "--exclude-tags", "never", "--", "--step", "x"]
    run = start_loopmark("run", "--locustfile", str(locustfile), *options)

    # One client for all looks: each new one reads certificates first.
    with httpx.Client(trust_env=False) as client:

        def counted() -> int:
            try:
                found = client.get(f"http://127.0.0.1:{port}/stats/requests").json()
            except httpx.TransportError:
                return 0
            return sum(one["num_requests"] for one in found["stats"] if one["name"] == "Aggregated")

        wait_until(lambda: counted() > 20, "the page counts requests")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=HANG_S)
    assert run.returncode == 130, err
    assert f"http://127.0.0.1:{port}" in err
    assert "Traceback" not in err
    assert "interrupted" in out
    (cell,) = results_of(tmp_path)["cells"]
    assert cell["validity"]["state"] == "interrupted"
    record = json.loads(
        next((tmp_path / "results/latest/cells").glob("*/round-0.json")).read_text()
    )
    assert record["driver"]["requests"] == sum(sampled(tmp_path).values()) > 20
    assert not started_by(tmp_path)


def test_a_locustfile_that_does_not_import_is_one_line_and_exit_code_2(
    loopmark: Loopmark, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("import locust\nnonsense()\n")
    done = loopmark("run", "--locustfile", "broken.py", "--host", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert done.stderr == (
        "loopmark: broken.py, line 2: it does not import: "
        "NameError: name 'nonsense' is not defined\n"
    )
    assert done.stdout == ""
    assert not (tmp_path / "results").exists()
