"""Worker processes for computations of a server, started on first use."""

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import get_context, parent_process
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class ProcessPool:
    """As many processes as there are processors for this one. Thread-safe.

    If a process dies, all pending calls of its pool raise BrokenProcessPool. The next call starts
    new processes.
    """

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def submit(
        self,
        function: Callable[Arguments, Result],
        /,
        *arguments: Arguments.args,
        **keywords: Arguments.kwargs,
    ) -> Future[Result]:
        """Call a function in one of the processes; the first call waits for their start.

        Raises:
            BrokenProcessPool: They cannot be started.
        """
        with self._lock:
            if self._executor is not None:
                with suppress(BrokenProcessPool):
                    return self._executor.submit(function, *arguments, **keywords)
            self._executor = _executor()
            return self._executor.submit(function, *arguments, **keywords)

    def close(self) -> None:
        """End the processes after their current calls; waiting calls are dropped."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)


def _executor() -> ProcessPoolExecutor:
    # Not forked from this process: a fork takes its locks and its event loop as they are.
    return ProcessPoolExecutor(
        max_workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        mp_context=get_context("forkserver"),
        initializer=_begin,
    )


def _begin() -> None:
    """Ignore Ctrl-C, and end with the server, even if it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_server, daemon=True).start()


def _end_with_the_server() -> None:
    server = parent_process()
    assert server is not None
    server.join()
    signal.raise_signal(signal.SIGKILL)
