"""The target processes of one block of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from loopmark.harness.launch.target_process import HOST, TargetFailedError, TargetProcess


class TargetProcesses:
    """Starts targets as they are needed, and ends them all; a context manager.

    Args:
        environment: What they are told.
        logs: Folder for what they write.
        label: Beginning of their files' names.
        cpus: Processors to stay on; empty means any.
        host: Address to listen on.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        logs: Path,
        label: str,
        cpus: Sequence[int],
        host: str = HOST,
    ) -> None:
        self._environment = environment
        self._logs = logs
        self._label = label
        self._cpus = cpus
        self._host = host
        self._targets: dict[str, TargetProcess] = {}
        self._failures: dict[str, TargetFailedError] = {}
        self._started = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end_all()

    def launch(self, name: str) -> None:
        """Start a target without waiting for it: several get ready at the same time."""
        self._started += 1
        self._targets[name] = TargetProcess(
            name,
            self._environment,
            self._logs,
            f"{self._label}-{self._started}-{name}",
            cpus=self._cpus,
            host=self._host,
        )

    def ready(self, name: str) -> TargetProcess:
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

    def end(self, name: str) -> None:
        """End one target; it is launched again when it is needed."""
        if name in self._targets:
            self._targets[name].stop()

    def end_all(self) -> None:
        """End all targets."""
        for target in self._targets.values():
            target.stop()
