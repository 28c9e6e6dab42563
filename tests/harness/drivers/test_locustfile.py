"""Locustfiles as users write them, driven by the real process against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from loopmark.harness.errors import UserError
from loopmark.harness.launch.ports import free_port
from loopmark.harness.run.driver_process import Drive, DriverProcess
from loopmark.harness.run.locustfile_inspection import inspect
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, LocustfilePart, Timeouts
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.locustfile import Inspection, LocustfileChoice
from loopmark.harness.vocabulary.sample import ErrorKind
from tests.harness.drivers.locust_server import locust_server
from tests.harness.drivers.locustfile_target import SLOW_S, CountingTarget

FEW = Population(users=3, spawn_rate=100.0, run_time_s=1.0)


@pytest.fixture
def target() -> Iterator[CountingTarget]:
    with CountingTarget().serving() as serving:
        yield serving


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], str]:
    def write_(text: str, name: str = "users.py") -> str:
        (tmp_path / name).write_text(textwrap.dedent(text))
        return str(tmp_path / name)

    return write_


Write = Callable[..., str]


@dataclass(frozen=True)
class Driven:
    drive: Drive
    samples: pd.DataFrame
    log: str

    @property
    def report(self) -> DriverReport:
        assert self.drive.report is not None, self.log
        return self.drive.report

    @property
    def steps(self) -> Counter[str]:
        return Counter(self.samples["step"])

    @property
    def errors(self) -> dict[str, str]:
        """By step, the kinds of its errors."""
        found = self.samples.groupby("step")["error"].unique()
        return {str(step): ",".join(sorted(kinds)) for step, kinds in found.items()}


class Driver:
    """One driver process and its job."""

    def __init__(
        self, choice: LocustfileChoice, load: Population, folder: Path, web_port: int | None = None
    ) -> None:
        self.job = LoadJob(
            scenario="users",
            load=load,
            round=2,
            seed=0,
            base_url="",
            tokens=(),
            samples=str(folder / "samples.parquet"),
            report=str(folder / "report.json"),
            timeouts=Timeouts(connect_s=1.0, first_byte_s=1.0, response_s=1.0),
            locustfile=LocustfilePart(choice, web_port),
        )
        self.log = folder / "log"
        self.process = DriverProcess("locust", locust_server(), self.log, ())

    def drive(self) -> Driven:
        try:
            driven = self.process.drive(self.job, None)
        finally:
            self.process.stop()
        samples: pd.DataFrame = pq.read_table(self.job.samples).to_pandas()
        return Driven(driven, samples.astype({"step": str, "error": str}), self.log.read_text())


def driven(
    choice: LocustfileChoice, load: Population, folder: Path, web_port: int | None = None
) -> Driven:
    return Driver(choice, load, folder, web_port).drive()


KINDS = """
    import random
    import gevent
    from locust import (
        FastHttpUser, HttpUser, LoadTestShape, SequentialTaskSet, TaskSet, User, constant, events,
        tag, task,
    )
    from locust.exception import StopUser

    print("what a locustfile prints is not for its driver")

    @events.init_command_line_parser.add_listener
    def _(parser):
        parser.add_argument("--greeting", default="none")

    @events.test_start.add_listener
    def _(environment, **kwargs):
        import requests
        requests.get(environment.host + "/greeting/" + environment.parsed_options.greeting)

    class Plain(HttpUser):
        wait_time = constant(0.01)
        fixed_count = 1

        def on_start(self):
            self.client.get("/start")

        @task(3)
        def plain(self):
            self.client.get("/plain", name="/named")

        @task
        def looked_at(self):
            with self.client.get("/looked", catch_response=True) as response:
                if response.json()["n"] == 1:
                    response.failure("one is not enough")

        @task
        def forgiven(self):
            with self.client.get("/missing", catch_response=True, name="/forgiven") as response:
                gevent.sleep(0.03)
                response.success()

    class Fast(FastHttpUser):
        wait_time = constant(0.01)
        fixed_count = 1

        @task
        def fast(self):
            self.client.get("/fast")

        @task
        def broken(self):
            self.client.get("/broken")

        @task
        def missing(self):
            self.client.post("/missing", json={"n": 2})

    class Nested(TaskSet):
        @task(5)
        def inner(self):
            self.client.put("/inner")

        @task(1)
        def leave(self):
            self.interrupt()

    class InOrder(SequentialTaskSet):
        def on_start(self):
            self.client.get("/order/start")

        @task
        def first(self):
            self.client.get("/order/1")

        @task
        def second(self):
            self.client.get("/order/2")
            self.interrupt()

    class Sets(HttpUser):
        wait_time = constant(0.01)
        fixed_count = 1
        tasks = [Nested, InOrder]
"""


def test_every_request_of_every_kind_of_user_is_a_sample(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    path = write(KINDS)
    # With time to end what they are at: of a request that is cut off there is no event.
    arguments = ("--greeting", "hello", "--stop-timeout", "5")
    choice = LocustfileChoice(path, target.url, users=3, arguments=arguments)
    found = driven(choice, FEW, tmp_path)
    assert found.drive.state == "measured", found.log
    assert target.asked.pop("GET /greeting/hello") == 1
    counted = Counter(
        {
            {"GET /plain": "GET /named", "GET /looked": "GET /looked"}.get(step, step): n
            for step, n in target.asked.items()
        }
    )
    counted["GET /forgiven"] = counted.pop("GET /missing")
    assert found.steps == counted
    assert {"GET /start", "PUT /inner", "GET /order/start", "GET /order/2"} <= set(found.steps)
    assert found.report.requests == len(found.samples)
    assert found.samples["user"].nunique() == 3
    assert set(found.samples["round"]) == {2}
    by_user = found.samples.groupby("step")["user"].nunique()
    assert by_user["PUT /inner"] == by_user["GET /fast"] == 1
    assert found.errors == {
        **dict.fromkeys(found.steps, ""),
        "GET /looked": ErrorKind.WRONG_ANSWER,
        "GET /broken": ErrorKind.SERVER_ERROR,
        "POST /missing": ErrorKind.WRONG_STATUS,
    }
    statuses = found.samples.groupby("step")["status"].unique()
    assert list(statuses["GET /forgiven"]) == [404]
    assert list(statuses["GET /looked"]) == [200]
    examples = found.report.error_examples
    assert examples[ErrorKind.WRONG_ANSWER] == ("GET /looked: one is not enough",)
    assert found.report.task_exceptions == 0
    assert "what a locustfile prints" in found.log
    assert "Traceback" not in found.log


def test_times_are_exact_also_where_the_event_comes_late(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    path = write(
        """
        import time
        from locust import HttpUser, task

        class Patient(HttpUser):
            @task
            def slow(self):
                with self.client.get("/slow", catch_response=True) as response:
                    time.sleep(0.5)
                    response.success()
        """
    )
    found = driven(LocustfileChoice(path, target.url), Population(1, 1.0, 1.2), tmp_path)
    took_ms = (found.samples["done_ns"] - found.samples["sent_ns"]) / 1e6
    assert took_ms.between(SLOW_S * 1e3, SLOW_S * 1e3 + 450).all(), took_ms
    assert (took_ms % 1 != 0).all(), "not rounded"
    # The next is sent when the pause is over that came after the answer, not with the event.
    gaps_ms = (found.samples["sent_ns"].shift(-1) - found.samples["done_ns"]).dropna() / 1e6
    assert (gaps_ms >= 500).all(), gaps_ms
    start, end = found.report.window_start_ns, found.report.window_end_ns
    assert 0.9e9 < end - start < 5e9
    assert found.samples["due_ns"].equals(found.samples["sent_ns"])


ODD = """
    import gevent, math, time
    from locust import User, events, task, constant
    from locust.exception import StopUser

    class Response:
        def __init__(self, status_code):
            self.status_code = status_code

    class Unprintable(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    class Odd(User):
        wait_time = constant(0.01)
        done = False

        @task
        def fire(self):
            if Odd.done:
                return
            Odd.done = True
            fire = events.request.fire
            plain = {"request_type": "odd", "response_length": 3}
            fire(**plain, name="fine", response_time=12.5, context={}, exception=None)
            fire(**plain, name="no time", response_time=None)
            fire(**plain, name="text", response_time=1, exception="it said no")
            fire(**plain, name="not a number", response_time=math.nan)
            fire(**plain, name="failed without a time", response_time=None, exception="gone")
            fire(**plain, name="unprintable", response_time=1, exception=Unprintable())
            fire(**plain, name="refused", response_time=1, exception=ConnectionRefusedError())
            fire(**plain, name="status", response_time=1, exception=ValueError("v"),
                 response=Response(503))
            fire(**plain, name="odd status", response_time=1, response=Response("teapot"))
            fire(request_type="odd", name="odd length", response_time=1, response_length=None)
            fire(**plain, name="surrogate \\ud800", response_time=1)
            fire(**plain, name=None, response_time=1)
            fire(**plain, name=["a", "list"], response_time=1)
            with events.request.measure("own", "measured") as meta:
                gevent.sleep(0.02)
            with events.request.measure("own", "raised"):
                raise KeyError("inside")
            def elsewhere():
                fire(**plain, name="of a greenlet", response_time=1)
            gevent.spawn(elsewhere).join()

    class Failing(User):
        wait_time = constant(0.05)

        @task
        def fail(self):
            assert 1 == 2, "one is two"

    class Leaving(User):
        @task
        def leave(self):
            events.request.fire(request_type="odd", name="left", response_time=1,
                                response_length=0)
            raise StopUser()
"""


def test_an_odd_event_is_a_sample_or_a_problem_that_is_explained(
    write: Write, tmp_path: Path
) -> None:
    load = Population(users=3, spawn_rate=10.0, run_time_s=1.0)
    found = driven(LocustfileChoice(write(ODD)), load, tmp_path)
    assert found.drive.state == "measured", found.log
    expected = {
        "odd fine": "",
        "odd no time": ErrorKind.FAILED,
        "odd not a number": ErrorKind.FAILED,
        "odd failed without a time": ErrorKind.FAILED,
        "odd text": ErrorKind.FAILED,
        "odd unprintable": ErrorKind.FAILED,
        "odd refused": ErrorKind.CONNECT,
        "odd status": ErrorKind.SERVER_ERROR,
        "odd odd status": "",
        "odd odd length": "",
        "odd surrogate \\ud800": "",
        "odd": "",
        "odd ['a', 'list']": "",
        "own measured": "",
        "own raised": ErrorKind.FAILED,
        "odd of a greenlet": "",
        "odd left": "",
    }
    assert found.errors == expected
    assert set(found.steps.values()) == {1}
    rows = found.samples.set_index("step")
    assert (rows["done_ns"] - rows["sent_ns"])["odd fine"] == 12_500_000
    assert (rows["done_ns"] - rows["sent_ns"])["own measured"] >= 20_000_000
    assert rows["status"]["odd status"] == 503
    assert rows["user"]["odd of a greenlet"] == rows["user"]["odd fine"]
    examples = found.report.error_examples
    assert "odd text: it said no" in examples[ErrorKind.FAILED]
    assert "odd no time: its event has the response_time None" in examples[ErrorKind.FAILED]
    assert found.report.task_exceptions > 2
    told = examples[ErrorKind.LOCUSTFILE]
    assert any("Failing: AssertionError: one is two at fail, line" in one for one in told), told
    assert any(f"({found.report.task_exceptions} times)" in one for one in told), told


SHAPED = """
    from locust import HttpUser, LoadTestShape, constant, events, task

    class Shaped(HttpUser):
        wait_time = constant(0.02)

        @task
        def ask(self):
            self.client.get("/shaped")

        def on_stop(self):
            self.client.get("/bye")

    class Steps(LoadTestShape):
        def tick(self):
            seconds = self.get_run_time()
            if seconds < 0.9:
                return 2, 100
            if seconds < 1.9:
                return 4, 100
            return None

    order = []
    for name in ("init", "test_start", "test_stopping", "test_stop", "quitting", "quit"):
        getattr(events, name).add_listener(lambda name=name, **kwargs: print("fired", name))
"""


def test_a_shape_decides_on_the_users_and_on_the_end(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    load = Population(users=None, spawn_rate=1.0, run_time_s=30.0)
    found = driven(LocustfileChoice(write(SHAPED), target.url), load, tmp_path)
    assert found.drive.state == "measured", found.log
    window_s = (found.report.window_end_ns - found.report.window_start_ns) / 1e9
    assert 1.5 < window_s < 10, "the shape has ended it, not the limit"
    assert found.report.ended_early == "", "and that is its regular end"
    assert found.samples["user"].nunique() == 4
    assert found.steps["GET /bye"] == 4
    bye = found.samples[found.samples["step"] == "GET /bye"]
    assert (bye["done_ns"] >= found.report.window_end_ns).all()
    fired = [line.split()[1] for line in found.log.splitlines() if line.startswith("fired")]
    assert fired == ["init", "test_start", "test_stopping", "test_stop", "quitting", "quit"]


def test_a_shape_that_is_stopped_before_its_end_says_so(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    path = write(
        """
        from locust import HttpUser, LoadTestShape, constant, task

        class Quitter(HttpUser):
            wait_time = constant(0.02)

            @task
            def ask(self):
                self.client.get("/asked")
                if self.environment.stats.total.num_requests >= 10:
                    self.environment.runner.quit()

        class Long(LoadTestShape):
            def tick(self):
                return (2, 10) if self.get_run_time() < 30 else None
        """
    )
    load = Population(users=None, spawn_rate=1.0, run_time_s=60.0)
    found = driven(LocustfileChoice(path, target.url), load, tmp_path)
    assert found.drive.state == "measured", found.log
    assert "s, on its page or by itself" in found.report.ended_early
    assert found.drive.wall_s < 30


def test_a_locustfile_may_end_the_test_and_choose_by_tags_and_class(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    path = write(
        """
        from locust import HttpUser, constant, tag, task

        class Chosen(HttpUser):
            wait_time = constant(0.02)

            @tag("yes")
            @task
            def tagged(self):
                self.client.get("/tagged")
                if self.environment.stats.total.num_requests >= 10:
                    self.environment.runner.quit()

            @tag("no")
            @task
            def other(self):
                self.client.get("/other")

        class Other(HttpUser):
            @task
            def ask(self):
                self.client.get("/other")
        """
    )
    choice = LocustfileChoice(path, target.url, user_classes=("Chosen",), tags=("yes",))
    found = driven(choice, Population(2, 10.0, 60.0), tmp_path)
    assert found.drive.state == "measured", found.log
    assert set(found.steps) == {"GET /tagged"}
    assert 10 <= len(found.samples) <= 12
    assert "of 60 s, on its page or by itself" in found.report.ended_early
    assert ErrorKind.LOCUSTFILE not in found.report.error_examples
    assert found.drive.wall_s < 30


def test_users_who_all_leave_end_the_round(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    path = write(
        """
        from locust import FastHttpUser, task
        from locust.exception import StopUser

        class Once(FastHttpUser):
            @task
            def once(self):
                self.client.get("/once")
                raise StopUser()
        """
    )
    found = driven(LocustfileChoice(path, target.url), Population(3, 10.0, 60.0), tmp_path)
    assert found.drive.state == "measured", found.log
    assert found.steps == {"GET /once": 3} == target.asked
    assert found.drive.wall_s < 30
    assert found.report.ended_early == "all users had stopped before its end"


def test_the_live_page_shows_the_test_and_can_stop_it_but_not_change_it(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    port = free_port()
    driver = Driver(
        LocustfileChoice(write(KINDS), target.url, users=3),
        Population(3, 100.0, 60.0),
        tmp_path,
        port,
    )
    page = f"http://127.0.0.1:{port}"
    seen: dict[str, object] = {}

    def look() -> None:
        with httpx.Client(trust_env=False, base_url=page) as client:
            for _ in range(200):
                try:
                    stats = client.get("/stats/requests").json()
                except httpx.TransportError:
                    stats = {}
                if stats.get("total_rps"):
                    break
                time.sleep(0.1)
            seen.update(stats)
            other = {"user_count": "50", "spawn_rate": "50", "host": "http://127.0.0.1:9"}
            seen["swarm"] = client.post("/swarm", data=other).json()
            seen["index"] = client.get("/").text
            seen["stop"] = client.post("/stop").json()

    looking = threading.Thread(target=look)
    looking.start()
    found = driver.drive()
    looking.join()
    assert seen["user_count"] == 3
    assert seen["swarm"]["success"] is False  # type: ignore[index]
    assert "Locust" in str(seen["index"])
    assert seen["stop"]["success"] is True  # type: ignore[index]
    assert found.drive.state == "measured", found.log
    assert found.drive.wall_s < 40
    assert found.samples["user"].nunique() == 3
    with pytest.raises(httpx.ConnectError):
        httpx.get(page, trust_env=False)


def test_what_was_measured_is_kept_when_the_driver_is_told_to_end(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    driver = Driver(
        LocustfileChoice(write(KINDS), target.url, users=3), Population(3, 100.0, 60.0), tmp_path
    )

    def end() -> None:
        while target.asked.total() < 50:
            time.sleep(0.05)
        os.kill(driver.process._process.pid, signal.SIGTERM)

    ending = threading.Thread(target=end)
    ending.start()
    found = driver.drive()
    ending.join()
    assert found.drive.state == "driver-died", "nobody told the harness of it"
    assert found.report.requests == len(found.samples) > 40
    assert found.report.window_end_ns > found.report.window_start_ns


def test_a_task_that_ends_the_process_is_named_by_its_exit_code(
    target: CountingTarget, write: Write, tmp_path: Path
) -> None:
    path = write("""
        import os, sys
        from locust import HttpUser, task

        class Gone(HttpUser):
            @task
            def leave(self):
                print("no licence", file=sys.stderr, flush=True)
                os._exit(7)
    """)
    driver = Driver(LocustfileChoice(path, target.url), Population(1, 1.0, 5.0), tmp_path)
    drive = driver.process.drive(driver.job, None)
    assert drive.state == "driver-died"
    first, *_, last = drive.stderr_tail.splitlines()
    assert (first, last) == ("its process: exit code 7", "no licence")


# ---- the look before anything is measured ----

HEALTHY = """
    from locust import HttpUser, task

    class Some(HttpUser):
        host = "http://127.0.0.1:1"

        @task
        def ask(self):
            self.client.get("/")
"""


def test_it_is_found_what_would_be_run(write: Write) -> None:
    found = inspect(LocustfileChoice(write(KINDS), "http://127.0.0.1:1"))
    assert found == Inspection(
        user_classes=("Plain", "Fast", "Sets"), hosts=("http://127.0.0.1:1",), shape=None
    )


def test_an_import_that_never_ends_is_ended(write: Write) -> None:
    path = write("import time\ntime.sleep(600)")
    with pytest.raises(UserError, match=r"importing users\.py took more than 3 s"):
        inspect(LocustfileChoice(path), limit_s=3)


def test_a_file_that_kills_its_process_is_said_so(write: Write) -> None:
    path = write("import os, sys\nprint('bad', file=sys.stderr, flush=True)\nos._exit(5)")
    with pytest.raises(
        UserError, match=r"importing users\.py ended its process .*exit code 5: bad"
    ):
        inspect(LocustfileChoice(path))


UNUSABLE: dict[str, tuple[str, dict[str, object], str]] = {
    "syntax": ("class Some(:\n", {}, "syntax.py, line 1: it does not import: SyntaxError: "),
    "binary": ("x = '\\0'\n\0", {}, "it does not import: SyntaxError: source code"),
    "absent_module": (
        "import locust\nimport no_such_module\n",
        {},
        "absent_module.py, line 2: it does not import: ModuleNotFoundError: No module named",
    ),
    "raises": (
        "import json\n\ndef f():\n    json.loads('{')\n\nf()\n",
        {},
        "raises.py, line 4: it does not import: json.decoder.JSONDecodeError: Expecting",
    ),
    "exits": ("import sys\nsys.exit('enough')\n", {}, "line 2: the import called sys.exit"),
    "opens": ("open('/no/such/file')\n", {}, "line 1: it does not import: FileNotFoundError"),
    "empty": ("x = 1\n", {}, "empty.py has no user class"),
    "other_class": (HEALTHY, {"user_classes": ["Sum"]}, "'Sum'; did you mean 'Some'?"),
    "no_host": (
        HEALTHY.replace("host =", "elsewhere ="),
        {},
        "Some has no host; give --host URL",
    ),
    "odd_host": (HEALTHY.replace("http://", ""), {}, "the host '127.0.0.1:1' of Some is not an"),
    "tags": (HEALTHY, {"tags": ["t"]}, "no task of Some matches the tags"),
    "option": (HEALTHY, {"arguments": ["--nope"]}, "unrecognized arguments: --nope"),
    "own_option": (HEALTHY, {"arguments": ["--users", "5"]}, "--users is an option of Locust"),
    "no_task": (HEALTHY.replace("@task", ""), {}, "Some has no task: mark a method of it with @"),
    "weight": (HEALTHY + "\n        weight = 0\n", {}, "There are no users with weight > 0."),
}


def test_what_cannot_be_run_is_said_in_one_line(tmp_path: Path) -> None:
    choices = []
    for name, (text, choice, _) in UNUSABLE.items():
        path = tmp_path / f"{name}.py"
        path.write_text(textwrap.dedent(text))
        choices.append({"path": str(path), **choice})
    # In one process: it takes longer to start than to look at them all.
    code = """
        import json, sys
        from pydantic import TypeAdapter
        from loopmark.harness.drivers.locust_driver.locustfile.inspection import inspect
        from loopmark.harness.errors import UserError
        from loopmark.harness.vocabulary.locustfile import LocustfileChoice
        for choice in TypeAdapter(list[LocustfileChoice]).validate_json(sys.stdin.read()):
            try:
                said = repr(inspect(choice))
            except UserError as problem:
                said = str(problem)
            print("said", json.dumps(said))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        input=TypeAdapter(list[dict[str, object]]).dump_json(choices),
        capture_output=True,
        check=True,
    )
    lines = [line for line in done.stdout.decode().splitlines() if line.startswith("said ")]
    said = [json.loads(line.removeprefix("said ")) for line in lines]
    for (name, (_, _, expected)), found in zip(UNUSABLE.items(), said, strict=True):
        assert expected in found, name
        assert len(found.splitlines()) == 1, name
