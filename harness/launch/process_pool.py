"""Processes by name, started on demand and ended together: targets, or drivers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar


class Pooled(Protocol):
    """A started process, or a substitute."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""

    def wait_until_ready(self) -> None:
        """Wait until it is ready, or raise the reason why it is not."""

    def stop(self) -> None:
        """End it."""


P = TypeVar("P", bound=Pooled)


class ProcessPool(Generic[P]):
    """Starts processes on demand, and ends them all; a context manager.

    Args:
        start: Starts one, given its name and the number of started ones, itself included.
    """

    def __init__(self, start: Callable[[str, int], P]) -> None:
        self._start = start
        self._processes: dict[str, P] = {}
        self._failures: dict[str, Exception] = {}
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end_all()

    def launch(self, name: str) -> None:
        """Start one without waiting for it: several get ready at the same time."""
        self._started += 1
        try:
            self._processes[name] = self._start(name, self._started)
        except Exception as error:  # noqa: BLE001 - raised when it is needed
            self._failures[name] = error

    def ready(self, name: str) -> P:
        """The process, restarted if it has ended.

        Raises:
            Exception: The reason why it cannot be used, now or earlier.
        """
        process = self._processes.get(name)
        if name not in self._failures and (process is None or not process.is_alive):
            self.end(name)
            self.launch(name)
        if name in self._failures:
            raise self._failures[name]
        process = self._processes[name]
        try:
            process.wait_until_ready()
        except Exception as error:
            self._failures[name] = error
            process.stop()
            raise
        return process

    def end(self, name: str) -> None:
        """End one; it is restarted on demand."""
        if name in self._processes:
            self._processes[name].stop()

    def end_all(self) -> None:
        """End all."""
        for process in self._processes.values():
            process.stop()
