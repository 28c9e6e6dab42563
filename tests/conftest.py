"""What every test may use."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from loopmark.harness.cli import main
from loopmark.harness.launch.database import URL_VARIABLE
from loopmark.harness.launch.process_reaper import MARK
from tests import postgres
from tests.forked import CommandLine

Invoke = Callable[..., Result]
Start = Callable[..., CommandLine]

# On a slow or busy machine an example may take long, and that says nothing about the code. Examples
# are the same in every run, so that a failure has to do with the change and comes again.
settings.register_profile(
    "same-examples",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=40,
    print_blob=True,
)
# New ones in each run, to look for what those leave out, and kept when they fail.
settings.register_profile(
    "fuzz",
    settings.get_profile("same-examples"),
    derandomize=False,
    database=DirectoryBasedExampleDatabase(".hypothesis/examples"),
    max_examples=400,
)
# Here and not in a folder below, which is read later than --hypothesis-profile.
settings.load_profile("same-examples")

TEST = "LOOPMARK_TEST"
"""Environment variable by which a test knows the processes that came from it."""


POSTGRES_FOLDER = "LOOPMARK_TEST_POSTGRES"
"""Environment variable by which the processes of pytest-xdist find the server that they share."""


def pytest_configure(config: pytest.Config) -> None:
    """Prepare a place for PostgreSQL, which goes with the session."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in the background of a shell; whatever is started would ignore Ctrl-C as well.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        # Not under pytest's own folder, whose name is too long for the path of a socket.
        folder = Path(tempfile.mkdtemp(prefix="loopmark-tests-"))
        os.environ[POSTGRES_FOLDER] = str(folder)
        config.add_cleanup(lambda: postgres.remove(folder))


LONG = ("tests/e2e/", "tests/test_wheel.py", "tests/targets/", "tests/harness/drivers/")
"""Files that take longest: first, so that no process is left with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of long files first; `make test` gives files out in this order."""

    def place(item: pytest.Item) -> int:
        starts = [item.nodeid.startswith(prefix) for prefix in LONG]
        return starts.index(True) if any(starts) else len(LONG)

    items.sort(key=place)


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """The server in LOOPMARK_DATABASE_URL, or the session's own, which is named there then.

    A plain libpq URL.
    """
    if given := os.environ.get(URL_VARIABLE):
        yield given
        return
    name = os.environ.get("PYTEST_XDIST_WORKER", "tests")
    url = postgres.database(Path(os.environ[POSTGRES_FOLDER]), name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(URL_VARIABLE, url)
        yield url


@pytest.fixture
def start_loopmark(tmp_path: Path, database_url: str) -> Start:
    """Start the command line in an empty folder, as a user would; returns the process."""

    def start(*arguments: str, environment: dict[str, str] | None = None) -> CommandLine:
        given = {k: v for k, v in os.environ.items() if k != MARK}
        given |= {TEST: str(tmp_path), URL_VARIABLE: database_url}
        return CommandLine(*arguments, folder=tmp_path, environment=given | (environment or {}))

    return start


@pytest.fixture
def loopmark(start_loopmark: Start) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line to its end in an empty folder."""

    def run(
        *arguments: str, environment: dict[str, str] | None = None, timeout_s: float = 600
    ) -> subprocess.CompletedProcess[str]:
        with start_loopmark(*arguments, environment=environment) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            finally:
                process.kill()
        assert process.returncode is not None
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    return run


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Run the command line in an empty folder, within the test's own process."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield lambda *arguments: CliRunner().invoke(main, arguments, catch_exceptions=False)
    signal.signal(signal.SIGTERM, handler)


def assert_refused(done: Result, message: str) -> None:
    """It ended as with any bad input: one line that says what is wrong, and exit code 2."""
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""
