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
    """Runs calls on one native thread, in order, while greenlets continue.

    gevent turns Python's threads into greenlets, and its own thread pool blocks the caller while
    its threads are busy. Here `submit` never waits: it may be called from the hub.
    """

    def __init__(self) -> None:
        self._pool = ThreadPool(1)
        self._calls: Queue[Any] = Queue()
        self._pump = gevent.spawn(self._make_calls)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:  # noqa: ANN401 - as `Executor` has it
        """Run a call after those before it."""
        future: Future[T] = Future()
        self._calls.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - as `Executor` has it
        """End after all calls."""
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
    """The result of a call; gevent would print an exception to stderr."""
    try:
        return fn(*args, **kwargs), None
    except Exception as problem:  # noqa: BLE001 - raised to who asks for the result
        return None, problem
