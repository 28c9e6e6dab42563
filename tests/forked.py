"""Programs of ours in processes that begin with everything imported.

A Python that imports all of it takes a second or more of CPU time for that; its forks take none.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from threading import Thread
from typing import BinaryIO, Self, TextIO

import pytest

from loopmark.harness.drivers.process.forked_process import ForkServer, PipedProcess
from tests import forked_start
from tests.forked_start import Surroundings

ROOT = Path(__file__).parents[1]
START = forked_start.__name__

TARGETS = ("loopmark.targets.serve", "loopmark.targets.async_app", "loopmark.targets.sync_app")
COMMAND_LINE = (
    "loopmark.harness.cli",
    "loopmark.harness.commands.listing",
    "loopmark.harness.commands.measuring",
    "loopmark.harness.commands.plans",
    "loopmark.harness.commands.run",
    "loopmark.harness.commands.verification",
    "loopmark.reports.html",
)


@cache
def fork_server(*modules: str) -> ForkServer:
    """The one that has imported these modules; it lives as long as this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        server = ForkServer(START, *modules)
    atexit.register(server.stop)
    return server


def start(
    server: ForkServer, surroundings: Surroundings, *arguments: str, stderr: BinaryIO
) -> PipedProcess:
    """Start a module; its input is at its end."""
    process = server.start(START, [json.dumps(surroundings), *arguments], stderr)
    process.stdin.close()
    return process


class CommandLine:
    """`loopmark` with arguments, in a session of its own, with the interface of `Popen`."""

    def __init__(self, *arguments: str, folder: Path, environment: Mapping[str, str]) -> None:
        said, stderr = os.pipe()
        surroundings = Surroundings("loopmark", str(folder), dict(environment))
        with os.fdopen(stderr, "wb") as file:
            self._process = start(fork_server(*COMMAND_LINE), surroundings, *arguments, stderr=file)
        self.pid = self._process.pid
        self.stdout: TextIO = TextIOWrapper(self._process.stdout)
        self.stderr: TextIO = os.fdopen(said)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.stderr.close()
        self._process.wait()

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    def poll(self) -> int | None:
        return self._process.poll()

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """The rest of its output and of its errors, to its end.

        Raises:
            subprocess.TimeoutExpired: It still runs after this many seconds.
        """
        texts = {self.stdout: "", self.stderr: ""}

        def read(file: TextIO) -> None:
            texts[file] = "" if file.closed else file.read()

        readers = [Thread(target=read, args=[file], daemon=True) for file in texts]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired("loopmark", timeout or 0)
        for file in texts:
            file.close()
        self._process.wait(timeout)
        return texts[self.stdout], texts[self.stderr]
