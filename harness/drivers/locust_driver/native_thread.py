"""A thread of the operating system beside the greenlets."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

import gevent
from gevent.queue import Queue
from gevent.threadpool import ThreadPool

T = TypeVar("T")


class NativeThread(Executor):
    """Makes calls on one native thread, in their order, while greenlets go on.

    gevent makes greenlets of Python's threads, and a thread pool of its own lets whoever asks wait
    while its threads are busy. Here `submit` never waits: it may be called from the hub.
    """

    def __init__(self) -> None:
        self._pool = ThreadPool(1)
        self._calls: Queue[Any] = Queue()
        self._pump = gevent.spawn(self._make_calls)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:  # noqa: ANN401 - as `Executor` has it
        """Make a call when those before it are done."""
        future: Future[T] = Future()
        self._calls.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - as `Executor` has it
        """End when all calls are made."""
        self._calls.put(None)
        if wait:
            self._pump.join()

    def _make_calls(self) -> None:
        while (call := self._calls.get()) is not None:
            future, *what = call
            result, problem = self._pool.apply(_outcome, what)
            if problem is None:
                future.set_result(result)
            else:
                future.set_exception(problem)
        self._pool.kill()


def _outcome(
    fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[T | None, Exception | None]:
    """What came of a call; gevent would write of what is raised to stderr."""
    try:
        return fn(*args, **kwargs), None
    except Exception as problem:  # noqa: BLE001 - raised to who asks for the result
        return None, problem
