"""What a tool costs the target: CPU per request with it and without, in turn, of several starts."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from statistics import fmean

from loopmark.harness.launch.ports import HOST
from loopmark.harness.watch.process_counters import cpu_clock_ns
from tests.bench.probe.running import Setting, Target
from tests.bench.probe.tools.catalog import WITHOUT, Tool

REQUEST = b"GET /clean?ms=0 HTTP/1.1\r\nHost: corpus\r\n\r\n"
CONNECTIONS = 10
WARMUP = 300


@dataclass(frozen=True)
class Cost:
    """CPU per request of one tool, in microseconds, by start of both, measured in turn.

    Attributes:
        tool: Its name.
        loop: The event loop.
        with_it_us: With the tool.
        without_us: Without.
    """

    tool: str
    loop: str
    with_it_us: list[float]
    without_us: list[float]


def cost(tool: Tool, setting: Setting, starts: int, requests: int) -> Cost:
    """Drive two targets in turn, one under the tool; new ones for each pair.

    Processes of one program differ by some percent for as long as they live.

    Raises:
        NotInstalledError: There is no such tool here.
        TargetFailedError: A target did not come up.
    """
    pairs = [_pair(tool, setting, requests, number) for number in range(starts)]
    return Cost(tool.name, setting.loop, [one for one, _ in pairs], [one for _, one in pairs])


def _pair(tool: Tool, setting: Setting, requests: int, number: int) -> tuple[float, float]:
    """CPU per request in microseconds with the tool and without, of one start of each."""
    with tool.start(setting) as with_it, WITHOUT.start(setting) as without:
        both = (with_it, without) if number % 2 else (without, with_it)
        for target in both:
            cpu_us_per_request(target, WARMUP)
        taken: dict[int, list[float]] = {with_it.pid: [], without.pid: []}
        for target in (*both, *reversed(both)):
            taken[target.pid].append(cpu_us_per_request(target, requests))
    return fmean(taken[with_it.pid]), fmean(taken[without.pid])


def cpu_us_per_request(target: Target, requests: int) -> float:
    """CPU time of the target for each of so many requests, ten at a time."""
    before_ns = cpu_clock_ns(target.pid)
    asyncio.run(_drive(target.port, requests // CONNECTIONS))
    return (cpu_clock_ns(target.pid) - before_ns) / 1000 / (requests // CONNECTIONS * CONNECTIONS)


async def _drive(port: int, each: int) -> None:
    await asyncio.gather(*(_ask(port, each) for _ in range(CONNECTIONS)))


async def _ask(port: int, times: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    for _ in range(times):
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = next(
            int(value)
            for name, _, value in (line.partition(b":") for line in head.lower().splitlines())
            if name == b"content-length"
        )
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
