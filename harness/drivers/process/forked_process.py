"""Processes started by a fork server, and the server's own process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from select import select
from socket import send_fds, socket, socketpair
from typing import BinaryIO

from loopmark.harness.drivers.process import fork_server
from loopmark.harness.errors import UserError


class ForkedProcess:
    """A process started by a fork server, with an interface like `Popen`.

    Args:
        control: The socket on which the server waits.
        module: What it runs, as `python -m` does.
        arguments: What stands behind the module's name.
        fds: File descriptors of its input, output and errors.
        cpus: Processors to stay on; empty means any.
        own_session: Whether it leads a session and a process group.
        forks: Whether it gets a fork server of its own, and the file descriptor of that one's
            socket as `--fork-server`.

    Attributes:
        pid: Its process id.
        returncode: Its exit code, or less than 0 the signal that ended it; None while it runs.

    Raises:
        UserError: The server has ended.
    """

    def __init__(  # noqa: PLR0913 - what a process is started with
        self,
        control: socket,
        module: str,
        arguments: Sequence[str],
        fds: tuple[int, int, int],
        *,
        cpus: Sequence[int] = (),
        own_session: bool = False,
        forks: bool = False,
    ) -> None:
        ours, theirs = socketpair()
        pair = socketpair() if forks else ()
        request = fork_server.Request(module, [*arguments], [*cpus], own_session)
        passed = [theirs.fileno(), *fds, *(end.fileno() for end in pair)]
        self._watcher = ours.makefile("rb")
        self.returncode: int | None = None
        with ours, suppress(ConnectionError):
            send_fds(control, [fork_server.MESSAGE], passed)
            ours.sendall(json.dumps(request).encode() + b"\n")
        for end in (theirs, *pair):
            end.close()
        self.pid = int(self._line() or 0)
        if not self.pid:
            self._watcher.close()
            raise UserError(f"the fork server of {module} has ended")

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; returns its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs after this many seconds.
        """
        if self.returncode is None:
            if timeout is not None and not select([self._watcher], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            code = self._line()
            if not code:  # Its watcher was killed: this process's exit code is lost.
                self._signal(signal.SIGKILL)
            self.returncode = int(code or -signal.SIGKILL)
            self._watcher.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            self._signal(number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _line(self) -> bytes:
        with suppress(ConnectionError):
            return self._watcher.readline()
        return b""


class PipedProcess(ForkedProcess):
    """A forked process in a session of its own, with pipes for its input and output.

    Attributes:
        stdin: Its input, unbuffered.
        stdout: Its output, unbuffered.

    Raises:
        UserError: The server has ended.
    """

    def __init__(  # noqa: PLR0913 - what a process is started with
        self,
        control: socket,
        module: str,
        arguments: Sequence[str],
        stderr: BinaryIO,
        *,
        cpus: Sequence[int] = (),
        forks: bool = False,
    ) -> None:
        stdin, told = os.pipe()
        answers, stdout = os.pipe()
        self.stdin = os.fdopen(told, "wb", buffering=0)
        self.stdout = os.fdopen(answers, "rb", buffering=0)
        fds = (stdin, stdout, stderr.fileno())
        try:
            super().__init__(
                control, module, arguments, fds, cpus=cpus, own_session=True, forks=forks
            )
        except UserError:
            self.stdin.close()
            self.stdout.close()
            raise
        finally:
            os.close(stdin)
            os.close(stdout)


class ForkServer:
    """A fork server's process, which has imported modules and forks processes that run them.

    Args:
        modules: Modules to import; of a package its `__main__`.
    """

    def __init__(self, *modules: str) -> None:
        self._control, theirs = socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        command = [sys.executable, "-P", "-m", fork_server.__name__, str(theirs.fileno()), *modules]
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                pass_fds=[theirs.fileno()],
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

    def wait_until_ready(self) -> None:
        """Return at once; requests sent meanwhile are served when it is ready."""

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        stderr: BinaryIO,
        *,
        cpus: Sequence[int] = (),
        forks: bool = False,
    ) -> PipedProcess:
        """Start a process.

        Args:
            module: What it runs, as `python -m` does.
            arguments: What stands behind the module's name.
            stderr: File for its errors.
            cpus: Processors to stay on; empty means any.
            forks: Whether it gets a fork server of its own.

        Raises:
            UserError: The server has ended.
        """
        try:
            return PipedProcess(self._control, module, arguments, stderr, cpus=cpus, forks=forks)
        except UserError as problem:
            code = self._process.wait()
            self._log.seek(0)
            said = self._log.read().decode(errors="replace").splitlines()[-1:]
            how = ": ".join([f"exit code {code}", *said])
            raise UserError(f"{problem} ({how})") from None

    def stop(self) -> None:
        """End the server; processes that it has started continue."""
        self._process.kill()
        self._process.wait()
        self._control.close()
        self._log.close()
