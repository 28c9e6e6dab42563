"""Targets in processes of their own that begin with everything imported.

A Python that imports all of it takes a second of CPU time for that; its forks take none. Started as
a program, this is the process that forks: it reads orders from stdin and answers on stdout, each a
line of JSON.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path


class ForkedProcess:
    """`loopmark.targets.serve` in a process that the fork server has started.

    Args:
        url: Where it will listen.
        arguments: Its command line.
        environment: All that it has.
        stderr: The file of its log.
        heeds_permissions: Whether a process of root's finds files unreadable, as every other user's
            does.
    """

    def __init__(
        self,
        url: str,
        arguments: list[str],
        environment: dict[str, str],
        stderr: Path,
        *,
        heeds_permissions: bool = False,
    ) -> None:
        self.url = url
        self.returncode: int | None = None
        self.stderr = stderr
        order = {
            "arguments": arguments,
            "environment": environment,
            "stderr": str(stderr),
            "heeds_permissions": heeds_permissions,
        }
        answer = _ask(order)
        assert answer is not None
        self.pid = answer

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float) -> int:
        deadline = time.monotonic() + timeout
        while (returncode := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("loopmark.targets.serve", timeout)
            time.sleep(0.01)
        return returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def log(self) -> str:
        return self.stderr.read_text()


@cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(server.communicate)  # Without orders it ends.
    return server


def _ask(order: dict[str, object]) -> int | None:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(order) + "\n")
    server.stdin.flush()
    answer: int | None = json.loads(server.stdout.readline())
    return answer


def main() -> int:
    # Not above: the processes of a target's pool import this module when they start.
    from loopmark.targets import async_app, serve, sync_app  # noqa: F401, PLC0415

    running: set[int] = set()
    # readline, as iteration would read ahead what a fork then has too.
    while line := sys.stdin.readline():
        order = json.loads(line)
        answer: int | None
        if "ended" in order:
            pid, status = os.waitpid(order["ended"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
            running.discard(pid)
        else:
            answer = os.fork()
            if answer == 0:
                _change(order)
                return serve.main()
            running.add(answer)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    return 0


def _change(order: dict[str, object]) -> None:
    """Turn this fork into the process that was ordered."""
    log = os.open(str(order["stderr"]), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDWR)
    for own, standard in ((nothing, 0), (nothing, 1), (log, 2)):
        os.dup2(own, standard)
    assert isinstance(order["environment"], dict)
    assert isinstance(order["arguments"], list)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv[1:] = order["arguments"]
    if order["heeds_permissions"] and sys.platform == "linux" and os.geteuid() == 0:
        _drop_capabilities(1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def _drop_capabilities(*numbers: int) -> None:
    libc = ctypes.CDLL(None)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable; then of 32 and above
    libc.capget(header, sets)
    for number in numbers:
        libc.prctl(24, number, 0, 0, 0)  # PR_CAPBSET_DROP: nor does what it starts get it back
        for index in range(3):
            sets[index] &= ~(1 << number)
    assert libc.capset(header, sets) == 0


if __name__ == "__main__":
    sys.exit(main())
