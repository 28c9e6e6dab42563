"""A target that does what it is known to do: `python -m …known_target --port N`.

    /          answers at once
    /stall     stands still on a schedule (`known_behaviour.STALL`)
    /answers   answers after a known delay, every 20th time with status 500 (`DELAY`, `ERRORS`)
    /schedule  tells when the stall schedule began, in ns of CLOCK_MONOTONIC
    /delays    tells the delays that there really were on /answers, in us, failures left out: from
               when a request was read until its answer was written

It understands GET without a body and ends with its standard input, so it does not outlive its
parent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from array import array
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import cast

import uvloop

from loopmark.harness.drivers.pacing.loop import AsyncioLoop
from loopmark.harness.drivers.pacing.precise_timer import Calendar
from tests.bench.driver.known_behaviour import DELAY, ERRORS, STALL

END_OF_HEAD = b"\r\n\r\n"


class Behaviour:
    """What all connections share.

    Args:
        calendar: Answers when it is time.
        epoch_s: When the stall schedule begins, in seconds of CLOCK_MONOTONIC.
        seed: Of the delays.
    """

    def __init__(self, calendar: Calendar, epoch_s: float, seed: int) -> None:
        self._calendar = calendar
        self._epoch_s = epoch_s
        self._delays: Iterator[float] = DELAY.draws_s(Random(seed))
        self._answered = 0
        self._delays_us = array("q")
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
            now_ns = time.monotonic_ns()
            answer = self._fail if failed else self._succeed
            due_ns = now_ns + round(next(self._delays) * 1e9)
            self._calendar.at(due_ns, partial(answer, transport, now_ns))
        elif path == b"/delays":
            transport.write(_answer(200, {"us": self._delays_us.tolist()}))
        else:
            transport.write(self._schedule if path == b"/schedule" else self._ok)

    def _succeed(self, transport: asyncio.Transport, read_ns: int) -> None:
        self._delays_us.append((time.monotonic_ns() - read_ns) // 1000)
        _write(transport, self._ok)

    def _fail(self, transport: asyncio.Transport, _read_ns: int) -> None:
        _write(transport, self._failure)

    def _stall(self, transport: asyncio.Transport) -> None:
        now_ns = time.monotonic_ns()
        remaining_s = STALL.remaining_s(now_ns / 1e9 - self._epoch_s)
        # Who waits is answered in the order of arrival, also where a turn of the loop at the very
        # end of the stall finds new requests before it finds the timer.
        if remaining_s == 0 and not self._waiting:
            transport.write(self._ok)
            return
        if not self._waiting:
            self._calendar.at(now_ns + round(remaining_s * 1e9), self._go_on)
        self._waiting.append(transport)

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for transport in waiting:
            _write(transport, self._ok)


def _write(transport: asyncio.Transport, answer: bytes) -> None:
    """Answer, unless the client has gone meanwhile."""
    if not transport.is_closing():
        transport.write(answer)


class Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class.

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
    behaviour = Behaviour(Calendar(AsyncioLoop()), epoch_s, seed)
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
    uvloop.run(serve(arguments.port, arguments.epoch_s, arguments.seed))


if __name__ == "__main__":
    main()
