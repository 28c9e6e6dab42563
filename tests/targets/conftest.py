"""Every implementation on a real PostgreSQL, in a schema of its own: in this process, or served."""

import gc
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from tempfile import NamedTemporaryFile
from types import MappingProxyType
from typing import Any, BinaryIO, TypeVar, cast

import httpx
import pytest
import uvicorn
from _pytest.mark import ParameterSet
from sqlalchemy import Engine, create_engine, make_url, text
from starlette.types import ASGIApp, Receive, Scope, Send

from loopmark.harness.drivers.process.forked_process import PipedProcess
from loopmark.targets import corpus, schema, upstream
from loopmark.targets.catalog import VARIANTS
from loopmark.targets.faults import Fault
from loopmark.targets.settings import Settings
from tests import forked_start
from tests.forked import TARGETS, fork_server, start
from tests.hang_limit import HANG_S

TOKENS = tuple(f"token-{n}" for n in range(1, 4))
SEEDS = 3
# A checkout that is not installed is found by PYTHONPATH.
INHERITED = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
MAX_UPLOAD_BYTES = 4 * 1024**2


WRAPPED = ("async-middleware",)
"""The handlers of another variant, and something around them."""


def fault_of(name: str) -> Fault | None:
    """The mistake that a variant makes on purpose."""
    return VARIANTS[name].fault


# Each once: sync-one-thread is sync with one worker thread, which has tests of its own. And those
# whose mistake does not show as long as nothing happens to a request.
IMPLEMENTATIONS = tuple(
    {
        row.factory: row.name
        for row in reversed(tuple(VARIANTS.values()))
        if row.name not in WRAPPED and (row.fault is None or row.fault.answers_right)
    }.values()
)
CONCURRENT = tuple(
    name for name in IMPLEMENTATIONS if (fault := fault_of(name)) is None or not fault.blocks_loop
)
"""Those in which a request that waits lets others go on."""

STREAMING = tuple(
    name for name in IMPLEMENTATIONS if name != "async-plain" and fault_of(name) is None
)
"""Those that take uploads apart themselves, and say of each what is wrong with it."""

SERVERS = ("sync", "async")
"""Of these, those that differ in more than the driver of their database: in what they do to files,
processes and sockets."""


@dataclass(frozen=True)
class Application:
    """A variant that runs in this process.

    Attributes:
        asgi: To be called as a server would call it.
        engine: With which it reaches its database.
        expires: Whether a commit makes its objects load themselves again.
    """

    asgi: ASGIApp
    engine: Engine
    expires: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """A variant, and what is behind it: its tables, which `database` looks at, and folders."""

    name: str
    instance: str
    database: Engine
    corpus: Path
    uploads: Path

    def auth(self, user: int = 1) -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKENS[user - 1]}"}

    def count(self, table: str) -> int:
        with self.database.connect() as connection:
            return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


@dataclass(frozen=True, kw_only=True)
class LocalTarget(Target):
    """One in this process, without a socket."""

    application: Application

    def client(self, user: int | None = 1) -> httpx.AsyncClient:
        """A client that speaks as this user, or as nobody."""
        return local_client(self.application, self.auth(user) if user else {})


@dataclass(frozen=True)
class ServedProcess:
    """`loopmark.targets.serve` in a process of its own.

    Attributes:
        url: Where it will listen.
        running: The process.
        stderr: The file of its log.
    """

    url: str
    running: PipedProcess
    stderr: Path

    @property
    def pid(self) -> int:
        return self.running.pid

    def log(self) -> str:
        return self.stderr.read_text()


@dataclass(frozen=True, kw_only=True)
class ServedTarget(Target):
    """One in a process of its own, where the socket or the process is the point."""

    url: str
    loop_lag_file: Path
    process: ServedProcess

    def client(self) -> httpx.AsyncClient:
        """A client that speaks as user 1."""
        return served_client(self.url, self.auth())


Surroundings = Callable[[], tuple[dict[str, Any], dict[str, str]]]
AnyTarget = TypeVar("AnyTarget", bound=Target)


@contextmanager
def serving(
    variant: str, environment: Mapping[str, str], *, heeds_permissions: bool = False
) -> Iterator[ServedProcess]:
    """Start a process; it need not be ready yet when the context begins."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    around = forked_start.Surroundings(
        TARGETS[0], str(Path.cwd()), {**INHERITED, **environment}, heeds_permissions
    )
    with NamedTemporaryFile(prefix="loopmark-log-") as log:
        server = fork_server(*TARGETS)
        running = start(server, around, variant, "--port", str(port), stderr=cast("BinaryIO", log))
        with running.stdout:
            try:
                yield ServedProcess(f"http://127.0.0.1:{port}", running, Path(log.name))
            finally:
                running.terminate()
                try:
                    running.wait(HANG_S)
                except subprocess.TimeoutExpired:
                    running.kill()
                    raise


def first_answer(process: ServedProcess) -> httpx.Response:
    """Poll until the process says whether it is ready."""
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        assert process.running.poll() is None, process.log()
        try:
            return httpx.get(f"{process.url}/ready", timeout=HANG_S, verify=False)
        except httpx.ConnectError:
            time.sleep(0.02)
    pytest.fail(f"{process.url} did not answer within {HANG_S} s")


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
def upstream_url() -> Iterator[str]:
    """Where the service behind `/api/v2/upstream` is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(upstream.app, lifespan="off", log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(HANG_S)


@asynccontextmanager
async def running(
    variant: str, changes: Mapping[str, Any] = MappingProxyType({}), /, **environment: str
) -> AsyncIterator[Application]:
    """Run the application of a variant in this process, as a server would.

    Args:
        variant: Its name.
        changes: Settings that it is not served with.
        environment: Of its process.
    """
    row = VARIANTS[variant]
    settings = Settings.from_environment(
        environment, worker_threads=row.worker_threads, pool_pre_ping=row.pool_pre_ping
    )
    settings = replace(settings, **changes)
    app = resolve_name(VARIANTS[variant].factory)(settings)
    async with app.router.lifespan_context(app) as state:

        async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        # Where there are both, resources and users come through these.
        sessions = (state.get("sync_sessions") or state["sessions"]).kw
        engine = getattr(sessions["bind"], "sync_engine", sessions["bind"])
        yield Application(asgi, engine, expires=sessions["expire_on_commit"])


def local_client(application: Application, headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(application.asgi), base_url="http://target", headers=headers
    )


def served_client(url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    # Loading certificates would take longer than most tests.
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=HANG_S, verify=False)


@pytest.fixture(scope="session")
def surroundings(
    database_url: str,
    corpus_folder: Path,
    upstream_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Surroundings]:
    """What a target has around it, as fields of Target and as its environment."""
    with ExitStack() as stack:

        def make() -> tuple[dict[str, Any], dict[str, str]]:
            schema_name, database = stack.enter_context(tables(database_url))
            uploads = tmp_path_factory.mktemp("uploads")
            instance = uuid.uuid4().hex
            fields = {
                "instance": instance,
                "database": database,
                "corpus": corpus_folder,
                "uploads": uploads,
            }
            environment = {
                "INSTANCE": instance,
                "DATABASE_URL": database_url,
                "DATABASE_SCHEMA": schema_name,
                "CORPUS": str(corpus_folder),
                "UPLOADS": str(uploads),
                "MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES),
                "UPSTREAM_URL": upstream_url,
            }
            return fields, environment

        yield make


@pytest.fixture(scope="module")
async def local_targets(
    surroundings: Surroundings,
) -> AsyncIterator[dict[str, LocalTarget]]:
    """Every implementation, side by side in one event loop of this process."""
    async with AsyncExitStack() as stack:
        started = {}
        for name in IMPLEMENTATIONS:
            fields, environment = surroundings()
            application = await stack.enter_async_context(running(name, {}, **environment))
            started[name] = LocalTarget(name=name, application=application, **fields)
        yield started


@pytest.fixture(scope="session")
def served_targets(
    surroundings: Surroundings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, ServedTarget]]:
    """Sync and async in processes of their own, started side by side and ready."""
    folder = tmp_path_factory.mktemp("loop-lag")
    with ExitStack() as stack:
        started = {}
        for name in SERVERS:
            fields, environment = surroundings()
            process = stack.enter_context(
                serving(name, environment | {"LOOP_LAG_FILE": str(folder / name)})
            )
            started[name] = ServedTarget(
                name=name, url=process.url, loop_lag_file=folder / name, process=process, **fields
            )
        for target in started.values():
            answer = first_answer(target.process)
            assert answer.json() == {"status": "ready", "instance": target.instance}
        yield started


def with_known_rows(target: AnyTarget) -> AnyTarget:
    """Three users with tokens, three resources of user 1."""
    with target.database.begin() as connection:
        schema.reset(connection, TOKENS, SEEDS)
    return target


LEAVES_SESSIONS = pytest.mark.filterwarnings(
    "ignore:The garbage collector is trying to clean up non-checked-in connection"
)


def with_marks(name: str) -> ParameterSet:
    """One implementation as a parameter, with the warnings that are expected of it."""
    fault = fault_of(name)
    return pytest.param(name, marks=[LEAVES_SESSIONS] if fault and fault.leaves_sessions else [])


@pytest.fixture(params=map(with_marks, IMPLEMENTATIONS))
def target(
    request: pytest.FixtureRequest, local_targets: dict[str, LocalTarget]
) -> Iterator[LocalTarget]:
    """One implementation in this process, with known rows."""
    yield with_known_rows(local_targets[request.param])
    if (fault := fault_of(request.param)) is not None and fault.leaves_sessions:
        gc.collect()  # While what it says of sessions that were never closed is expected.


@pytest.fixture
async def client(target: LocalTarget) -> AsyncIterator[httpx.AsyncClient]:
    """A client that speaks as user 1."""
    async with target.client() as client:
        yield client


@pytest.fixture
async def anonymous(target: LocalTarget) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with target.client(None) as client:
        yield client


@pytest.fixture(params=SERVERS)
def served(request: pytest.FixtureRequest, served_targets: dict[str, ServedTarget]) -> ServedTarget:
    """One implementation behind a socket, with known rows."""
    return with_known_rows(served_targets[request.param])


@pytest.fixture
def blocking_client(served: ServedTarget) -> Iterator[httpx.Client]:
    """A client that speaks as user 1."""
    with httpx.Client(
        base_url=served.url, headers=served.auth(), timeout=HANG_S, verify=False
    ) as client:
        yield client


@dataclass(frozen=True)
class OwnTarget:
    """A variant started for one test, whose log is to be read."""

    process: ServedProcess

    @property
    def url(self) -> str:
        return self.process.url

    def ended(self) -> list[str]:
        """End it and return the lines of its log."""
        self.process.running.terminate()
        self.process.running.wait(HANG_S)
        return self.process.log().splitlines()


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
                    variant,
                    {"DATABASE_URL": database_url, "DATABASE_SCHEMA": name} | environment,
                )
            )
            assert first_answer(process).status_code == 200
            return OwnTarget(process)

        yield start


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run the tests that are coroutines on asyncio."""
    return "asyncio"
