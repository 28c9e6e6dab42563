"""Clients of a fan-out: active, slow and stalled ones."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from loopmark.harness.drivers.http.exchange import Failure
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.event_line import EventLine
from loopmark.harness.drivers.websocket_driver.publications import Hearer, Publications
from loopmark.harness.vocabulary.flow import Event
from loopmark.harness.vocabulary.job import Timeouts
from loopmark.harness.vocabulary.sample import (
    CONNECT_STEP,
    DELIVERY_STEP,
    SLOW_DELIVERY_STEP,
    ErrorKind,
    sample,
)
from loopmark.harness.vocabulary.scenario import Broadcast

RECONNECT_PAUSE_S = 0.5
"""Delay before a client reconnects, so that a dead target is not flooded by all of them."""

DOZE_S = 1.0
WAKE_S = 0.02
"""Times for which a slow client reads, and between reads."""


@dataclass(slots=True)
class Tally:
    """Counts over all clients.

    Attributes:
        reconnects: Reconnects of active clients.
        closed: Connections of slow and stalled clients that the target closed.
        last_received_ns: When an active client last received something (CLOCK_MONOTONIC).
    """

    reconnects: int = 0
    closed: int = 0
    last_received_ns: int = 0


@dataclass(frozen=True, slots=True)
class Listening:
    """Values shared by all clients of a round.

    Attributes:
        address: Where they connect to.
        timeouts: Time limits for connecting.
        broadcast: How the events are recognised.
        publications: The publications of the round.
        recording: Where deliveries are recorded.
        tally: What is counted.
    """

    address: EventAddress
    timeouts: Timeouts
    broadcast: Broadcast
    publications: Publications
    recording: Recording
    tally: Tally


class Client:
    """An active client, which reconnects when its connection breaks.

    Args:
        number: Its number, for its samples.
        token: Its bearer token.
        shared: The shared values.
        frugal: Whether to keep kernel buffers of the connection small.
    """

    step = DELIVERY_STEP
    """The step of its deliveries."""

    is_awaited = True
    """Whether a round waits for its outstanding deliveries."""

    def __init__(self, number: int, token: str, shared: Listening, *, frugal: bool = False) -> None:
        self._number = number
        self._token = token
        self._shared = shared
        self._name = shared.broadcast.event
        self._key = shared.broadcast.key
        self._emitted = shared.broadcast.emitted_ns
        self._line = EventLine(shared.address, shared.timeouts, self, frugal=frugal)
        self._connecting: asyncio.Future[bool] | None = None
        self._again: asyncio.TimerHandle | None = None
        self.hearer = Hearer(shared.publications)

    async def connect(self) -> bool:
        """Connect for the first time; returns whether the target greeted the client."""
        self._connecting = asyncio.get_running_loop().create_future()
        self._line.open(self._token)
        return await self._connecting

    def check(self, now_ns: int) -> None:
        """Fail an overdue greeting."""
        self._line.check(now_ns)

    async def close(self) -> None:
        """Close; an awaited greeting is recorded as abandoned."""
        if self._again is not None:
            self._again.cancel()
        if self._line.is_opening:
            self._record_connection(clock(), 0, ErrorKind.ABANDONED)
        self._line.close()

    def record_missing(self, now_ns: int) -> None:
        """Record every publication that it should have received until now, but has not."""
        add, due_ns = self._shared.recording.add, self._shared.publications.due_ns
        for number in self.hearer.missed():
            due = due_ns[number]
            add(
                sample(
                    user=self._number,
                    step=self.step,
                    due_ns=due,
                    sent_ns=due,
                    done_ns=now_ns,
                    error=ErrorKind.MISSING,
                )
            )

    # Called by the line.

    def greeted(self, _greeting: Event, at_ns: int, size: int) -> None:
        """From now on it receives everything."""
        self._again = None
        self._record_connection(at_ns, size, "")
        if self._connecting is not None and not self._connecting.done():
            self._connecting.set_result(True)

    def heard(self, event: Event, at_ns: int, size: int) -> None:
        """Record a delivery, if it is one of a publication."""
        if event.name != self._name:
            return
        shared = self._shared
        publications = shared.publications
        number = publications.number_of(event.data.get(self._key))
        if number is None:
            return
        due_ns = publications.due_ns[number]
        emitted_ns = event.data.get(self._emitted)
        error = self.hearer.hear(number)
        if type(emitted_ns) is not int or not publications.sent_ns[number] <= emitted_ns <= at_ns:
            shared.recording.explain(
                ErrorKind.WRONG_ANSWER,
                f"{self._emitted} of '{event.name}' is {emitted_ns!r:.40}, not a moment of "
                "CLOCK_MONOTONIC between its request and its arrival",
            )
            emitted_ns, error = due_ns, ErrorKind.WRONG_ANSWER
        shared.recording.add(
            sample(
                user=self._number,
                step=self.step,
                due_ns=due_ns,
                sent_ns=emitted_ns,
                first_byte_ns=at_ns,
                done_ns=at_ns,
                body_bytes=size,
                error=error,
            )
        )
        if self.is_awaited:
            shared.tally.last_received_ns = at_ns

    def lost(self, failure: Failure) -> None:
        """Connect again, if it was connected before."""
        self._shared.recording.explain(failure.kind, failure.message)
        if self._connecting is not None and not self._connecting.done():
            self._record_connection(clock(), 0, failure.kind)
            self._connecting.set_result(False)
            return
        if self._again is not None or failure.kind != ErrorKind.RESET:
            # It was connecting again, or the target said what it must not.
            self._record_connection(clock(), 0, failure.kind)
        if self._again is None:
            self._shared.tally.reconnects += 1
        loop = asyncio.get_running_loop()
        self._again = loop.call_later(RECONNECT_PAUSE_S, self._line.open, self._token)

    def _record_connection(self, now_ns: int, size: int, error: str) -> None:
        line = self._line
        began_ns = line.began_ns
        self._shared.recording.add(
            sample(
                user=self._number,
                step=CONNECT_STEP,
                due_ns=began_ns,
                sent_ns=began_ns,
                connected_ns=line.connected_ns,
                first_byte_ns=line.first_byte_ns,
                done_ns=now_ns,
                status=line.status,
                body_bytes=size,
                error=error,
            )
        )


class _IdleClient(Client):
    """A slow or stalled client: its connection may break, and no delivery is due."""

    def __init__(self, number: int, token: str, shared: Listening) -> None:
        super().__init__(number, token, shared, frugal=True)

    def lost(self, failure: Failure) -> None:
        """Count it, if it was connected before."""
        if self._connecting is not None and not self._connecting.done():
            super().lost(failure)
        else:
            self._shared.tally.closed += 1

    def look(self) -> None:
        """Read pending data: the end of the connection may follow it."""
        self._line.resume()


class SlowClient(_IdleClient):
    """A client that reads only now and then."""

    step = SLOW_DELIVERY_STEP
    is_awaited = False

    def greeted(self, greeting: Event, at_ns: int, size: int) -> None:
        """Stop reading until it wakes."""
        super().greeted(greeting, at_ns, size)
        self._line.pause()

    async def doze(self, share: float) -> None:
        """Wake periodically, the first time after this share of the pause."""
        await asyncio.sleep(share * DOZE_S)
        while True:
            self._line.resume()
            await asyncio.sleep(WAKE_S)
            self._line.pause()
            await asyncio.sleep(DOZE_S - WAKE_S)


class StalledClient(_IdleClient):
    """A client that stops reading once it is connected."""

    def greeted(self, greeting: Event, at_ns: int, size: int) -> None:
        """Read no more."""
        super().greeted(greeting, at_ns, size)
        self._line.pause()

    def heard(self, event: Event, at_ns: int, size: int) -> None:
        """Do nothing: it was not received in time."""
