"""A fan-out: clients that receive, publishers at a constant rate, and HTTP users."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx
from pydantic import TypeAdapter, ValidationError

from loopmark.harness.drivers.pacing.load_models import UserPool
from loopmark.harness.drivers.pacing.loop import AsyncioLoop
from loopmark.harness.drivers.pacing.user import Account
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.process import background_tasks
from loopmark.harness.drivers.process.job_inputs import accounts, chance_of
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.users.flow_user import FlowUser
from loopmark.harness.drivers.users.round import (
    Watched,
    few_at_once,
    keep_what_exists,
    run,
    unfit,
    warmed,
    watched,
)
from loopmark.harness.drivers.websocket_driver.clients import (
    Client,
    Listening,
    SlowClient,
    StalledClient,
    Tally,
)
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.publications import Publications
from loopmark.harness.drivers.websocket_driver.publisher import Publisher
from loopmark.harness.vocabulary.job import DriverReport, EmitterCounts, FanOutReport, LoadJob
from loopmark.harness.vocabulary.load import EventLoad
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import PUBLISHERS
from loopmark.harness.vocabulary.scenario import Scenario

EMITTER_TIMEOUT_S = 5.0

QUIET_NS = 500_000_000
PATIENCE_NS = 5_000_000_000
"""After the load's own drain, late deliveries are awaited until such a pause, and at most for the
second time."""

LAST_LOOK_S = 0.5
"""Time for reading the unread data of slow and stalled clients, to detect connections that the
target has closed."""

_COUNTS = TypeAdapter(EmitterCounts)


@dataclass(frozen=True, slots=True)
class Crowd:
    """The clients of a fan-out, by how they read."""

    readers: Sequence[Client]
    slow: Sequence[SlowClient]
    stalled: Sequence[StalledClient]

    @property
    def everyone(self) -> list[Client]:
        """All clients."""
        return [*self.readers, *self.slow, *self.stalled]


async def drive_fan_out(
    job: LoadJob, load: EventLoad, scenario: Scenario, address: EventAddress, recording: Recording
) -> DriverReport:
    """Connect the clients, publish, and record each client's deliveries.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
    """
    fan_out = _FanOutRound(job, load, scenario, address, recording)
    async with watched(fan_out.everybody, job.timeouts):
        if not await fan_out.connect():
            return unfit(fan_out.window, recording)
        keep_what_exists()
        return await fan_out.carry_out()


class _FanOutRound:
    """Clients, publishers and HTTP users of one round."""

    def __init__(
        self,
        job: LoadJob,
        load: EventLoad,
        scenario: Scenario,
        address: EventAddress,
        recording: Recording,
    ) -> None:
        broadcast, origin = scenario.broadcast, address.origin
        assert broadcast is not None, "no plan lets this scenario fan out"
        known = accounts(job)
        self._job, self._load, self._warm, self._recording = job, load, scenario.warm, recording
        self._ssl_context = origin.ssl_context
        self._broadcast = broadcast
        self._tally = Tally()
        self._publications = published = Publications()
        self._crowd = _crowd(
            load,
            known,
            Listening(address, job.timeouts, broadcast, published, recording, self._tally),
        )
        self._publishers = [
            Publisher(broadcast, published, origin, job.timeouts, recording)
            for _ in range(PUBLISHERS)
        ]
        others = load.http_users
        self._askers = [
            FlowUser(broadcast.meanwhile, origin, job.timeouts, recording) for _ in range(others)
        ]
        # Nobody's choices shall depend on how far another one has come.
        self._of_publishers = known[: load.clients]
        self._of_askers = [known[(load.clients + n) % len(known)] for n in range(others)]
        self.window = Window(AsyncioLoop())

    @property
    def everybody(self) -> list[Watched]:
        """All users with connections."""
        return [*self._publishers, *self._askers, *self._crowd.everyone]

    async def connect(self) -> bool:
        """Open all connections, the clients' last; returns whether that succeeded."""
        return (
            await warmed(self._publishers, self._of_publishers, self._warm)
            and await warmed(self._askers, self._of_askers, self._warm)
            and await few_at_once(client.connect for client in self._crowd.everyone)
        )

    async def carry_out(self) -> DriverReport:
        """Publish as the load requires, and record deliveries until the end of the drain."""
        crowd, window = self._crowd, self.window
        slow = crowd.slow
        dozing = [background_tasks.start(one.doze(n / len(slow))) for n, one in enumerate(slow)]
        try:
            before = await self._emitter_counts()
            await self._publish()
            await _drain(window.end_ns + round(self._load.drain_s * 1e9), self._tally)
            after = await self._emitter_counts()
        finally:
            for task in dozing:
                task.cancel()
        await _look_for_closed(crowd)
        # From here on nothing is awaited: what comes now comes too late, and is not counted twice.
        now_ns = clock()
        for reader in crowd.readers:
            reader.record_missing(now_ns)
        of_window = window.start_ns, window.end_ns
        published, failed = self._publications.in_window(*of_window)
        fan_out = FanOutReport(
            published=published,
            failed=failed,
            slow_heard=sum(client.hearer.count_in(*of_window) for client in slow),
            reconnects=self._tally.reconnects,
            closed=self._tally.closed,
            before=before,
            after=after,
        )
        return replace(window.report(self._recording), fan_out=fan_out)

    async def _publish(self) -> None:
        load, recording = self._load, self._recording
        loop, random, start_ns = AsyncioLoop(), chance_of(self._job), clock()
        publishers = UserPool(loop, self._publishers, self._of_publishers, recording, random)
        executions = [run(load.publishing, publishers, self.window, start_ns)]
        if self._askers:
            askers = UserPool(loop, self._askers, self._of_askers, recording, random)
            meanwhile = Closed(len(self._askers), load.measured_s, load.warmup_s)
            executions.append(run(meanwhile, askers, Window(loop), start_ns))
        await asyncio.gather(*executions)

    async def _emitter_counts(self) -> EmitterCounts | None:
        url = f"{self._job.base_url.rstrip('/')}{self._broadcast.counts}"
        return await emitter_counts(url, self._ssl_context)


async def emitter_counts(
    url: str, ssl_context: ssl.SSLContext | None = None
) -> EmitterCounts | None:
    """The target's emitter counts; None if it reports no valid ones."""
    try:
        async with httpx.AsyncClient(
            trust_env=False, timeout=EMITTER_TIMEOUT_S, verify=ssl_context or True
        ) as client:
            response = await client.get(url)
            return _COUNTS.validate_json(response.raise_for_status().content)
    except (httpx.HTTPError, ValidationError):
        return None


def _crowd(load: EventLoad, known: Sequence[Account], shared: Listening) -> Crowd:
    tokens = [known[number % len(known)].virtual.token for number in range(load.clients)]
    slow_from, stalled_from = load.readers, load.readers + load.slow
    return Crowd(
        readers=[Client(n, tokens[n], shared) for n in range(slow_from)],
        slow=[SlowClient(n, tokens[n], shared) for n in range(slow_from, stalled_from)],
        stalled=[StalledClient(n, tokens[n], shared) for n in range(stalled_from, load.clients)],
    )


async def _drain(until_ns: int, tally: Tally) -> None:
    """Wait until this time, and longer while deliveries arrive."""
    began_ns = clock()  # The last acknowledgement may have come just now.
    at_most_ns = max(until_ns, began_ns) + PATIENCE_NS
    while True:
        quiet_ns = max(tally.last_received_ns, began_ns) + QUIET_NS
        end_ns = max(until_ns, min(quiet_ns, at_most_ns))
        left_ns = end_ns - clock()
        if left_ns <= 0:
            return
        await asyncio.sleep(left_ns / 1e9)


async def _look_for_closed(crowd: Crowd) -> None:
    for client in (*crowd.slow, *crowd.stalled):
        client.look()
    if crowd.slow or crowd.stalled:
        await asyncio.sleep(LAST_LOOK_S)
