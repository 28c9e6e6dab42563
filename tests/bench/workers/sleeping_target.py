"""A target that sleeps: `python -m … --host H --port N --delay-ms D`.

It answers each request of the scenario `wait-timer` after the delay, counts those that waited, and
tells how many at `/count`. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import cast

import uvloop

END_OF_HEAD = b"\r\n\r\n"
WARM = b"seconds=0&"


class Connection(asyncio.Protocol):
    """One client's connection."""

    answered = 0
    delay_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while END_OF_HEAD in self._received:
            head, _, self._received = self._received.partition(END_OF_HEAD)
            self._answer(head.split(b" ", 2)[1])

    def _answer(self, path: bytes) -> None:
        if path == b"/count":
            self._write(b'{"answered": %d}' % Connection.answered)
        elif WARM in path:
            self._write(b"{}")
        elif self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, self._wake)
        else:
            self._wake()

    def _wake(self) -> None:
        Connection.answered += 1
        self._write(b'{"status": "success", "waited_s": 0.5, "on": "timer"}')

    def _write(self, body: bytes) -> None:
        if not self._transport.is_closing():
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)


async def serve(host: str, port: int) -> None:
    """Listen until the standard input ends."""
    loop = asyncio.get_running_loop()
    await loop.create_server(Connection, host, port, backlog=4096)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay-ms", type=float, required=True)
    chosen = parser.parse_args()
    Connection.delay_s = chosen.delay_ms / 1e3
    uvloop.run(serve(chosen.host, chosen.port))
