"""Forks processes of modules that it has imported already: `python -m … FD MODULE…`.

Importing a driver takes a second of CPU, forking a process that has imported it some milliseconds.
The server waits on a socket, without threads or a running event loop. For each message it forks a
watcher, which forks the requested process and reports its process id and exit code, so these do not
get lost with the server. `forked_process` is its client.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec

# Bound here: what is imported for others may replace them, as gevent does.
from os import close, fork, waitpid
from socket import recv_fds, socket
from typing import NamedTuple

MESSAGE = b"+"
"""With file descriptors: for the watcher, for input, output and errors of the process, and both
ends of a socket if a fork server of its own is to start processes for it."""

MOST_FDS = 6
READ_BYTES = 64 * 1024


class Request(NamedTuple):
    """The request to a watcher, as a line of JSON.

    Attributes:
        module: What the process runs, as `python -m` does.
        arguments: Command-line arguments after the module's name.
        cpus: Processors to stay on; empty means any.
        own_session: Whether it leads a session and a process group.
    """

    module: str
    arguments: list[str]
    cpus: list[int]
    own_session: bool


def main(control: int, modules: list[str]) -> None:
    """Import modules, then serve until all clients are gone."""
    for module in modules:
        import_module(_main_module(module))
    # Else each process would copy the memory of all this when it looks for garbage at its end.
    gc.collect()
    gc.freeze()
    # By default that raises; who asks for an end gets it at once.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _serve(socket(fileno=control))


def _serve(control: socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for the watchers.
    while (received := recv_fds(control, len(MESSAGE), MOST_FDS))[0]:
        fds = received[1]
        if fork() == 0:
            control.close()
            _watch(socket(fileno=fds[0]), fds[1:])
            return
        for fd in fds:
            close(fd)


def _watch(asker: socket, fds: list[int]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asker.setblocking(True)  # A pair that gevent has made does not block, and the text may follow.
    text = b""
    while not text.endswith(b"\n"):
        text += asker.recv(READ_BYTES)
    pid = fork()
    if pid == 0:
        asker.close()
        _become(Request(*json.loads(text)), fds)
        return
    for fd in fds:
        close(fd)
    with suppress(BrokenPipeError):
        asker.sendall(b"%d\n" % pid)
        _, status = waitpid(pid, 0)
        asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: Request, fds: list[int]) -> None:
    """Run a module as `python -m` does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request.own_session:
        os.setsid()
    if request.cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, request.cpus)
    arguments = request.arguments
    if server := fds[3:]:
        if fork() == 0:
            # Whoever reads the process's output waits for the end of all that hold it.
            for fd in fds[:4]:
                close(fd)
            _serve(socket(fileno=server[1]))
            return
        close(server[1])
        arguments += ["--fork-server", str(server[0])]
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
        close(fd)
    sys.argv = [request.module, *arguments]
    sys.modules.pop(_main_module(request.module), None)  # It runs anew, as the main module.
    try:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)
    finally:
        gc.freeze()  # What it may have taken back, for its rounds.


def _main_module(name: str) -> str:
    spec = find_spec(name)
    return f"{name}.__main__" if spec and spec.submodule_search_locations else name


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
