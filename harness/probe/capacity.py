"""What requests may wait for inside a process: tokens of worker threads, connections of pools."""

from __future__ import annotations

import sys
import weakref
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any


@dataclass(slots=True)
class Use:
    """The most that was seen of a limited resource.

    Attributes:
        limit: How many there are.
        most_used: At once.
        most_waiting: For one of them.
        used: Now.
    """

    limit: float = 0
    most_used: int = 0
    most_waiting: int = 0
    used: int = 0

    def note(self, limit: float, used: int, waiting: int) -> None:
        """Take in what is seen now."""
        self.limit = limit
        self.used = used
        self.most_used = max(self.most_used, used)
        self.most_waiting = max(self.most_waiting, waiting)


_threads = Use()
_limiter: list[Any] = []
_epoch = [0]
_pools: weakref.WeakKeyDictionary[Any, Use] = weakref.WeakKeyDictionary()


def watch_threads() -> None:
    """Look at anyio's worker threads from now on, if the application uses anyio.

    To be called by a task of the event loop.
    """
    to_thread = sys.modules.get("anyio.to_thread")
    if to_thread is not None:
        _limiter.append(to_thread.current_default_thread_limiter())


def watch_pools(module: ModuleType) -> None:
    """Look at each of SQLAlchemy's pools that is made from now on.

    Args:
        module: `sqlalchemy.pool.impl`.
    """

    # Not around __init__: SQLAlchemy reads from its signature what an engine's arguments may be.
    def create_watched(kind: type[Any], *_args: object, **_kwargs: object) -> object:
        pool = object.__new__(kind)
        _pools[pool] = Use()
        return pool

    module.QueuePool.__new__ = staticmethod(create_watched)


def sample(epoch: int) -> None:
    """Take in how many are used and waited for now.

    Args:
        epoch: With a new one, the most that was seen is forgotten.
    """
    if epoch != _epoch[-1]:
        _epoch[:] = [epoch]
        for use in (_threads, *list(_pools.values())):
            use.most_used = use.most_waiting = 0
    for limiter in _limiter:
        statistics = limiter.statistics()
        _threads.note(limiter.total_tokens, statistics.borrowed_tokens, statistics.tasks_waiting)
    for pool, use in list(_pools.items()):
        if not hasattr(pool, "_pool"):
            continue  # Another thread is about to make it.
        limit = pool.size() + max(0, getattr(pool, "_max_overflow", 0))
        use.note(limit, pool.checkedout(), _waiting(pool))


def seen() -> dict[str, object]:
    """All of it, as JSON can hold it."""
    return {
        "threads": asdict(_threads) if _limiter else None,
        "pools": [asdict(use) for use in list(_pools.values())],
    }


def _waiting(pool: Any) -> int:  # noqa: ANN401 - SQLAlchemy's
    """How many wait for a connection, of threads or of tasks."""
    queue = getattr(pool, "_pool", None)
    if (not_empty := getattr(queue, "not_empty", None)) is not None:
        return len(getattr(not_empty, "_waiters", ()))
    return len(getattr(vars(queue).get("_queue"), "_getters", ())) if queue is not None else 0
