"""The generators that are compared: one row each."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

PACKAGE = "tests.bench.driver.generators"
OURS = "loopmark native"
OURS_HTTPX = "loopmark httpx"
OURS_LOCUST = "loopmark locust"
DRIVERS = (OURS, OURS_HTTPX, OURS_LOCUST)
WRK = "wrk"
FAST = "Locust FastHttpUser"
HEY = "hey"
POOL = "httpx, its own pool"


@dataclass(frozen=True, slots=True)
class Generator:
    """A row of the tables.

    Attributes:
        name: As it is shown.
        module: The module of its process, in `generators/`.
        kind: What it is told beside the task.
        program: The program that must be installed, if it is one.
        has_rate: Whether it can be asked for requests per second.
        is_open: Whether it then sends when requests are due, whatever became of those before.
    """

    name: str
    module: str
    kind: str = ""
    program: str = ""
    has_rate: bool = True
    is_open: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether there is the program that it needs."""
        return not self.program or shutil.which(self.program) is not None


GENERATORS = (
    Generator(OURS, "loopmark", "native", is_open=True),
    Generator(OURS_HTTPX, "loopmark", "httpx", is_open=True),
    Generator(OURS_LOCUST, "loopmark", "locust", is_open=True),
    Generator(WRK, "wrk", program="wrk", has_rate=False),
    Generator(HEY, "hey", program="hey"),
    Generator("aiohttp", "aiohttp_session"),
    Generator(FAST, "locust_users", "fast"),
    Generator("httpx-aiohttp", "httpx_client", "aiohttp"),
    Generator("Locust HttpUser", "locust_users", "http"),
    Generator(POOL, "httpx_client", "pool"),
)
