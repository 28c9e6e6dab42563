"""The target and driver processes of one block of rounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.driver_process import DriverProcess
from harness.target_process import TargetFailedError, TargetProcess
from harness.vocabulary.record import Pinning


class BlockProcesses:
    """Starts them as they are needed, and ends them all; a context manager.

    Args:
        environment: What targets are told.
        logs: Folder for what the processes write.
        label: Beginning of their files' names.
        pinning: Which processors each side stays on.
    """

    def __init__(
        self, environment: Mapping[str, str], logs: Path, label: str, pinning: Pinning
    ) -> None:
        self._environment = environment
        self._logs = logs
        self._label = label
        self._pinning = pinning
        self._targets: dict[str, TargetProcess] = {}
        self._failures: dict[str, TargetFailedError] = {}
        self._drivers: dict[str, DriverProcess] = {}
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for driver in self._drivers.values():
            driver.stop()
        self.end_targets()

    def launch(self, name: str) -> None:
        """Start a target without waiting for it: several get ready at the same time."""
        self._targets[name] = TargetProcess(
            name, self._environment, self._logs, self._next(name), cpus=self._pinning.target
        )

    def ready_target(self, name: str) -> TargetProcess:
        """The target, launched again when it has ended in an earlier round.

        Raises:
            TargetFailedError: It does not come up, or did not before in this block.
        """
        if name in self._failures:
            raise self._failures[name]
        target = self._targets.get(name)
        if target is None or not target.is_alive:
            self.launch(name)
            target = self._targets[name]
        try:
            target.wait_until_ready()
        except TargetFailedError as error:
            self._failures[name] = error
            target.stop()
            raise
        return target

    def driver(self, name: str) -> DriverProcess:
        """The driver, started again when it has ended."""
        driver = self._drivers.get(name)
        if driver is None or not driver.is_alive:
            if driver is not None:
                driver.stop()
            log = self._logs / f"{self._next(f'driver-{name}')}.log"
            driver = self._drivers[name] = DriverProcess(name, log, self._pinning.driver)
        return driver

    def end_target(self, name: str) -> None:
        """End one target; it is launched again when it is needed."""
        if name in self._targets:
            self._targets[name].stop()

    def end_targets(self) -> None:
        """End all targets."""
        for target in self._targets.values():
            target.stop()

    def _next(self, name: str) -> str:
        self._started += 1
        return f"{self._label}-{self._started}-{name}"
