"""The variants by name: a target is one file, and one row here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from loopmark.targets import faults
from loopmark.targets.settings import POOL_SIZE


@dataclass(frozen=True, slots=True)
class Variant:
    """One implementation of the contract.

    Attributes:
        name: Its name in plans, reports and the command line.
        factory: `module:function`; the function takes Settings and returns the application.
        description: One sentence.
        twin: The variant from which it differs in one thing; empty for those that others differ
            from.
        worker_threads: Size of the thread pool that runs `def` handlers.
        pool_pre_ping: Whether a connection is tested each time it leaves the pool.
        database_driver: What it reaches the database with.
        pools: How many pools of connections it keeps.
        fault: The mistake that it makes on purpose; None of those that make none.
        preparation: Module that makes the tables and folders it needs.
    """

    name: str
    factory: str
    description: str
    twin: str = ""
    worker_threads: int = 40
    pool_pre_ping: bool = True
    database_driver: str = "asyncpg"
    pools: int = 1
    fault: faults.Fault | None = None
    preparation: str = "loopmark.targets.preparation"

    @property
    def connection_test(self) -> str:
        """The statements with which a connection is tested; empty where it is not."""
        return CONNECTION_TESTS[self.database_driver] if self.pool_pre_ping else ""

    @property
    def kept_connections(self) -> int:
        """How many connections it keeps at most when it has nothing to do."""
        return POOL_SIZE * self.pools


CONNECTION_TESTS: Mapping[str, str] = MappingProxyType(
    {"psycopg": ";", "asyncpg": "BEGIN ; ROLLBACK"}
)
"""By driver of the database. SQLAlchemy tests asyncpg's connections in a transaction."""

_SYNC = "loopmark.targets.sync_app:build"
_ASYNC = "loopmark.targets.async_app:build"

_ROWS = (
    Variant(
        "sync",
        _SYNC,
        "Plain def handlers in the framework's pool of 40 threads, Session on psycopg.",
        database_driver="psycopg",
    ),
    Variant(
        "sync-one-thread",
        _SYNC,
        "The sync variant with one worker thread: requests are served one after another.",
        twin="sync",
        worker_threads=1,
        database_driver="psycopg",
    ),
    Variant(
        "async",
        _ASYNC,
        "async def handlers on the event loop, AsyncSession on asyncpg.",
    ),
    Variant(
        "sync-threads-100",
        _SYNC,
        "The sync variant with 100 worker threads.",
        twin="sync",
        worker_threads=100,
        database_driver="psycopg",
    ),
    Variant(
        "sync-no-ping",
        _SYNC,
        "The sync variant whose connections are not tested before each use.",
        twin="sync",
        pool_pre_ping=False,
        database_driver="psycopg",
    ),
    Variant(
        "async-no-ping",
        _ASYNC,
        "The async variant whose connections are not tested before each use.",
        twin="async",
        pool_pre_ping=False,
    ),
    Variant(
        "sync-depends",
        "loopmark.targets.sync_depends:build",
        "The sync variant with session, transaction and caller as dependencies.",
        twin="sync",
        database_driver="psycopg",
    ),
    Variant(
        "async-depends",
        "loopmark.targets.async_depends:build",
        "The async variant with session, transaction and caller as dependencies.",
        twin="async",
    ),
    Variant(
        "async-psycopg",
        "loopmark.targets.async_psycopg:build",
        "The async variant on psycopg, the driver of the sync one.",
        twin="async",
        database_driver="psycopg",
    ),
    Variant(
        "async-middleware",
        "loopmark.targets.async_middleware:build",
        "The async variant behind a middleware that adds a header to each response.",
        twin="async",
    ),
    Variant(
        "async-plain",
        "loopmark.targets.async_plain:build",
        "The async variant with events and uploads as tutorials have them: send_text, emit, "
        "UploadFile.",
        twin="async",
    ),
    Variant(
        "blocking-db",
        "loopmark.targets.blocking_db:build",
        "A pitfall: the sync variant's database code, called directly from async def handlers.",
        twin="async-psycopg",
        database_driver="psycopg",
        pools=2,
        fault=faults.BLOCKING_DB,
    ),
    Variant(
        "blocking-io",
        "loopmark.targets.blocking_io:build",
        "A pitfall: the sync variant's file processing, called directly from async def handlers.",
        twin="async",
        fault=faults.BLOCKING_IO,
    ),
    Variant(
        "missing-await",
        "loopmark.targets.missing_await:build",
        "A pitfall: the async variant with a forgotten await.",
        twin="async",
        fault=faults.MISSING_AWAIT,
    ),
    Variant(
        "manual-commit",
        "loopmark.targets.manual_commit:build",
        "A pitfall: the async variant with commits by hand, without a context manager.",
        twin="async",
        fault=faults.MANUAL_COMMIT,
    ),
    Variant(
        "forgotten-commit",
        "loopmark.targets.forgotten_commit:build",
        "A pitfall: the async variant without a context manager, and with the commit forgotten.",
        twin="async",
        fault=faults.FORGOTTEN_COMMIT,
    ),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType({row.name: row for row in _ROWS})
