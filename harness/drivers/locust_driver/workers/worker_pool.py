"""The workers of a master, started here or on other machines: accepted, and detected when lost."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent
from gevent.queue import Empty, Queue
from locust.env import Environment
from locust.rpc import Message
from locust.runners import STATE_MISSING, MasterRunner

from loopmark.harness.drivers.locust_driver.arguments import Arguments
from loopmark.harness.drivers.locust_driver.flows.round import EndedError
from loopmark.harness.drivers.locust_driver.shutdown import ShutdownError
from loopmark.harness.drivers.locust_driver.workers import messages
from loopmark.harness.drivers.locust_driver.workers.worker import Worker
from loopmark.harness.drivers.process.forked_process import ForkedProcess
from loopmark.harness.drivers.recording.clock import clock, clock_id
from loopmark.harness.drivers.recording.clock_offset import Exchange, Offset, offset

logger = logging.getLogger(__name__)

HERE = "127.0.0.1"
ARRIVAL_S = 50.0
"""Time limit for workers that are started here."""

POLL_S = 0.1
LAST_WORDS_S = 0.3
"""From noticing a missing worker until it is given up: its earlier messages must have arrived."""

SETTLING_S = 5.0
PINGS = 15
PING_S = 0.5
BYE_S = 0.3


@dataclass(frozen=True, slots=True)
class Arrived:
    """A worker that was accepted.

    Attributes:
        id: Locust's name for it.
        name: For users: its host, and a number or its process.
        pid: Its process id, on its host.
        shares_clock: Whether its clock is the master's own.
    """

    id: str
    name: str
    pid: int
    shares_clock: bool


@dataclass(frozen=True, slots=True)
class WorkerMessage:
    """A message of a worker.

    Attributes:
        worker: Who sent it.
        kind: Which, of `messages.FROM_WORKERS`.
        data: Its content.
        at_ns: When it came (CLOCK_MONOTONIC).
    """

    worker: Arrived
    kind: str
    data: Any
    at_ns: int


class NoWorkersError(Exception):
    """There are no workers to drive."""


class WorkerPool:
    """Workers that are ready for a round.

    Args:
        environment: Locust's; it gets a master's runner.
        chosen: The number of workers, and where they connect.

    Attributes:
        is_ended: Whether the current round is to end.
        is_patient: Whether to ignore missing heartbeats: a process that imports a file sends none.

    Raises:
        RPCError: The address cannot be bound.
    """

    def __init__(self, environment: Environment, chosen: Arguments) -> None:
        self._count = chosen.workers
        listen = chosen.listen
        self._starts_them = listen is None
        self.is_ended = self.is_patient = False
        self._is_closed = self._was_complete = False
        self._inbox: Queue[WorkerMessage | None] = Queue()
        self._arrived: dict[str, Arrived] = {}
        self._gone: dict[str, str] = {}
        self._left: set[str] = set()
        self._missed_since: dict[str, float] = {}
        self._processes: dict[int, ForkedProcess] = {}
        fd = chosen.fork_server
        self._fork_server = None if fd is None else socket.socket(fileno=fd)
        self._names: dict[int, str] = {}
        self._clock = clock_id()
        address = (HERE, 0) if listen is None else (listen.host, listen.port)
        self._runner: MasterRunner = environment.create_master_runner(*address)
        for kind in messages.FROM_WORKERS:
            self._runner.register_message(kind, self._told)

    def gather(self) -> None:
        """Start missing workers, or wait for the first ones from other machines.

        Workers from other machines that are lost later are not awaited; if they return,
        they are accepted again.

        Raises:
            NoWorkersError: They did not connect, or none is left.
            EndedError: By `end`.
        """
        deadline = time.monotonic() + ARRIVAL_S
        self._look_for_missed()
        while len(self.present()) < self._count:
            self._look_for_missed()
            if self._starts_them:
                self._start_missing()
                self._require_alive()
                if time.monotonic() > deadline:
                    raise NoWorkersError(f"workers did not get ready within {ARRIVAL_S:.0f} s")
            elif self._was_complete:
                break
            gevent.sleep(POLL_S)
            if self.is_ended:
                raise EndedError
        if not self.present():
            raise NoWorkersError("no worker is left")
        self._was_complete = True

    def present(self) -> list[Arrived]:
        """The connected workers, in the order in which they connected."""
        return [one for one in self._arrived.values() if not self.why_gone(one)]

    def why_gone(self, worker: Arrived) -> str:
        """Why a worker was lost; empty while it is connected.

        A lost worker stays lost. Its earlier messages come first: it is given up when none is left.
        """
        if worker.id in self._gone:
            return self._gone[worker.id]
        why = self._missed(worker)
        if not why:
            self._missed_since.pop(worker.id, None)
            return ""
        since_s = self._missed_since.setdefault(worker.id, time.monotonic())
        if self._inbox.empty() and time.monotonic() - since_s >= LAST_WORDS_S:
            self.dismiss(worker, why)
        return self._gone.get(worker.id, "")

    def settle(self) -> None:
        """Wait until silent workers send heartbeats again, within Locust's limit."""
        deadline = time.monotonic() + SETTLING_S
        while time.monotonic() < deadline and any(
            self._is_silent(worker) for worker in self.present()
        ):
            gevent.sleep(POLL_S)

    def dismiss(self, worker: Arrived, why: str) -> None:
        """Give up a worker."""
        self._gone.setdefault(worker.id, why)
        if process := self._processes.pop(worker.pid, None):
            # Also one that only was silent: it would wake up in the midst of another round.
            process.kill()
            process.wait()
        elif not self._starts_them:
            self.send(worker, messages.STOP)

    def send(self, worker: Arrived, kind: str, **data: object) -> None:
        """Send a message to a worker."""
        self._runner.send_message(kind, data, worker.id)

    def end(self) -> None:
        """Wake code that waits for workers or messages, so that it checks `is_ended`."""
        self.is_ended = True
        self._inbox.put(None)

    def hear(self, until_s: float) -> WorkerMessage | None:
        """The next message; None if none arrived until then (monotonic seconds)."""
        try:
            heard: WorkerMessage | None = self._inbox.get(
                timeout=max(0.0, until_s - time.monotonic())
            )
        except Empty:
            return None
        return heard

    def offset(self, worker: Arrived) -> Offset | None:
        """The worker's clock less ours; None if it did not answer. Other messages are dropped."""
        return offset(list(self._exchanges(worker)))

    @property
    def runner(self) -> MasterRunner:
        """Locust's, which the workers are connected to."""
        return self._runner

    @property
    def is_here(self) -> bool:
        """Whether the workers were started here, and find the same files."""
        return self._starts_them

    def close(self, *, again: bool = False) -> None:
        """Release all workers, and end those that were started here.

        Args:
            again: Whether those on other machines are to connect to another master soon.
        """
        if self._is_closed:
            return
        self._is_closed = True
        for worker in self.present():
            self.send(worker, messages.BYE, again=again and not self._starts_them)
        with suppress(ShutdownError):  # A further signal is ignored.
            gevent.sleep(BYE_S)
        for process in self._processes.values():
            process.terminate()
        self._runner.greenlet.kill(block=True)

    def _told(self, environment: Environment, msg: Message, **_: object) -> None:  # noqa: ARG002 - as Locust calls it
        at_ns = clock()
        if msg.type == messages.HELLO:
            self._let_in(msg.node_id, msg.data)
        elif msg.type == messages.LEAVING:
            self._left.add(msg.node_id)
        elif msg.node_id in self._arrived and msg.node_id not in self._gone:
            self._inbox.put(WorkerMessage(self._arrived[msg.node_id], msg.type, msg.data, at_ns))

    def _let_in(self, worker_id: str, hello: dict[str, Any]) -> None:
        ours, theirs = messages.versions(), hello["versions"]
        if ours != theirs:
            why = (
                f"the master runs {messages.version_list(ours)}, this worker "
                f"{messages.version_list(theirs)}; install the same on both"
            )
            logger.warning("refused the worker %s: %s", hello["name"], why)
            self._runner.send_message(messages.REFUSED, {"why": why}, worker_id)
        elif len(self.present()) >= self._count:
            why = f"it has all of its {self._count} workers"
            self._runner.send_message(messages.REFUSED, {"why": why}, worker_id)
        else:
            shares_clock = bool(self._clock) and hello["clock"] == self._clock
            self._arrived[worker_id] = Arrived(worker_id, hello["name"], hello["pid"], shares_clock)
            self._runner.send_message(messages.WELCOME, {}, worker_id)

    def _missed(self, worker: Arrived) -> str:
        process = self._processes.get(worker.pid)
        if process is not None and (code := process.poll()) is not None:
            return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if worker.id in self._left:
            return "it left"
        return "nothing heard from it" if self._is_silent(worker) and not self.is_patient else ""

    def _is_silent(self, worker: Arrived) -> bool:
        # Locust's master forgets a worker for a moment when its users have stopped.
        node = self._runner.clients.get(worker.id)
        return node is not None and node.state == STATE_MISSING

    def _look_for_missed(self) -> None:
        """Between rounds, give up missing workers at once: nothing is awaited from them."""
        while not self._inbox.empty():
            self._inbox.get_nowait()
        for worker in self._arrived.values():
            if worker.id not in self._gone and (why := self._missed(worker)):
                self.dismiss(worker, why)

    def _start_missing(self) -> None:
        assert self._fork_server, "whoever is to start workers is given one"
        arguments = ["--master", HERE, "--port", str(self._runner.server.port)]
        taken = {self._names[pid] for pid in self._processes}
        for number in range(1, self._count + 1):
            # The same name for whoever takes a place: it is one row of a report.
            name = f"{socket.gethostname()}/{number}"
            if name in taken:
                continue
            # No standard input, and output goes where errors go, as here.
            process = ForkedProcess(
                self._fork_server, Worker.__module__, [*arguments, "--name", name], (0, 1, 2)
            )
            self._processes[process.pid] = process
            self._names[process.pid] = name

    def _require_alive(self) -> None:
        arrived = {one.pid for one in self._arrived.values() if one.id not in self._gone}
        for process in self._processes.values():
            if process.pid not in arrived and (code := process.poll()) is not None:
                raise NoWorkersError(f"a worker ended at its start, with exit code {code}")

    def _exchanges(self, worker: Arrived) -> Iterator[Exchange]:
        for number in range(PINGS):
            sent_ns = clock()
            self.send(worker, messages.PING, number=number)
            until_s = time.monotonic() + PING_S
            while (heard := self.hear(until_s)) is not None:
                if heard.kind == messages.PONG and heard.data["number"] == number:
                    if heard.worker == worker:
                        yield Exchange(sent_ns, heard.data["there_ns"], heard.at_ns)
                    break
