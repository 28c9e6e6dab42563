"""What the command line says about a locustfile, and what it must not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from loopmark.harness.run.locustfile_plan import prepare
from loopmark.harness.run.request import RunRequest
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.locustfile import LocustfileChoice
from loopmark.harness.vocabulary.scenario import LocustfileFacts
from tests.conftest import Invoke, assert_refused

HEALTHY = """
from locust import HttpUser, LoadTestShape, task

class F(HttpUser):
    host = "http://me:secret@127.0.0.1:81/base"

    @task
    def ask(self):
        self.client.get("/")
"""
SHAPED = (
    HEALTHY
    + """
class Rising(LoadTestShape):
    def tick(self):
        return None
"""
)

BAD: dict[str, tuple[list[str], str]] = {
    "absent": (["--locustfile", "no.py"], "cannot read the locustfile no.py: No such file"),
    "folder": (["--locustfile", "."], "cannot read the locustfile .: Is a directory"),
    "no name": (["--locustfile", ""], "cannot read the locustfile"),
    "and a plan": (["--locustfile", "f.py", "p.toml"], "name a locustfile or a plan, not both"),
    "and a profile": (
        ["--locustfile", "f.py", "--profile", "smoke"],
        "name a locustfile or a --profile, not both",
    ),
    "and only": (["--locustfile", "f.py", "--only", "x"], "a locustfile or --only, not both"),
    "alone": (["--users", "5"], "--users requires --locustfile FILE"),
    "web alone": (["--web"], "--web requires --locustfile FILE"),
    "port alone": (["--locustfile", "f.py", "--web-port", "1"], "--web-port requires --web"),
    "no users": (
        ["--locustfile", "f.py", "--users", "0"],
        "'--users': 0 is not in the range",
    ),
    "half users": (
        ["--locustfile", "f.py", "--users", "1.5"],
        "'--users': '1.5' is not a valid",
    ),
    "no rate": (
        ["--locustfile", "f.py", "--spawn-rate", "nan"],
        "'--spawn-rate': nan is not",
    ),
    "no rounds": (["--locustfile", "f.py", "--rounds", "x"], "'--rounds': 'x' is not a valid int"),
    "no time": (["--locustfile", "f.py", "--run-time", "soon"], "--run-time 'soon' is not a time"),
    "no url": (["--locustfile", "f.py", "--host", "me:80"], "did you mean http://me:80?"),
    "odd port": (["--locustfile", "f.py", "--host", "http://me:x"], "'http://me:x' is not a URL"),
    "slow start": (
        ["--locustfile", "f.py", "--host", "http://me", "--users", "90", "--run-time", "5"],
        "starting all 90 users takes 89 s, but the run ends after 5 s",
    ),
}


@pytest.fixture
def run(invoke: Invoke, tmp_path: Path) -> Invoke:
    """Nothing is started that would need another process."""
    (tmp_path / "f.py").write_text(HEALTHY)
    return lambda *arguments: invoke("run", *arguments)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case: str, run: Invoke, tmp_path: Path) -> None:
    arguments, message = BAD[case]
    assert_refused(run(*arguments), message)
    assert not (tmp_path / "results").exists()


def test_a_port_that_is_taken_is_said(run: Invoke) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("--locustfile", "f.py", "--web", "--web-port", str(port))
    assert_refused(done, f"--web-port: cannot listen on 127.0.0.1:{port}: Address already in use")


def file_of(request: RunRequest) -> LocustfileFacts:
    """What the run keeps of its only scenario."""
    (scenario,) = request.scenarios
    assert scenario.locustfile is not None
    return scenario.locustfile


def test_what_is_not_said_is_as_locust_has_it(tmp_path: Path) -> None:
    path = tmp_path / "my file.py"
    path.write_text(HEALTHY)
    request = prepare(LocustfileChoice(str(path)), rounds=3, web_port=None)
    (cell,) = request.cells
    assert cell.load == Population(users=1, spawn_rate=1.0, run_time_s=30.0)
    assert cell.name == "my-file/127.0.0.1:81/users-1/locust"
    assert cell.rounds == 3
    (target,) = request.targets
    assert (target.name, target.url) == ("127.0.0.1:81", "http://me:secret@127.0.0.1:81/base")
    assert file_of(request).user_classes == ("F",)
    assert request.locustfile is not None
    choice = request.locustfile.choice
    assert (choice.users, choice.run_time_s) == (1, 30.0)


def test_a_shape_is_bounded_and_takes_no_number_of_users(run: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_text(SHAPED)
    request = prepare(LocustfileChoice(str(path)), rounds=1, web_port=None)
    (cell,) = request.cells
    assert cell.load == Population(users=None, spawn_rate=1.0, run_time_s=600.0)
    assert file_of(request).shape == "Rising"
    done = run("--locustfile", "f.py", "--users", "5")
    assert done.exit_code == 2
    assert "the shape Rising sets the number of users: remove --users" in done.stderr


def test_time_to_measure_follows_the_start_of_many_users(tmp_path: Path) -> None:
    path = tmp_path / "f.py"
    path.write_text(HEALTHY)
    choice = LocustfileChoice(str(path), "http://127.0.0.1:82", users=61, spawn_rate=2.0)
    request = prepare(choice, rounds=1, web_port=None)
    (cell,) = request.cells
    assert cell.load == Population(users=61, spawn_rate=2.0, run_time_s=30.0 + 30.0)
    assert cell.target == "127.0.0.1:82"
