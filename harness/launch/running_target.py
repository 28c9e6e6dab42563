"""A running target: started on a free port or already running, awaited until ready, ended."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from loopmark.harness.launch.ports import HOST, free_port
from loopmark.harness.launch.preparation import inherited_environment
from loopmark.harness.launch.target_process import TargetProcess
from loopmark.harness.vocabulary.address import Address
from loopmark.harness.vocabulary.blocking import ProcessEvidence
from loopmark.harness.vocabulary.target import Target

READY_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 5.0
"""Time limits for one check, and for a target that should already be running."""

POLL_S = 0.02

_SERVING = ("--log-level", "warning", "--no-access-log", "--backlog", "4096")
# Longer than any pause between two rounds: no round begins with a closed connection.
_KEEPING = ("--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "2")

PROBE_START = Path(__file__).resolve().parents[1] / "probe" / "start"
"""Folder of what Python imports at its start where the target is probed."""

PROBE_FOLDER = "LOOPMARK_PROBE"
"""Environment variable: tells the probe where to write. Without it there is none."""


class TargetFailedError(Exception):
    """The target did not get ready, or has ended.

    Attributes:
        stderr_tail: The last lines it wrote.
    """

    def __init__(self, message: str, stderr_tail: str = "") -> None:
        super().__init__(message)
        self.stderr_tail = stderr_tail


class RunningTarget:
    """A target that was started, or whose address is known.

    Args:
        target: Which.
        folder: Where its output and its loop-lag file go; the file names begin with `label`.
        label: Distinguishes several processes of one target.
        provided: Environment that our own variants need beside the target's.
        cpus: Processors to stay on; empty means any.
        port: To listen on; a free one when None.
        host: Address to listen on.
        awaited: Whether one that was not started here must answer before it is used.
        probe: Folder for what the probe in it writes; None: it is not probed.
        python: Interpreter that serves an `asgi` target; None for the one that runs this.
        serving: Further options of uvicorn for an `asgi` target.

    Attributes:
        target: Which.
        process: The started process; None for a target that was already running.
        base_url: Where it listens.
        session_name: The `application_name` of one of our own's sessions in the database.
        loop_lag_file: Where one of our own writes its event-loop lag.

    Raises:
        TargetFailedError: It cannot be started.
    """

    def __init__(  # noqa: PLR0913 - all of it describes one process
        self,
        target: Target,
        folder: Path,
        label: str,
        *,
        provided: Mapping[str, str] | None = None,
        cpus: Sequence[int] = (),
        port: int | None = None,
        host: str = HOST,
        awaited: bool = True,
        probe: Path | None = None,
        python: Path | None = None,
        serving: Sequence[str] = (),
    ) -> None:
        self.target = target
        self._python = python
        self._serving = serving
        self._is_awaited = awaited or target.is_launched
        self.process: TargetProcess | None = None
        self.base_url = target.url
        self.session_name = f"loopmark-{token_hex(8)}"
        self.loop_lag_file = folder / f"{label}.loop-lag"
        if not target.is_launched:
            return
        self._port = port if port is not None else free_port(host)
        self.base_url = f"http://{Address(host, self._port)}"
        told = {name: self._filled(value) for name, value in target.environment.items()}
        if target.is_ours:
            own = {"INSTANCE": self.session_name, "LOOP_LAG_FILE": str(self.loop_lag_file)}
            told = {**(provided or {}), **told, **own}
        environment = inherited_environment(target) | told
        if probe is not None:
            others = environment.get("PYTHONPATH")
            starts = os.pathsep.join([str(PROBE_START), *([others] if others else [])])
            environment |= {"PYTHONPATH": starts, PROBE_FOLDER: str(probe)}
        command = self._command(host)
        try:
            self.process = TargetProcess(
                command, folder / f"{label}.log", environment, target.folder, cpus
            )
        except OSError as error:
            reason = f"{error.filename or command[0]}: {error.strerror}"
            raise TargetFailedError(f"{target.name} cannot start: {reason}") from None

    @property
    def is_alive(self) -> bool:
        """Whether it runs, as far as is known here."""
        return self.process is None or self.process.is_alive

    @property
    def stderr_tail(self) -> str:
        """Its last lines of output, and how it ended if it has."""
        return "" if self.process is None else self.process.stderr_tail

    def loops_within(self, start_ns: int, end_ns: int) -> tuple[ProcessEvidence, ...]:  # noqa: ARG002 - of one that is watched
        """What was seen of its event loops in an interval; nothing of a target not watched."""
        return ()

    @property
    def never_awaited(self) -> tuple[str, ...]:
        """Python's warnings in its output, of coroutines that were never awaited."""
        return () if self.process is None else self.process.never_awaited

    def wait_until_ready(self, timeout_s: float | None = None) -> None:
        """Wait until this target, and no other process, answers as expected.

        Args:
            timeout_s: For how long at most, in seconds; if None, as long as its start may take.

        Raises:
            TargetFailedError: It ended, did not get ready in time, or another process answers.
        """
        if not self._is_awaited:
            return
        if timeout_s is None:
            timeout_s = ANSWER_TIMEOUT_S if self.process is None else READY_TIMEOUT_S
        deadline = time.monotonic() + timeout_s
        wrong = "nothing answered"
        while time.monotonic() < deadline:
            if self.process is not None and not self.process.is_alive:
                words = self.process.last_words
                raise self._failure(f"ended at its start{': ' if words else ''}{words}")
            try:
                wrong = self._wrong()
            except (OSError, HTTPException) as error:
                wrong = str(error)
            if not wrong and self.is_alive:  # Else another process answered, on its port.
                return
            time.sleep(POLL_S)
        if self.process is None:
            raise self._failure(f"does not answer at {self.base_url}: {wrong}")
        if (ports := self.process.ports) and self._port not in ports:
            found = ", ".join(map(str, sorted(ports)))
            wrong = f"it was told to listen on port {self._port} and listens on {found}"
        raise self._failure(f"was not ready within {timeout_s:g} s ({wrong})")

    def stop(self) -> None:
        """End the started process."""
        if self.process is not None:
            self.process.stop()

    def _command(self, host: str) -> list[str]:
        python, address = [sys.executable, "-P", "-m"], ["--host", host, "--port", str(self._port)]
        if self.target.is_ours:
            return [*python, "loopmark.targets.serve", self.target.variant, *address]
        if self.target.asgi:
            if self._python is not None:  # Which may be older than -P.
                python = [str(self._python), "-m"]
            served = [self.target.asgi, *address, *_SERVING, *_KEEPING, *self._serving]
            return [*python, "uvicorn", *served]
        return [self._filled(argument) for argument in self.target.command]

    def _filled(self, text: str) -> str:
        return text.replace("{port}", str(self._port))

    def _wrong(self) -> str:
        """Why it is not ready; empty if it is."""
        place = urlsplit(self.base_url)
        port = place.port or (443 if place.scheme == "https" else 80)
        if self.target.ready:
            kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
            # The standard library's client: one of httpx reads certificates for 50 ms first.
            connection = kind(place.hostname or "", port, timeout=ANSWER_TIMEOUT_S)
            try:
                connection.request("GET", place.path.rstrip("/") + self.target.ready)
                response = connection.getresponse()
                status, body = response.status, response.read().decode(errors="replace")
            finally:
                connection.close()
            if status != HTTPStatus.OK:
                return f"status {status} of {self.target.ready}: {' '.join(body[:200].split())}"
            is_another = self.target.is_ours and self.session_name not in body
        else:
            socket.create_connection((place.hostname, port), ANSWER_TIMEOUT_S).close()
            is_another = False
        if self.process is not None and not self.target.is_ours:
            ports = self.process.ports
            is_another = ports is not None and port not in ports
        if is_another and self.is_alive:
            raise self._failure(
                f"is not what answers at {self.base_url}: another process does; what has its "
                "server started elsewhere (docker run) is named by its url"
            )
        return ""

    def _failure(self, what: str) -> TargetFailedError:
        return TargetFailedError(f"{self.target.name} {what}", self.stderr_tail)
