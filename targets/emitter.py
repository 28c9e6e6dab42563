"""The emitter: from a handler, on the loop or on a thread, to a bounded mailbox for each client.

Emitting never waits. If a client does not keep up, its mailbox is full and loses its oldest event;
other clients are not affected.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from loopmark.targets.events import Event


@dataclass(slots=True)
class Totals:
    """An emitter's counts since its start, over all protocols.

    Attributes:
        emitted: Events emitted, each counted once.
        queued: Events put into mailboxes.
        delivered: Of these, those handed to the clients' connections.
        dropped: Of these, those dropped from full mailboxes.
    """

    emitted: int = 0
    queued: int = 0
    delivered: int = 0
    dropped: int = 0


class Mailbox(ABC):
    """The events that wait for one client: a bounded number, of which the oldest is dropped first.

    It belongs to the thread of the loop.

    Args:
        emitter: The emitter of the events, with the limit and the counts.
    """

    def __init__(self, emitter: "Emitter") -> None:
        self._events: deque[Event] = deque(maxlen=emitter.limit)
        self._totals = emitter.totals
        self._limit = emitter.limit

    def offer(self, event: Event) -> None:
        """Add an event, replacing the oldest one if full."""
        if len(self._events) == self._limit:
            self._totals.dropped += 1
        self._events.append(event)
        self._deliver()

    @abstractmethod
    def _deliver(self) -> None:
        """Hand to the connection what it accepts now, without waiting."""


MOST_TAKEN = 16
"""Events that a task has in hand for one client, beside those that wait."""


class AwaitedMailbox(Mailbox):
    """The events that wait for one client until a task takes them.

    Args:
        emitter: The emitter of the events.
    """

    def __init__(self, emitter: "Emitter") -> None:
        super().__init__(emitter)
        self._arrived = asyncio.Event()

    def _deliver(self) -> None:
        self._arrived.set()

    async def taken(self) -> list[Event]:
        """Take the first that wait, in their order, once there are any; at most `MOST_TAKEN`."""
        events = self._events
        while not events:
            self._arrived.clear()
            await self._arrived.wait()
        return [events.popleft() for _ in range(min(len(events), MOST_TAKEN))]

    def sent(self, count: int) -> None:
        """So many of them were handed to the client's connection."""
        self._totals.delivered += count


class Emitter:
    """Carries events to the mailboxes of the clients in a room.

    It is made on the loop whose thread it belongs to: only `emit_from_thread` may be called on
    another one.

    Args:
        limit: Maximum number of events that wait for one client.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.totals = Totals()
        self._loop = asyncio.get_running_loop()
        # Dictionaries keep the order in which clients came: the first to come receives first.
        self._rooms: dict[str, dict[Mailbox, None]] = {}
        self._rooms_of: dict[Mailbox, set[str]] = {}
        self._from_threads: deque[Event] = deque()
        self._is_woken = False

    @property
    def clients(self) -> int:
        """Number of connected clients."""
        return len(self._rooms_of)

    def emit(self, event: Event) -> None:
        """Put an event into the mailboxes of its room. It cannot fail, and never waits."""
        totals = self.totals
        totals.emitted += 1
        if room := self._rooms.get(event.room):
            totals.queued += len(room)
            for mailbox in room:
                mailbox.offer(event)

    def emit_from_thread(self, event: Event) -> None:
        """Emit from any thread; the events of one thread keep their order.

        The loop is woken once for all that are emitted until it wakes.
        """
        self._from_threads.append(event)
        if not self._is_woken:
            self._is_woken = True
            # A loop that is closed has no clients any more, and no request may fail for them.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._emit_waiting)

    def _emit_waiting(self) -> None:
        # First this: whoever appends after it wakes the loop again, and nothing is left behind.
        self._is_woken = False
        while self._from_threads:
            self.emit(self._from_threads.popleft())

    def connect(self, mailbox: Mailbox, rooms: Iterable[str]) -> None:
        """Add a client, in these rooms."""
        self._rooms_of.setdefault(mailbox, set())
        for room in rooms:
            self.enter(mailbox, room)

    def disconnect(self, mailbox: Mailbox) -> None:
        """Remove a client; it may already be gone."""
        for room in list(self._rooms_of.get(mailbox, ())):
            self.leave(mailbox, room)
        self._rooms_of.pop(mailbox, None)

    def enter(self, mailbox: Mailbox, room: str) -> None:
        """Add a connected client to a room."""
        self._rooms_of[mailbox].add(room)
        self._rooms.setdefault(room, {})[mailbox] = None

    def leave(self, mailbox: Mailbox, room: str) -> None:
        """Remove it from the room; it may not have been there."""
        self._rooms_of[mailbox].discard(room)
        members = self._rooms.get(room, {})
        members.pop(mailbox, None)
        if not members:
            self._rooms.pop(room, None)
