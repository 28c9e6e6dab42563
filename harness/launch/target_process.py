"""A target as a process: started on a free port, awaited until ready, ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from loopmark.harness.errors import UserError
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.processors import staying_on
from loopmark.harness.vocabulary.address import Address

HOST = "127.0.0.1"
READY_TIMEOUT_S = 30.0
POLL_S = 0.02
POLL_TIMEOUT_S = 5.0
STDERR_TAIL_LINES = 20


class TargetFailedError(Exception):
    """The target did not come up, or is gone.

    Attributes:
        stderr_tail: The last lines it wrote.
    """

    def __init__(self, message: str, stderr_tail: str) -> None:
        super().__init__(message)
        self.stderr_tail = stderr_tail


class TargetProcess:
    """One started reference target.

    Args:
        name: The variant.
        environment: What it is told beside the present environment.
        folder: Where its output and its loop-lag file go; the file names begin with `label`.
        label: Distinguishes several processes of one variant.
        cpus: Processors to stay on.
        port: To listen on; a free one when None.
        host: Address to listen on.

    Attributes:
        name: The variant.
        base_url: Where it listens.
        session_name: The `application_name` of its sessions in the database.
        loop_lag_file: Where it writes how late its event loop wakes.
    """

    def __init__(  # noqa: PLR0913 - all of it describes one process
        self,
        name: str,
        environment: Mapping[str, str],
        folder: Path,
        label: str,
        *,
        cpus: Sequence[int] = (),
        port: int | None = None,
        host: str = HOST,
    ) -> None:
        self.name = name
        self.session_name = f"loopmark-{token_hex(8)}"
        chosen = port if port is not None else free_port(host)
        self.base_url = f"http://{Address(host, chosen)}"
        self.loop_lag_file = folder / f"{label}.loop-lag"
        self._log = folder / f"{label}.log"
        command = [sys.executable, "-P", "-m", "loopmark.targets.serve", name]
        command += ["--host", host, "--port", str(chosen)]
        own = {"INSTANCE": self.session_name, "LOOP_LAG_FILE": str(self.loop_lag_file)}
        with self._log.open("wb") as log, staying_on(cpus):
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                env=os.environ | environment | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def stderr_tail(self) -> str:
        """The last lines that it wrote, and how it ended if it has."""
        lines = last_lines(self._log)
        code = self._process.poll()
        if code is not None:
            lines.append(f"[ended by signal {-code}]" if code < 0 else f"[exit code {code}]")
        return "\n".join(lines)

    def wait_until_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Poll `/ready` until this very process answers.

        Raises:
            TargetFailedError: It ended, did not get ready in time, or another process answers.
        """
        deadline = time.monotonic() + timeout_s
        answer = "nothing answered"
        while time.monotonic() < deadline:
            if not self.is_alive:
                raise TargetFailedError(f"{self.name} ended at its start", self.stderr_tail)
            try:
                status, body = self._get_ready()
            except (OSError, HTTPException) as error:
                answer = str(error)
            else:
                if status == HTTPStatus.OK:
                    if self.session_name in body:
                        return
                    message = f"another process answers at {self.base_url}"
                    raise TargetFailedError(message, self.stderr_tail)
                answer = f"status {status}: {body[:200]}"
            time.sleep(POLL_S)
        message = f"{self.name} was not ready within {timeout_s:g} s ({answer})"
        raise TargetFailedError(message, self.stderr_tail)

    def stop(self) -> None:
        """End it and all that it started."""
        end(self._process)

    def _get_ready(self) -> tuple[int, str]:
        # The standard library's client: a client of httpx reads certificates for 50 ms first.
        place = urlsplit(self.base_url)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=POLL_TIMEOUT_S)
        try:
            connection.request("GET", "/ready")
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()


def last_lines(log: Path) -> list[str]:
    """The end of what a process wrote: enough to see how it died."""
    return log.read_text(errors="replace").splitlines()[-STDERR_TAIL_LINES:]


def free_port(host: str = HOST) -> int:
    """A TCP port on which nothing listens now.

    Raises:
        OSError: It is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def require_free(port: int) -> None:
    """Check that the port can be listened on.

    Raises:
        UserError: It is taken, or not allowed.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(
                f"port {port} on {HOST} cannot be used: {error.strerror}; "
                "name another with --port, or leave it out for a free one"
            ) from None


def require_listenable(address: Address) -> None:
    """Check that an address that others are to reach is one of this machine's, and its port free.

    Raises:
        UserError: It is not.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(
                f"--listen: cannot listen on {address}: {reason}; name an address of this machine "
                "and a free port"
            ) from None
