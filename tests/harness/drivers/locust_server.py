"""The fork server of the Locust driver that all tests of a session share, and what it starts."""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.drivers.process.forked_process import ForkServer
from loopmark.harness.errors import UserError
from tests.hang_limit import HANG_S

ROOT = Path(__file__).parents[3]
CHILD = "tests.harness.drivers.locust_child"


def started_server() -> ForkServer:
    """One that has the environment of now."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        return ForkServer(DRIVERS["locust"], CHILD)


@cache
def locust_server() -> ForkServer:
    server = started_server()
    atexit.register(server.stop)
    return server


class TriedProcess:
    """A process whose input, output and errors a test has in its hands."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        cpus: Sequence[int] = (),
        forks: bool = False,
        server: ForkServer | None = None,
    ) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `ended`
        starts = server or locust_server()
        try:
            self.process = starts.start(module, arguments, self._errors, cpus=cpus, forks=forks)
        except UserError:
            self._errors.close()
            raise

    def ended(self) -> tuple[int, bytes, bytes]:
        """Close its input and wait: its exit code, and what it wrote to stdout and stderr."""
        process = self.process
        process.stdin.close()
        try:
            code = process.wait(HANG_S)
        finally:
            process.kill()
        with process.stdout, self._errors as errors:
            errors.seek(0)
            return code, process.stdout.read(), errors.read()
