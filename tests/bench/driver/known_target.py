"""A target that does what it is known to do: `python -m …known_target --port N`.

    /          answers at once
    /stall     stands still on a schedule (`known_behaviour.STALL`)
    /answers   answers after a known delay, every 20th time with status 500 (`DELAY`, `ERRORS`)
    /schedule  tells when the stall schedule began, in ns of CLOCK_MONOTONIC

It understands GET without a body and ends with its standard input, so it does not outlive its
parent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import sys
import time
from collections.abc import Iterator
from random import Random

from tests.bench.driver.known_behaviour import DELAY, ERRORS, STALL

END_OF_HEAD = b"\r\n\r\n"


class Behaviour:
    """What all connections share.

    Args:
        epoch_s: When the stall schedule begins, in seconds of the event loop's clock.
        seed: Of the delays.
    """

    def __init__(self, epoch_s: float, seed: int) -> None:
        self._epoch_s = epoch_s
        self._delays: Iterator[float] = DELAY.draws_s(Random(seed))
        self._answered = 0
        self._waiting: list[asyncio.Transport] = []
        self._ok = _answer(200, {"status": "ok"})
        self._failure = _answer(500, {"status": "error"})
        self._schedule = _answer(200, {"epoch_ns": round(epoch_s * 1e9)})

    def answer(self, path: bytes, transport: asyncio.Transport) -> None:
        """Answer a request now or when its time has come."""
        if path == b"/stall":
            self._stall(transport)
        elif path == b"/answers":
            failed = ERRORS.fails(self._answered)
            self._answered += 1
            loop = asyncio.get_running_loop()
            loop.call_later(
                next(self._delays), transport.write, self._failure if failed else self._ok
            )
        else:
            transport.write(self._schedule if path == b"/schedule" else self._ok)

    def _stall(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        remaining_s = STALL.remaining_s(now - self._epoch_s)
        # Who waits is answered in the order of arrival, also where a turn of the loop at the very
        # end of the stall finds new requests before it finds the timer.
        if remaining_s == 0 and not self._waiting:
            transport.write(self._ok)
            return
        if not self._waiting:
            loop.call_at(now + remaining_s, self._go_on)
        self._waiting.append(transport)

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            transport.write(self._ok)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while END_OF_HEAD in self._received:
            head, _, self._received = self._received.partition(END_OF_HEAD)
            self._behaviour.answer(head.split(b" ", 2)[1], self._transport)


def _answer(status: int, body: dict[str, object]) -> bytes:
    content = json.dumps(body).encode()
    reason = "OK" if status == 200 else "Internal Server Error"
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


async def serve(port: int, epoch_s: float, seed: int) -> None:
    """Listen until the standard input ends."""
    loop = asyncio.get_running_loop()
    behaviour = Behaviour(epoch_s, seed)
    await loop.create_server(lambda: Connection(behaviour), "127.0.0.1", port, backlog=4096)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--epoch-s", type=float, default=time.monotonic())
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    # select() takes its timeout in microseconds where epoll rounds it up to whole milliseconds:
    # with it a delay is kept to about a tenth of a millisecond. It serves up to 1000 connections.
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
    ) as runner:
        runner.run(serve(arguments.port, arguments.epoch_s, arguments.seed))


if __name__ == "__main__":
    main()
