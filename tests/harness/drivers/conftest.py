"""What the tests of the drivers share: the event loop, and a certificate."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.harness.drivers.driving import Drive, drive, drive_by_httpx
from tests.harness.drivers.locust_process import LocustProcess
from tests.needed_programs import needed_program


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """The loop that drivers run on."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def locust() -> Iterator[LocustProcess]:
    """The Locust driver's process, which starts with the first job."""
    with LocustProcess().running() as process:
        yield process


@pytest.fixture(params=["native", "httpx", "locust"])
def by(request: pytest.FixtureRequest, locust: LocustProcess) -> Drive:
    """Each of the drivers, for what all must do alike."""
    by_name = {"native": drive, "httpx": drive_by_httpx, "locust": locust.drive_beside}
    return by_name[request.param]


@dataclass(frozen=True)
class Certificate:
    """PEM files of a certificate for 127.0.0.1 that is its own authority."""

    chain: Path
    key: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    openssl = needed_program("openssl", package="openssl")
    folder = tmp_path_factory.mktemp("tls")
    made = Certificate(folder / "chain.pem", folder / "key.pem")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(made.key), "-out", str(made.chain)]
    subprocess.run(command, check=True, capture_output=True)
    return made
