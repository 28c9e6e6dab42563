"""The driver processes of one block of rounds, or of a run whose workers are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from loopmark.harness.errors import UserError
from loopmark.harness.run.driver_process import DriverProcess
from loopmark.harness.vocabulary.job import Workers


class DriverProcesses:
    """Starts drivers as they are needed, and ends them all; a context manager.

    Args:
        logs: Folder for what they write.
        label: Beginning of their files' names.
        cpus: Processors to stay on; empty means any.
        workers: Who drives for a driver that is distributed; None where none is.
    """

    def __init__(
        self, logs: Path, label: str, cpus: Sequence[int], workers: Workers | None = None
    ) -> None:
        self._logs = logs
        self._label = label
        self._cpus = cpus
        self._workers = workers
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

    def ready(self, name: str) -> DriverProcess:
        """The driver, started again when it has ended.

        Raises:
            UserError: Its workers are not there: they did not come, or went with it.
        """
        driver = self._drivers.get(name)
        if driver is not None and driver.is_alive:
            return driver
        if driver is not None:
            driver.stop()
            if self._workers is not None and self._workers.listen:
                raise UserError(
                    f"the {name} driver has ended, and with it the workers on other machines; "
                    f"{self._logs} has what it wrote"
                )
        self._started += 1
        log = self._logs / f"{self._label}-driver-{self._started}-{name}.log"
        driver = self._drivers[name] = DriverProcess(name, log, self._cpus, self._workers)
        driver.wait_until_ready()
        return driver
