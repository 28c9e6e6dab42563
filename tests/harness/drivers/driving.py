"""Driving a scenario within the test: jobs, scenarios, and the samples that come of them."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from loopmark.harness.drivers import httpx_driver, native_driver
from loopmark.harness.drivers.process.run_job import to_its_end
from loopmark.harness.vocabulary.flow import (
    ClientJourney,
    Flow,
    Request,
    Response,
    is_client_journey,
)
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, Timeouts
from loopmark.harness.vocabulary.load import FlowLoad
from loopmark.harness.vocabulary.scenario import Scenario
from tests.hang_limit import HANG_S

Steps = Generator[Request, Response, None]


PATIENT = Timeouts(connect_s=5.0, first_byte_s=10.0, response_s=10.0)
WARM = Request("GET", "/warm", step="warm")


def scenario(flow: Flow | ClientJourney, warm: Request = WARM) -> Scenario:
    return Scenario(name="tried", title="t", description="d", flow=flow, warm=warm)


def job(url: str, load: FlowLoad, folder: Path, timeouts: Timeouts = PATIENT) -> LoadJob:
    return LoadJob(
        scenario="tried",
        load=load,
        round=4,
        seed=1,
        base_url=url,
        tokens=tuple(f"token-{n}" for n in range(load.concurrency)),
        samples=str(folder / "samples.parquet"),
        report=str(folder / "report.json"),
        timeouts=timeouts,
    )


async def drive(given: LoadJob, asked: Scenario) -> tuple[DriverReport, pd.DataFrame]:
    """Drive as the native driver's process does, or httpx's where only that can."""
    if is_client_journey(asked.flow):
        return await drive_by_httpx(given, asked)
    return await _to_its_end(native_driver.drive(given, asked), given)


async def drive_by_httpx(given: LoadJob, asked: Scenario) -> tuple[DriverReport, pd.DataFrame]:
    """Drive as the httpx driver's process does."""
    return await _to_its_end(httpx_driver.drive(given, asked), given)


async def _to_its_end(
    work: Coroutine[None, None, DriverReport], given: LoadJob
) -> tuple[DriverReport, pd.DataFrame]:
    """A hang fails the test."""
    async with asyncio.timeout(HANG_S):
        report = await to_its_end(work)
    return report, samples_of(given)


def samples_of(given: LoadJob) -> pd.DataFrame:
    found: pd.DataFrame = pq.read_table(given.samples).to_pandas()
    return found.astype({"step": str, "error": str})


def ok(body: bytes = b'{"n": 1}', status: str = "200 OK", *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"HTTP/1.1 {status}\r\n{lines}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Server:
    """Answers `{"n": 1}`, or what `answers` says for a path; counts requests and tokens.

    An answer that is empty is never written, and `delay_s` holds back all but the warm-up's;
    `warmed_ns` is when the last of those was asked for.
    """

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.answers: dict[str, bytes] = {}
        self.connections = self.in_flight = self.most_in_flight = 0
        self.delay_s = 0.0
        self.warmed_ns = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def drop(self, *, reset: bool) -> None:
        """Listen no more, and close what is connected."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            if reset:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
            writer.transport.abort()

    @property
    def tokens(self) -> set[str]:
        return {
            head.lower().partition("authorization: bearer ")[2].split("\r\n")[0]
            for head in self.heads
        }

    def answer(self, head: str, _body: bytes) -> bytes:
        """What is written for a request."""
        return self.answers.get(head.split(" ", 2)[1], ok())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1000)
        self._server = server
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                self.heads.append(head)
                path = head.split(" ", 2)[1]
                length = head.lower().partition("content-length: ")[2].split("\r\n")[0]
                self.bodies.append(body := await reader.readexactly(int(length or 0)))
                self.requests[path] += 1
                if path == WARM.path:
                    self.warmed_ns = time.monotonic_ns()
                else:
                    self.in_flight += 1
                    self.most_in_flight = max(self.in_flight, self.most_in_flight)
                    await asyncio.sleep(self.delay_s)
                    self.in_flight -= 1
                writer.write(self.answer(head, body))
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


Drive = Callable[[LoadJob, Scenario], Coroutine[Any, Any, tuple[DriverReport, pd.DataFrame]]]
"""How one of the drivers is made to drive."""


async def driven(  # noqa: PLR0913, PLR0917 - what is driven, and how
    server: Server,
    flow: Flow | ClientJourney,
    load: FlowLoad,
    folder: Path,
    timeouts: Timeouts = PATIENT,
    by: Drive = drive,
) -> tuple[DriverReport, pd.DataFrame]:
    """Drive it against a server that runs meanwhile."""
    async with server.running() as url:
        return await by(job(url, load, folder, timeouts), scenario(flow))
