"""The driver of somebody's routes: asks one after another, then all of them mixed.

It reads a job (JSON) from its input and writes a line of JSON for each route as soon as it has been
asked. The Authorization header is in an environment variable only.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from random import Random

import httpx
import uvloop

from loopmark.harness.drivers.http.transport import LoadTransport, Timing
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.route_request import RouteAnswers, RouteJob, RouteRequest

MOST_PER_SECOND = 200
"""Requests of all users: a modest load, which leaves a healthy loop time to be idle."""

IDLE_S = 0.25
"""Between two routes, so that what one leaves behind does not fall to the next."""

CONNECT_S = 2.0
MOST_FAILURES = 3
"""A user that gets no answer so many times in a row asks this route no more."""

_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectError, "connect"),
    (httpx.TimeoutException, "timeout"),
    (httpx.ReadError, "reset"),
    (httpx.RemoteProtocolError, "protocol"),
)


async def drive(job: RouteJob, told: Callable[[RouteAnswers], None]) -> None:
    """Ask all routes.

    Args:
        job: What to ask.
        told: Called with the answers of each route, when it has been asked.
    """
    headers = {"User-Agent": "loopmark"}
    if authorization := os.environ.get(job.authorization_from):
        headers["Authorization"] = authorization
    timeouts = Timeouts(CONNECT_S, job.timeout_s, job.timeout_s)
    clients = [
        httpx.AsyncClient(
            base_url=job.base_url,
            transport=LoadTransport(timeouts),
            headers=headers,
            follow_redirects=False,
            trust_env=False,
        )
        for _ in range(job.users)
    ]
    for route, same in groupby(job.requests, key=lambda request: request.route):
        told(await _ask(route, clients, list(_in_turn(tuple(same), job.users)), job.seconds))
        await asyncio.sleep(IDLE_S)
    if job.mixed_seconds > 0:
        randoms = [Random(f"{job.seed} {user}") for user in range(job.users)]  # noqa: S311 - to be repeated
        mixed = [_at_random(job.requests, random) for random in randoms]
        told(await _ask("", clients, mixed, job.mixed_seconds))
    for client in clients:
        await client.aclose()


def _in_turn(requests: Sequence[RouteRequest], users: int) -> Iterator[Iterator[RouteRequest]]:
    """For each user the requests over and over; not all users with the same one."""

    def turns(first: int) -> Iterator[RouteRequest]:
        while True:
            yield requests[first % len(requests)]
            first += 1

    yield from map(turns, range(users))


def _at_random(requests: Sequence[RouteRequest], random: Random) -> Iterator[RouteRequest]:
    while True:
        yield random.choice(requests)


async def _ask(
    route: str,
    clients: Sequence[httpx.AsyncClient],
    requests: Sequence[Iterator[RouteRequest]],
    seconds: float,
) -> RouteAnswers:
    """Let each user ask for a time, or until it gets no answers."""
    statuses, errors = Counter[int](), Counter[str]()
    latencies: list[float] = []
    interval_ns = len(clients) * 1_000_000_000 // MOST_PER_SECOND
    start_ns = clock()
    end_ns = start_ns + int(seconds * 1e9)

    async def ask_on(client: httpx.AsyncClient, asked: Iterator[RouteRequest]) -> None:
        due_ns, failures = start_ns, 0
        while clock() < end_ns and failures < MOST_FAILURES:
            request, timing = next(asked), Timing()
            try:
                status = await _send(client, request, timing)
            except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as error:
                kind = next((name for of, name in _KINDS if isinstance(error, of)), "protocol")
                errors[kind] += 1
                failures = MOST_FAILURES if kind == "timeout" else failures + 1
            else:
                failures = 0
                statuses[status] += 1
                latencies.append((timing.done_ns - timing.sent_ns) / 1e6)
            due_ns = max(due_ns + interval_ns, clock() - interval_ns)
            await asyncio.sleep(max(0, due_ns - clock()) / 1e9)

    await asyncio.gather(*map(ask_on, clients, requests))
    return RouteAnswers(
        route=route,
        requests=statuses.total() + errors.total(),
        statuses=dict(sorted(statuses.items())),
        errors=dict(sorted(errors.items())),
        p50_ms=statistics.median(latencies) if latencies else None,
        max_ms=max(latencies, default=None),
        start_ns=start_ns,
        end_ns=clock(),
    )


async def _send(client: httpx.AsyncClient, request: RouteRequest, timing: Timing) -> int:
    headers = dict(request.headers)
    if request.content_type:
        headers["Content-Type"] = request.content_type
    response = await client.request(
        request.method,
        request.address,
        headers=headers,
        content=request.body.encode() or None,
        extensions={"timing": timing},
    )
    return response.status_code


def read_job(text: str) -> RouteJob:
    """The job from JSON."""
    told = json.loads(text)
    requests = tuple(
        RouteRequest(**{**row, "headers": tuple((name, value) for name, value in row["headers"])})
        for row in told.pop("requests")
    )
    return RouteJob(**told, requests=requests)


if __name__ == "__main__":

    def tell(answers: RouteAnswers) -> None:
        """Write the answers of a route at once."""
        sys.stdout.buffer.write(json.dumps(asdict(answers)).encode() + b"\n")
        sys.stdout.buffer.flush()

    uvloop.run(drive(read_job(sys.stdin.read()), tell))
