"""The emitter: rooms, bounded mailboxes, totals, and events from threads."""

import asyncio
import threading
from dataclasses import astuple

import pytest

from loopmark.targets.emitter import Emitter, Mailbox
from loopmark.targets.events import Event

pytestmark = pytest.mark.anyio


class Kept(Mailbox):
    """A mailbox of a client that reads nothing, or, when `is_reading`, everything at once."""

    def __init__(self, emitter: Emitter, *, is_reading: bool = False) -> None:
        super().__init__(emitter)
        self.is_reading = is_reading
        self.read: list[Event] = []

    def names(self) -> list[str]:
        return [event.name for event in (*self.read, *self._events)]

    def _deliver(self) -> None:
        while self.is_reading and self._events:
            self.read.append(self._events.popleft())
            self._totals.delivered += 1


def event(name: object, room: str = "room") -> Event:
    return Event(str(name), {}, room)


async def test_a_room_hears_and_others_do_not() -> None:
    emitter = Emitter(8)
    first, second, idle = (Kept(emitter, is_reading=True) for _ in range(3))
    emitter.connect(first, ["room", "mine"])
    emitter.connect(second, ["room"])
    emitter.connect(idle, [])
    for name, room in (("a", "room"), ("b", "mine"), ("c", "empty"), ("d", "room")):
        emitter.emit(event(name, room))
    assert (first.names(), second.names(), idle.names()) == (["a", "b", "d"], ["a", "d"], [])
    assert astuple(emitter.totals) == (4, 5, 5, 0)
    assert emitter.clients == 3


async def test_entering_and_leaving_can_be_repeated() -> None:
    emitter = Emitter(8)
    client = Kept(emitter, is_reading=True)
    emitter.connect(client, ["room"])
    emitter.enter(client, "room")
    emitter.emit(event("once"))
    emitter.leave(client, "room")
    emitter.leave(client, "room")
    emitter.emit(event("not heard"))
    emitter.enter(client, "room")
    emitter.emit(event("again"))
    emitter.disconnect(client)
    emitter.disconnect(client)
    emitter.emit(event("not heard"))
    assert client.names() == ["once", "again"]
    assert emitter.clients == 0


async def test_a_full_mailbox_loses_the_oldest_and_the_others_nothing() -> None:
    emitter = Emitter(3)
    stalled, reader = Kept(emitter), Kept(emitter, is_reading=True)
    for client in (stalled, reader):
        emitter.connect(client, ["room"])
    for number in range(5):
        emitter.emit(event(number))
    assert stalled.names() == ["2", "3", "4"]
    assert reader.names() == ["0", "1", "2", "3", "4"]
    assert astuple(emitter.totals) == (5, 10, 5, 2)


async def test_a_client_hears_each_event_in_the_order_of_its_thread() -> None:
    threads, each = 8, 500
    emitter = Emitter(threads * each)
    client = Kept(emitter)
    emitter.connect(client, ["room"])

    def work(thread: int) -> None:
        for number in range(each):
            emitter.emit_from_thread(event(f"{thread} {number}"))

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    while len(client.names()) < threads * each:
        await asyncio.sleep(0)
    for worker in workers:
        worker.join()
    heard = [name.split() for name in client.names()]
    for thread in range(threads):
        numbers = [int(number) for who, number in heard if int(who) == thread]
        assert numbers == list(range(each))
    assert emitter.totals.emitted == threads * each


async def test_the_loop_is_woken_once_for_what_is_emitted_meanwhile() -> None:
    emitter = Emitter(8)
    client = Kept(emitter)
    emitter.connect(client, ["room"])
    calls = []
    emitter._loop = type("Loop", (), {"call_soon_threadsafe": lambda _, call: calls.append(call)})()
    for number in range(3):
        emitter.emit_from_thread(event(number))
    assert len(calls) == 1
    calls.pop()()
    assert client.names() == ["0", "1", "2"]
    emitter.emit_from_thread(event("later"))
    assert len(calls) == 1


def test_emitting_to_a_loop_that_is_closed_fails_no_request() -> None:
    async def made() -> Emitter:
        return Emitter(8)

    loop = asyncio.new_event_loop()
    emitter = loop.run_until_complete(made())
    loop.close()
    emitter.emit_from_thread(event("a"))
    emitter.emit_from_thread(event("b"))
    assert emitter.totals.emitted == 0
