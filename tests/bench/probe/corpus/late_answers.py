"""The application's side of `late_peer`: what it waits for, and how it asks to be kept waiting."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PEER = Path(__file__).with_name("late_peer.py")
FIFO = "fifo"
NAMESERVER_OFFSET = 20
"""In glibc's `struct __res_state`: two ints, an unsigned long, how many servers, the servers."""
COUNT_OFFSET = 16


@dataclass
class LateAnswers:
    """Connections to a process that answers late.

    Attributes:
        connection: A blocking socket.
        fifo: A blocking file.
        has_names: Whether host names are resolved by it too: with glibc they are.
    """

    connection: socket.socket
    fifo: BinaryIO
    has_names: bool
    _process: subprocess.Popen[bytes]
    _control: asyncio.StreamWriter
    _folder: tempfile.TemporaryDirectory[str]

    async def request(self, what: str, seconds: float) -> None:
        """Ask for a byte on the `socket` or in the `fifo`, after so many seconds."""
        self._control.write(f"{what} {seconds:.6f}\n".encode())
        await self._control.drain()

    async def close(self) -> None:
        """End the process."""
        self._control.close()
        await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        self._process.wait()
        self.connection.close()
        self.fifo.close()
        self._folder.cleanup()


async def late_answers() -> LateAnswers:
    """Start the process. Call it on the thread that is to resolve names."""
    ours, theirs = socket.socketpair()
    # Preparations take place in threads: no tool is to accuse the application of them.
    folder, process = await asyncio.to_thread(_start, theirs)
    reader, control = await asyncio.open_connection(sock=ours)
    ports = json.loads(await reader.readline())
    connection, fifo = await asyncio.to_thread(_connect, ports["tcp"], Path(folder.name) / FIFO)
    return LateAnswers(connection, fifo, _resolve_at(ports["udp"]), process, control, folder)


def _start(
    control: socket.socket,
) -> tuple[tempfile.TemporaryDirectory[str], subprocess.Popen[bytes]]:
    folder = tempfile.TemporaryDirectory(prefix="corpus-")
    path = Path(folder.name) / FIFO
    os.mkfifo(path)
    with control:
        return folder, subprocess.Popen(
            [sys.executable, str(PEER), str(path)], stdin=control.fileno()
        )


def _connect(port: int, path: Path) -> tuple[socket.socket, BinaryIO]:
    connection = socket.create_connection(("127.0.0.1", port))
    # Open for writing as well: so it does not wait for the other side, and never ends.
    return connection, os.fdopen(os.open(path, os.O_RDWR), "rb")


def _resolve_at(port: int) -> bool:
    """Let this thread's resolver ask 127.0.0.1 at this port; returns whether it can be told so.

    The state of glibc's resolver is the thread's own, and may be changed: see resolver(3).
    """
    try:
        libc = ctypes.CDLL(None)
        libc.__res_init()
        libc.__res_state.restype = ctypes.c_void_p
        state = libc.__res_state()
    except (AttributeError, OSError):
        return False
    server = (
        socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + bytes((127, 0, 0, 1))
    )
    ctypes.memmove(state + NAMESERVER_OFFSET, server, len(server))
    ctypes.c_int.from_address(state + COUNT_OFFSET).value = 1
    return True
