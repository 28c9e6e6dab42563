"""The variants by name: a target is one file, and one row here."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Variant:
    """One implementation of the contract.

    Attributes:
        name: Its name in plans, reports and the command line.
        factory: `module:function`; the function takes Settings and returns the application.
        worker_threads: Size of the thread pool that runs `def` handlers.
        description: One sentence.
        preparation: Module that makes the tables and folders it needs.
    """

    name: str
    factory: str
    worker_threads: int
    description: str
    preparation: str = "loopmark.targets.preparation"


_ROWS = (
    Variant(
        "sync",
        "loopmark.targets.sync_app:build",
        40,
        "Plain def handlers in the framework's pool of 40 threads, Session on psycopg.",
    ),
    Variant(
        "sync-one-thread",
        "loopmark.targets.sync_app:build",
        1,
        "The sync variant with one worker thread: requests are served one after another.",
    ),
    Variant(
        "async",
        "loopmark.targets.async_app:build",
        40,
        "async def handlers on the event loop, AsyncSession on asyncpg.",
    ),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType({row.name: row for row in _ROWS})
