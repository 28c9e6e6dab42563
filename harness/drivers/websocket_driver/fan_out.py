"""A fan-out: clients that hear, publishers at a constant rate, and others that ask meanwhile."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import httpx
from pydantic import TypeAdapter, ValidationError

from harness.drivers import heard_tasks
from harness.drivers.async_round import (
    few_at_once,
    identities,
    keep_what_exists,
    run,
    source_of_chance,
    unfit,
    warmed,
    watched,
)
from harness.drivers.clock import clock
from harness.drivers.flow_user import FlowUser
from harness.drivers.load_models import Crew
from harness.drivers.recording import Recording
from harness.drivers.user import Identity
from harness.drivers.websocket_driver.clients import (
    Client,
    Listening,
    SlowClient,
    StalledClient,
    Tally,
)
from harness.drivers.websocket_driver.event_line import EventAddress
from harness.drivers.websocket_driver.publications import Publications
from harness.drivers.websocket_driver.publisher import Publisher
from harness.drivers.window import Window
from harness.pacing import publishing
from harness.vocabulary.job import DriverReport, EmitterCounts, FanOutReport, LoadJob
from harness.vocabulary.load import PUBLISHERS, Closed, EventLoad, FanOut
from harness.vocabulary.scenario import Scenario
from scenarios.flows import read_mostly

EMITTER = "/api/v2/emitter"
EMITTER_TIMEOUT_S = 5.0

QUIET_NS = 500_000_000
PATIENCE_NS = 5_000_000_000
"""After the load's own drain, late deliveries are awaited until there is such a pause in them, and
at most so long."""

LAST_LOOK_S = 0.5
"""What clients that did not read have left unread is read for so long, to find whom the target has
closed."""

_COUNTS = TypeAdapter(EmitterCounts)


@dataclass(frozen=True, slots=True)
class Crowd:
    """The clients of a fan-out, by how they read."""

    readers: Sequence[Client]
    slow: Sequence[SlowClient]
    stalled: Sequence[StalledClient]

    @property
    def everyone(self) -> list[Client]:
        """All of them."""
        return [*self.readers, *self.slow, *self.stalled]


async def drive_fan_out(
    job: LoadJob, load: EventLoad, scenario: Scenario, address: EventAddress, recording: Recording
) -> DriverReport:
    """Connect the clients, publish, and record what each of them hears.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
    """
    broadcast = scenario.broadcast
    assert broadcast is not None, "no plan lets this scenario fan out"
    known = identities(job)
    publications, tally = Publications(), Tally()
    shared = Listening(address, job.timeouts, broadcast, publications, recording, tally)
    crowd = _crowd(load, known, shared)
    origin = address.origin
    publishers = [
        Publisher(broadcast, publications, origin, job.timeouts, recording)
        for _ in range(PUBLISHERS)
    ]
    others = load.http_users if isinstance(load, FanOut) else 0
    askers = [FlowUser(read_mostly, origin, job.timeouts, recording) for _ in range(others)]
    loop, random = asyncio.get_running_loop(), source_of_chance(job)
    # Nobody's choices shall depend on how far another one has come.
    publishing_crew = Crew(loop, publishers, known[: load.clients], recording, random)
    own = [known[(load.clients + number) % len(known)] for number in range(others)]
    asking_crew = Crew(loop, askers, own, recording, random)
    window = Window(loop)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(watched([*publishers, *askers]))
        await stack.enter_async_context(watched(crowd.everyone))
        if not (
            await warmed(publishers, publishing_crew.identities, scenario.warm)
            and await warmed(askers, own, scenario.warm)
            and await few_at_once(client.connect for client in crowd.everyone)
        ):
            return unfit(window, recording)
        for number, dozer in enumerate(crowd.slow):
            task = heard_tasks.start(dozer.doze(number / len(crowd.slow)))
            stack.callback(task.cancel)
        before = await emitter_counts(job.base_url, origin.ssl_context)
        keep_what_exists()
        start_ns = clock()
        courses = [run(publishing(load), publishing_crew, window, start_ns)]
        if askers:
            meanwhile = Closed(others, load.duration_s, load.warmup_s)
            courses.append(run(meanwhile, asking_crew, Window(loop), start_ns))
        await asyncio.gather(*courses)
        await _drain(window.end_ns + round(load.drain_s * 1e9), tally)
        after = await emitter_counts(job.base_url, origin.ssl_context)
        now_ns = clock()
        for reader in crowd.readers:
            reader.record_missing(now_ns)
        await _look_for_closed(crowd)
    of_window = window.start_ns, window.end_ns
    published, failed = publications.in_window(*of_window)
    fan_out = FanOutReport(
        published=published,
        failed=failed,
        slow_heard=sum(client.hearer.heard_in(*of_window) for client in crowd.slow),
        reconnects=tally.reconnects,
        closed=tally.closed,
        before=before,
        after=after,
    )
    return replace(window.report(recording), fan_out=fan_out)


async def emitter_counts(
    base_url: str, ssl_context: ssl.SSLContext | None = None
) -> EmitterCounts | None:
    """What the target says of its emitter; None when it says nothing of use."""
    try:
        async with httpx.AsyncClient(
            trust_env=False, timeout=EMITTER_TIMEOUT_S, verify=ssl_context or True
        ) as client:
            response = await client.get(f"{base_url.rstrip('/')}{EMITTER}")
            return _COUNTS.validate_json(response.raise_for_status().content)
    except (httpx.HTTPError, ValidationError):
        return None


def _crowd(load: EventLoad, known: Sequence[Identity], shared: Listening) -> Crowd:
    slow, stalled = (load.slow, load.stalled) if isinstance(load, FanOut) else (0, 0)
    tokens = [known[number % len(known)].virtual.token for number in range(load.clients)]
    slow_from, stalled_from = load.readers, load.readers + slow
    return Crowd(
        readers=[Client(n, tokens[n], shared) for n in range(slow_from)],
        slow=[SlowClient(n, tokens[n], shared) for n in range(slow_from, stalled_from)],
        stalled=[
            StalledClient(n, tokens[n], shared) for n in range(stalled_from, stalled_from + stalled)
        ],
    )


async def _drain(until_ns: int, tally: Tally) -> None:
    """Wait until then, and on while deliveries still come."""
    at_most_ns = max(until_ns, clock()) + PATIENCE_NS
    while True:
        end_ns = max(until_ns, min(tally.last_heard_ns + QUIET_NS, at_most_ns))
        left_ns = end_ns - clock()
        if left_ns <= 0:
            return
        await asyncio.sleep(left_ns / 1e9)


async def _look_for_closed(crowd: Crowd) -> None:
    for client in (*crowd.slow, *crowd.stalled):
        client.look()
    if crowd.slow or crowd.stalled:
        await asyncio.sleep(LAST_LOOK_S)
