"""One trial: an idle server, then uploads at once, then their analyses while requests arrive."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from loopmark.harness.analysis.statistics import percentile
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.watch.process_counters import process_counters

MB = 1_000_000
MIB = 1024**2
SAMPLED_S = 0.02
ASKED_S = 0.02
PATIENCE_S = 600.0
BOUNDARY = "loopmark-bench-boundary"
LINE = b"A line of an uploaded file, with a number to make it another one: %09d\n"
BLOCK_LINES = 1000


@dataclass(frozen=True)
class Plan:
    """How much of it.

    Attributes:
        uploads: At once.
        mb: Megabytes of each.
        idle_s: How long the idle server is asked, in seconds.
    """

    uploads: int = 10
    mb: int = 100
    idle_s: float = 5.0


QUICK = Plan(uploads=3, mb=5, idle_s=1.0)


@dataclass(frozen=True)
class Latency:
    """Of requests that ask for nothing, in milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Trial:
    """What one variant did.

    Attributes:
        variant: Its name.
        rss_before_mib: Of the server, idle, after one small upload.
        rss_most_mib: Largest seen while the files came.
        rss_most_later_mib: Largest seen from then until the last analysis was done.
        answered_s: Time from the beginning of each upload to its answer.
        completed_s: Time from the beginning of each upload to the end of its analysis.
        took_s: Until all were answered.
        verified: Uploads whose hash was right, in the answer and when asked for later.
        analysed_once: Uploads that were analysed exactly once, with the right count of lines.
        lost: Uploads reported lost.
        idle: Latency at an idle server.
        while_analysing: Latency from the last answer to the last end of an analysis.
    """

    variant: str
    rss_before_mib: float
    rss_most_mib: float
    rss_most_later_mib: float
    answered_s: Sequence[float]
    completed_s: Sequence[float]
    took_s: float
    verified: int
    analysed_once: int
    lost: int
    idle: Latency
    while_analysing: Latency

    @property
    def growth_mib(self) -> float:
        """By how much the server's resident memory grew, analyses included."""
        return max(self.rss_most_mib, self.rss_most_later_mib) - self.rss_before_mib


@dataclass
class Content:
    """The text of one upload, made as it is sent: it is never in memory as a whole."""

    number: int
    size: int

    def __post_init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.lines = 0

    async def body(self) -> AsyncIterator[bytes]:
        yield (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
            f'filename="{self.number}.txt"\r\nContent-Type: text/plain\r\n\r\n'
        ).encode()
        left, line = self.size, self.number * 10_000_000
        while left:
            block = b"".join(LINE % (line + n) for n in range(BLOCK_LINES))[:left]
            line += BLOCK_LINES
            left -= len(block)
            self.sha256.update(block)
            self.lines += block.count(b"\n") + (not left and not block.endswith(b"\n"))
            yield block
        yield f"\r\n--{BOUNDARY}--\r\n".encode()


@dataclass(frozen=True)
class Sent:
    """An upload that was answered; times from CLOCK_MONOTONIC, in seconds."""

    content: Content
    upload_id: str
    sha256: str
    began: float
    answered: float


async def trial(target: RunningTarget, token: str, plan: Plan) -> Trial:
    """Carry it out against a ready target."""
    assert target.process is not None
    memory: list[tuple[float, float]] = []
    latencies: list[tuple[float, float]] = []
    async with httpx.AsyncClient(
        base_url=target.base_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=PATIENCE_S,
        trust_env=False,
        limits=httpx.Limits(max_connections=plan.uploads + 2),
    ) as client:
        # What is imported and opened with the first upload is no growth.
        await _ended(client, await _send(client, Content(0, 1000)))
        samplers = [
            asyncio.create_task(_sample_memory(target.process.pid, memory)),
            asyncio.create_task(_ask(target.base_url, latencies)),
        ]
        await asyncio.sleep(plan.idle_s)
        began = time.monotonic()
        contents = [Content(number, plan.mb * MB) for number in range(1, plan.uploads + 1)]
        sent = await asyncio.gather(*(_send(client, content) for content in contents))
        answered = time.monotonic()
        ended = await asyncio.gather(*(_ended(client, one) for one in sent))
        done = time.monotonic()
        for sampler in samplers:
            sampler.cancel()
        await asyncio.gather(*samplers, return_exceptions=True)
    return Trial(
        variant=target.target.name,
        rss_before_mib=_most(memory, 0, began),
        rss_most_mib=_most(memory, began, answered),
        rss_most_later_mib=_most(memory, answered, done),
        answered_s=[one.answered - one.began for one in sent],
        completed_s=[at - one.began for one, (at, _) in zip(sent, ended, strict=True)],
        took_s=answered - began,
        verified=sum(
            one.sha256 == status["sha256"] == one.content.sha256.hexdigest()
            for one, (_, status) in zip(sent, ended, strict=True)
        ),
        analysed_once=sum(
            status["state"] == "analysed"
            and status["analyses"] == 1
            and status["result"]["lines"] == one.content.lines
            for one, (_, status) in zip(sent, ended, strict=True)
        ),
        lost=sum(status["state"] == "lost" for _, status in ended),
        idle=_latency(latencies, 0, began),
        while_analysing=_latency(latencies, answered, done),
    )


async def _send(client: httpx.AsyncClient, content: Content) -> Sent:
    began = time.monotonic()
    answer = await client.post(
        "/api/v2/upload",
        content=content.body(),
        headers={"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
    )
    answer.raise_for_status()
    found = answer.json()
    return Sent(content, found["upload_id"], found["sha256"], began, time.monotonic())


async def _ended(client: httpx.AsyncClient, sent: Sent) -> tuple[float, dict[str, Any]]:
    """When an upload was seen to be finished, and what is told of it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answer = await client.get(f"/api/v2/uploads/{sent.upload_id}")
        answer.raise_for_status()
        status: dict[str, Any] = answer.json()
        if status["state"] not in {"accepted", "analysing"}:
            return time.monotonic(), status
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{sent.upload_id} is not finished after {PATIENCE_S:g} s")


async def _sample_memory(pid: int, into: list[tuple[float, float]]) -> None:
    counters = process_counters(pid)
    try:
        while True:
            into.append((time.monotonic(), counters.read().rss_bytes / MIB))
            await asyncio.sleep(SAMPLED_S)
    finally:
        counters.close()


async def _ask(base_url: str, into: list[tuple[float, float]]) -> None:
    """Ask for nothing again and again, on a connection of its own."""
    async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE_S, trust_env=False) as client:
        while True:
            began = time.monotonic()
            (await client.get("/api/v2/wait?seconds=0")).raise_for_status()
            into.append((began, (time.monotonic() - began) * 1e3))
            await asyncio.sleep(ASKED_S)


def _most(samples: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    return max((value for at, value in samples if begin <= at < end), default=0.0)


def _latency(samples: Sequence[tuple[float, float]], begin: float, end: float) -> Latency:
    found = [value for at, value in samples if begin <= at < end]
    return Latency(
        requests=len(found),
        p50_ms=percentile(found, 0.5) if found else 0.0,
        p99_ms=percentile(found, 0.99) if found else 0.0,
        max_ms=max(found, default=0.0),
    )
