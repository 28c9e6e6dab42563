"""The fork server: processes as `python -m` would start them, and what is told of their end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import psutil
import pytest

from loopmark.harness.drivers.process import fork_server
from loopmark.harness.drivers.process.forked_process import ForkServer
from loopmark.harness.errors import UserError
from tests.hang_limit import HANG_S
from tests.harness.drivers.locust_server import ROOT, TriedProcess

TOLD = "tests.harness.drivers.told"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    server = ForkServer(TOLD)
    yield server
    server.stop()


def killed(server: ForkServer) -> None:
    os.kill(server.pid, signal.SIGKILL)
    while server.is_alive:
        time.sleep(0.01)


def test_input_output_processors_and_exit_codes_are_the_process_s_own(server: ForkServer) -> None:
    cpu = min(os.sched_getaffinity(0))
    echo = TriedProcess(TOLD, "echo", "an argument", cpus=(cpu,), server=server)
    echo.process.stdin.write(b"an input")
    exits, raises = (
        TriedProcess(TOLD, *do, server=server) for do in (("exit", "7"), ("raise", "x"))
    )
    assert echo.ended() == (0, b"an argument an input True", str(cpu).encode())
    assert exits.ended() == (7, b"", b"")
    code, _, errors = raises.ended()
    assert code == 1
    assert errors.endswith(b"ValueError: x\n")


def test_a_signal_reaches_the_process_and_its_end_is_told(server: ForkServer) -> None:
    waits = TriedProcess(TOLD, "wait", server=server)
    assert waits.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        waits.process.wait(0.0)
    waits.process.terminate()
    assert waits.ended() == (-signal.SIGTERM, b"", b"")
    waits.process.kill()  # It may be told again.


def test_a_process_outlives_its_server_and_its_end_is_told_all_the_same(server: ForkServer) -> None:
    waits = TriedProcess(TOLD, "wait", server=server)
    killed(server)
    assert waits.process.poll() is None
    waits.process.terminate()
    assert waits.ended()[0] == -signal.SIGTERM


def test_of_a_process_whose_watcher_is_killed_nothing_stays(server: ForkServer) -> None:
    waits = TriedProcess(TOLD, "wait", server=server)
    process = psutil.Process(waits.process.pid)
    process.parent().kill()  # type: ignore[union-attr] # it is there
    assert waits.ended()[0] == -signal.SIGKILL
    psutil.wait_procs([process], HANG_S)
    assert not process.is_running()


def test_a_request_may_follow_later_on_a_socket_that_does_not_block(server: ForkServer) -> None:
    """As of a client under gevent, on a machine that is busy."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs, tempfile.TemporaryFile() as said:
        fds = [theirs.fileno(), said.fileno(), said.fileno(), said.fileno()]
        socket.send_fds(server._control, [fork_server.MESSAGE], fds)
        theirs.close()
        watchers: list[psutil.Process] = []
        while not watchers:
            watchers = psutil.Process(server.pid).children()
        while watchers[0].status() != psutil.STATUS_SLEEPING:
            assert watchers[0].status() != psutil.STATUS_ZOMBIE
            time.sleep(0.01)
        request = fork_server.Request(TOLD, ["exit", "7"], [], own_session=False)
        ours.sendall(json.dumps(request).encode() + b"\n")
        pid, code = ours.makefile("rb").read().split()
        assert int(pid) > 0
        assert code == b"7"


def test_a_server_that_has_ended_is_told(server: ForkServer) -> None:
    killed(server)
    with pytest.raises(UserError, match=rf"fork server of {TOLD} has ended \(exit code -9\)"):
        TriedProcess(TOLD, "exit", "0", server=server)


def test_a_module_that_cannot_be_imported_is_told() -> None:
    server = ForkServer("absent_module")
    with pytest.raises(UserError, match=r"\(exit code 1: .*No module named 'absent_module'"):
        TriedProcess("absent_module", server=server)
    server.stop()
