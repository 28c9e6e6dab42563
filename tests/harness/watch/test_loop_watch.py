"""A real server, started through the probe and watched from outside."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

import loopmark.harness
from loopmark.harness.analysis.blocking import culprits, occurrences
from loopmark.harness.launch.ports import HOST, free_port
from loopmark.harness.probe.application import Message, ProbedApplication, Receive, Send
from loopmark.harness.probe.facts import Facts
from loopmark.harness.probe.page import Page
from loopmark.harness.vocabulary.blocking import Culprit, Frame, Kind, Occurrence, ProcessEvidence
from loopmark.harness.watch.loop_watch import LoopWatch, read_facts
from loopmark.harness.watch.thread_signal import StackFile
from loopmark.harness.watch.thread_state import is_handled

HERE = Path(__file__).parent
APPLICATION = HERE / "blocking_application.py"
START = Path(loopmark.harness.__file__).parent / "probe" / "start"
PATIENCE_S = 60
THREADED = HERE / "threaded_server.py"
LINES = {
    marked[1]: number
    for path in (APPLICATION, THREADED)
    for number, line in enumerate(path.read_text().splitlines(), 1)
    if (marked := re.search(r"# guilty: (\w+)", line))
}


@dataclass
class Probed:
    process: subprocess.Popen[bytes]
    port: int
    watch: LoopWatch

    def get(self, path: str) -> bytes:
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE_S)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read()

    @property
    def evidence(self) -> ProcessEvidence:
        (only,) = self.watch.evidence()
        return only

    @property
    def occurrences(self) -> Sequence[Occurrence]:
        return occurrences(self.evidence)

    @property
    def culprits(self) -> Sequence[Culprit]:
        return culprits(self.occurrences)

    def until(self, says: Callable[[Probed], bool]) -> None:
        """Wait for something that is told a moment later."""
        deadline = time.monotonic() + PATIENCE_S
        while not says(self):
            assert time.monotonic() < deadline, self.watch.evidence()


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def probed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Probed]:
    yield from served(tmp_path_factory.mktemp("probe"), "--loop", request.param)


def served(folder: Path, *options: str) -> Iterator[Probed]:
    port = free_port()
    command = [sys.executable, "-P", "-m", "uvicorn", f"{APPLICATION.stem}:app", *options]
    command += ["--app-dir", str(HERE), "--port", str(port), "--log-level", "warning"]
    yield from started(folder, command, port)


def started(folder: Path, command: Sequence[str], port: int) -> Iterator[Probed]:
    environment = os.environ | {"PYTHONPATH": str(START), "LOOPMARK_PROBE": str(folder)}
    with LoopWatch(folder) as watch, subprocess.Popen(command, env=environment) as process:
        try:
            one = Probed(process, port, watch)
            deadline = time.monotonic() + PATIENCE_S
            answers = False
            while not (answers and watch.is_watching):
                assert process.poll() is None
                assert time.monotonic() < deadline
                with suppress(OSError):
                    one.get("/clean")
                    answers = True
            yield one
        finally:
            process.terminate()
    assert process.returncode in {0, 7, -signal.SIGTERM, -signal.SIGKILL}


@pytest.mark.parametrize(
    ("route", "guilty", "kind", "call"),
    [
        ("/sleep", "sleep", Kind.CALL, "clock_nanosleep"),
        ("/compute", "compute", Kind.COMPUTING, None),
        ("/power", "power", Kind.COMPUTING_GIL, None),
        ("/collect", "collect", Kind.COLLECTION, None),
        ("/usleep", "usleep", Kind.CALL, "clock_nanosleep"),
        ("/ask", "ask", Kind.CALL, "poll"),
        ("/lock", "lock", Kind.CALL, "futex"),
        ("/hog", "hog", Kind.GIL_HOG, None),
    ],
)
def test_a_block_is_found_with_its_line_and_kind(
    probed: Probed, route: str, guilty: str, kind: Kind, call: str | None
) -> None:
    # A busy machine may hide a single block: nobody is accused then, and it is tried again.
    def accused(of: Probed) -> bool:
        of.get(route)
        return any(
            one.application is not None
            and not one.is_sighting
            and (one.application.file, one.application.line) == (str(APPLICATION), LINES[guilty])
            and one.kind is kind
            and (one.call.name if one.call else None) == call
            for one in of.occurrences
        )

    probed.until(accused)
    if kind is not Kind.GIL_HOG:
        blamed = [
            one
            for one in probed.culprits
            if one.application and one.application.line == LINES[guilty]
        ]
        assert blamed[0].routes == (route,)


def test_a_sleep_of_c_code_is_not_cut_short(probed: Probed) -> None:
    assert float(probed.get("/usleep")) >= 0.2


def test_short_calls_are_seen_too(probed: Probed) -> None:
    def accused(of: Probed) -> bool:
        for _ in range(20):
            of.get("/sleep?ms=4")
        return any(
            one.is_sighting and one.application and one.application.line == LINES["sleep"]
            for one in of.occurrences
        )

    probed.until(accused)


def test_a_loop_that_runs_is_not_accused(probed: Probed) -> None:
    before = len(probed.culprits)
    for _ in range(200):
        probed.get("/clean")
    assert len(probed.culprits) == before


def test_lost_coroutines_are_counted_by_line(probed: Probed) -> None:
    probed.get("/lose")
    probed.get("/lose")
    probed.until(lambda one: bool(one.evidence.facts.lost_coroutines))
    (lost,) = probed.evidence.facts.lost_coroutines
    assert (lost.coroutine, lost.file) == ("nothing", str(APPLICATION))
    assert (lost.line, lost.function) == (LINES["lose"], "lose")
    probed.until(lambda one: one.evidence.facts.lost_coroutines[0].times >= 2)


def test_the_process_tells_of_itself(probed: Probed) -> None:
    facts = probed.evidence.facts
    assert facts.python == ".".join(map(str, sys.version_info[:3]))
    assert facts.loop.startswith(("asyncio", "uvloop"))
    assert {"/sleep", "/clean"} <= {route.path for route in facts.routes}
    assert facts.threads is not None
    assert facts.threads.limit == 40
    assert len(probed.evidence.lags) > 2


def test_a_signal_of_the_applications_own_is_left_to_it(probed: Probed) -> None:
    # All of the probe's signals until now were others: none has reached the handler.
    assert probed.get("/clean") == b"[]"
    probed.process.send_signal(signal.SIGUSR1)
    probed.until(lambda one: one.get("/clean") == str([signal.SIGUSR1.value]).encode())


def test_each_worker_is_watched(tmp_path: Path) -> None:
    for one in served(tmp_path, "--workers", "2"):
        one.until(lambda those: len(those.watch.evidence()) == 2)


def test_a_server_in_another_thread_is_watched(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, str(THREADED), str(port)]
    for one in started(tmp_path, command, port):
        one.get("/sleep")
        one.until(lambda those: any(found.worst_ms > 100 for found in those.culprits))
        (sleeping,) = (found for found in one.culprits if found.worst_ms > 100)
        assert (sleeping.place.line, sleeping.kind) == (LINES["threaded"], Kind.CALL)


def test_a_loop_is_accused_while_it_still_stands(tmp_path: Path) -> None:
    for one in served(tmp_path):
        with closing(http.client.HTTPConnection(HOST, one.port)) as connection:
            connection.request("GET", "/deadlock")
            one.until(lambda those: any(row.total_ms > 100 for row in those.culprits))
            hung = max(one.culprits, key=lambda row: row.total_ms)
            assert hung.application is not None
            assert (hung.application.line, hung.kind) == (LINES["deadlock"], Kind.CALL)
            assert [row.has_ended for row in one.evidence.stretches][-1:] == [False]
            one.process.kill()


def test_a_forked_child_leaves_the_watch_to_its_parent(tmp_path: Path) -> None:
    for one in served(tmp_path):
        assert one.get("/fork") == b"0"
        one.get("/sleep")
        one.until(lambda those: any(row.worst_ms > 100 for row in those.culprits))


def test_another_program_in_the_place_of_the_target_gets_no_signal(tmp_path: Path) -> None:
    for one in served(tmp_path):
        with suppress(http.client.RemoteDisconnected):
            one.get("/exec")
        assert one.process.wait(PATIENCE_S) == 7


@pytest.mark.parametrize("spoilt", ["folder", "file"])
def test_an_application_that_cannot_be_probed_is_served_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoilt: str
) -> None:
    folder = tmp_path / "gone"
    if spoilt == "file":
        folder.write_text("")
    reached = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        reached.append((scope["type"], await receive()))
        await send({})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        pass

    async def serve() -> None:
        probed = ProbedApplication(app, folder)
        for kind in ("lifespan", "http", "http"):
            await probed({"type": kind}, receive, send)

    asyncio.run(serve())
    assert [kind for kind, _ in reached] == ["lifespan", "http", "http"]
    (told,) = caplog.messages
    assert told.startswith("loopmark: not probed: ")


class Evasive:
    """Has whatever attribute it is asked for, but no routes."""

    def __getattr__(self, name: str) -> object:
        if name == "routes":
            raise RuntimeError(name)
        return self


def middleware_without_end() -> SimpleNamespace:
    app = SimpleNamespace()
    app.app = app
    return app


@pytest.mark.parametrize("app", [Evasive(), middleware_without_end()])
def test_facts_are_told_of_an_application_that_hides_its_routes(
    tmp_path: Path, app: object
) -> None:
    Facts(tmp_path / "1.json", app, "asyncio", "/own").write()
    facts = read_facts(tmp_path / "1.json")
    assert (facts.routes, facts.own) == ((), "/own")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_page_without_room_is_refused_where_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        Page(tmp_path / "full", create=True)


def test_names_that_are_not_ascii_are_read_as_they_are(tmp_path: Path) -> None:
    script = tmp_path / "größe_日本_🐍.py"
    script.write_text(
        "import faulthandler, sys\n"
        "def mäh():\n"
        "    faulthandler.dump_traceback(open(sys.argv[1], 'wb'), all_threads=False)\n"
        "mäh()\n"
    )
    written = tmp_path / "1.stacks"
    subprocess.run([sys.executable, "-X", "utf8", script, written], check=True)
    answer = StackFile(1, written).answer()
    assert answer == (Frame(str(script), 3, "mäh"), Frame(str(script), 4, "<module>"))


@pytest.mark.parametrize(
    ("status", "handles"),
    [
        ("Name:\tpython\nSigCgt:\t0000000000000200\nCapInh:\t0\n", True),
        ("Name:\tpython\nSigCgt:\t0000000000000100\nCapInh:\t0\n", False),
        ("Name:\tpython\nState:\tS\n", True),
    ],
    ids=["handled", "another one handled", "not told"],
)
def test_whether_a_signal_is_handled_is_read_from_the_status(status: str, handles: object) -> None:
    assert is_handled(status, 10) is handles


def test_nothing_is_written_without_a_folder(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "LOOPMARK_PROBE"}
    environment["PYTHONPATH"] = str(START)
    code = "import sys; print([name for name in sys.modules if 'loopmark' in name], sys.path)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    modules, _, path = done.stdout.partition("] ")
    assert "uvicorn" not in modules
    assert str(START) not in path
    assert list(tmp_path.iterdir()) == []


def test_the_sitecustomize_of_the_environment_is_imported_as_well(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('theirs')")
    environment = os.environ | {
        "PYTHONPATH": f"{START}{os.pathsep}{tmp_path}",
        "LOOPMARK_PROBE": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", "print('main')"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "theirs\nmain\n"
    assert done.stderr == ""


def test_a_process_that_has_not_told_anything_yet(tmp_path: Path) -> None:
    assert read_facts(tmp_path / "none.json").routes == ()
    (tmp_path / "torn.json").write_text('{"python": ')
    assert read_facts(tmp_path / "torn.json").routes == ()
