"""A worker of the `locust` driver: `python -m … --master HOST --port PORT`.

It drives its share of each round of its master, and ends with the master.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.queue import Empty, Queue
from locust import runners
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message

from loopmark.harness.drivers.locust_driver.flows.engine import connected_environment, only_listen
from loopmark.harness.drivers.locust_driver.flows.flow_user import GeventFlowUser
from loopmark.harness.drivers.locust_driver.flows.round import EndedError, FlowRound
from loopmark.harness.drivers.locust_driver.shutdown import ShutdownError, end_on
from loopmark.harness.drivers.locust_driver.workers import messages
from loopmark.harness.drivers.locust_driver.workers.worker_population import WorkerPopulation
from loopmark.harness.drivers.pacing.load_models import SETTLE_S, Share
from loopmark.harness.drivers.process.job_inputs import scenario_of
from loopmark.harness.drivers.recording.batches import SampleBatches
from loopmark.harness.drivers.recording.clock import clock, clock_id
from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.address import Address
from loopmark.harness.vocabulary.job import DriverReport

PATIENCE_S = 8.0
"""Time to wait for a master: the two may be started in any order, by hand or by a scheduler."""

PATIENCE_FOR_NEXT_S = 60.0
"""Time to wait for the master of the next round of a locustfile."""

PROBE_S = 2.0
BETWEEN_PROBES_S = 0.2
LEAVING_S = 0.3
SILENCE_S = 10.0
"""A master without a heartbeat for so long has stopped responding."""

MASTER_IMPORTS_S = 60
FLUSH_S = 0.5
"""Maximum time between batches with few samples: a worker that dies loses at most this much."""

EXIT_LOST = 1
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130


class Departure(Enum):
    """Why a worker has stopped serving its master, as text."""

    DONE = "the run is done"
    AGAIN = "the round is done; ready for the next"
    LOST = "the master stopped responding; leaving"


class RefusedError(Exception):
    """There is no master for this worker."""


class Worker:
    """Serves one master.

    Args:
        runner: Locust's, connected to the master.
        say: Called with progress messages for the user.
    """

    def __init__(self, runner: runners.WorkerRunner, say: Callable[[str], None]) -> None:
        self._runner = runner
        self._say = say
        self._answer: AsyncResult[str] = AsyncResult()
        self._orders: Queue[tuple[str, Any]] = Queue()
        self._round: Any = None
        self._users: FlowRound | None = None
        self._is_ended = False
        self._silence_s = runners.MASTER_HEARTBEAT_TIMEOUT
        self._start: AsyncResult[dict[str, Any]] = AsyncResult()
        for kind in messages.FROM_MASTER:
            self._runner.register_message(kind, self._told)

    def introduce(self, name: str, patience_s: float) -> None:
        """Register with the master, and wait to be accepted.

        Args:
            name: For users.
            patience_s: How long the answer may take.

        Raises:
            RefusedError: The master has another version, or is not one of ours.
        """
        self._send(
            messages.HELLO,
            name=name,
            versions=messages.versions(),
            clock=clock_id(),
            pid=os.getpid(),
        )
        try:
            why = self._answer.get(timeout=patience_s)
        except gevent.Timeout:
            raise RefusedError("it is a Locust master, but not of Loopmark") from None
        if why:
            raise RefusedError(why)

    def serve(self) -> Departure:
        """Follow the master's orders until it is done, or lost."""
        try:
            # Locust ends its greenlets when the master has been silent for too long.
            while len(self._runner.greenlet):
                with suppress(Empty):
                    kind, data = self._orders.get(timeout=1.0)
                    if kind == messages.BYE:
                        return Departure.AGAIN if data["again"] else Departure.DONE
                    self._obey(kind, data)
            return Departure.LOST
        finally:
            self._stop()

    def _told(self, environment: Environment, msg: Message, **_: object) -> None:  # noqa: ARG002 - as Locust calls it
        match msg.type:
            case messages.PING:
                self._send(messages.PONG, number=msg.data["number"], there_ns=clock())
            case messages.WELCOME:
                self._answer.set("")
            case messages.REFUSED:
                self._answer.set(msg.data["why"])
            case kind:
                self._orders.put((kind, msg.data))

    def _obey(self, kind: str, data: Any) -> None:  # noqa: ANN401 - the data of a message
        match kind:
            case messages.PREPARE | messages.LOCUSTFILE:
                self._stop()
                self._start = AsyncResult()
                self._is_ended = False
                drive = self._drive if kind == messages.PREPARE else self._populate
                self._round = gevent.spawn(drive, data, self._start)
            case messages.START | messages.FINISH:
                self._start.set(data)
            case messages.STOP:
                self._stop()

    def _stop(self) -> None:
        """End the current round; its samples are delivered."""
        if self._round is not None:
            self._is_ended = True
            self._start.set({})
            if self._users is not None:
                self._users.end()
            self._round.join()
            self._round = None

    def _drive(self, prepare: dict[str, Any], start: AsyncResult[dict[str, Any]]) -> None:
        """Drive a share of a round of flows."""
        job = messages.job_of(prepare["job"])
        share = Share(prepare["index"], prepare["count"])
        self._say(f"{job.scenario}, {job.load.label}, part {share.index + 1} of {share.count}")
        environment = self._runner.environment
        if not environment.user_classes:
            environment.user_classes = [GeventFlowUser]
            only_listen(environment)
        with (
            self._delivered(job.round) as (rows, reports),
            FlowRound(self._runner, job, scenario_of(job), rows, share) as users,
        ):
            self._users = users
            self._go_on()
            self._send(messages.PREPARED, right=users.warm())
            order = start.get()
            self._go_on()
            reports.append(self._begin(users, order))

    def _populate(self, order: dict[str, Any], finish: AsyncResult[dict[str, Any]]) -> None:
        """Run a share of a locustfile's users, which Locust starts and stops."""
        job = messages.job_of(order["job"])
        assert job.locustfile is not None
        name = Path(job.locustfile.choice.path).name
        self._say(f"{name}, part {order['index'] + 1} of {order['count']}")
        with self._delivered(job.round) as (rows, reports):
            # Master and worker import the file, and say nothing meanwhile.
            runners.MASTER_HEARTBEAT_TIMEOUT = MASTER_IMPORTS_S
            users = WorkerPopulation(
                self._runner, order, rows, finish.set_exception, lambda: finish.set({})
            )
            try:
                self._send(messages.STARTED, start_ns=clock())
                self._send(messages.PREPARED, right=True)
                finish.get()
                runners.MASTER_HEARTBEAT_TIMEOUT = self._silence_s
                if self._is_ended:
                    self._runner.stop()
                self._go_on()
                reports.append(users.report())
            finally:
                users.close()

    @contextmanager
    def _delivered(self, round_number: int) -> Iterator[tuple[SampleBatches, list[DriverReport]]]:
        """Collect and send samples within the context; at its end send the rest, and the report."""
        numbers = iter(range(sys.maxsize))
        rows = SampleBatches(
            round_number,
            lambda _, content: self._send(messages.SAMPLES, number=next(numbers), content=content),
        )
        reports: list[DriverReport] = []
        flusher = gevent.spawn(_flush_now_and_then, rows)
        try:
            yield rows, reports
        except EndedError:
            pass
        except Exception as problem:  # noqa: BLE001 - sent to the master, which ends the run
            if not isinstance(problem, UserError):
                traceback.print_exc()
            what = str(problem) if isinstance(problem, UserError) else repr(problem)
            self._send(messages.PROBLEM, what=what)
        finally:
            self._users = None
            flusher.kill()
        rows.flush()
        told = messages.report_data(reports[0]) if reports else None
        self._send(messages.ENDED, rows=rows.rows, report=told)

    def _go_on(self) -> None:
        if self._is_ended:
            raise EndedError

    def _begin(self, users: FlowRound, order: dict[str, Any]) -> DriverReport:
        if not order["go"]:
            self._send(messages.STARTED, start_ns=clock())
            return users.refuse()
        start_ns = order["start_ns"]
        if start_ns is None:
            start_ns = clock() + round(SETTLE_S * 1e9)
        self._send(messages.STARTED, start_ns=start_ns)
        return users.drive(start_ns)

    def _send(self, kind: str, **data: object) -> None:
        self._runner.send_message(kind, data)


def connected(master: Address, environment: Environment, patience_s: float) -> runners.WorkerRunner:
    """Connect to a master.

    Args:
        master: Where it is.
        environment: Gets the runner.
        patience_s: How long to wait for it.

    Raises:
        RefusedError: There is no master there.
    """
    deadline = time.monotonic() + patience_s
    why = _why_unreachable(master)
    while why and time.monotonic() < deadline:
        gevent.sleep(BETWEEN_PROBES_S)
        why = _why_unreachable(master)
    if why:
        raise RefusedError(why)
    # Locust itself would try for five minutes.
    runners.CONNECT_TIMEOUT = 1
    runners.CONNECT_RETRY_COUNT = max(2, round(deadline - time.monotonic())) - 1
    try:
        return environment.create_worker_runner(master.host, master.port)
    except ConnectionError:
        raise RefusedError("the server there is not a Locust master") from None


def _why_unreachable(master: Address) -> str:
    try:
        socket.create_connection((master.host, master.port), PROBE_S).close()
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    return ""


def _flush_now_and_then(rows: SampleBatches) -> None:
    while True:
        gevent.sleep(FLUSH_S)
        rows.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a master to its end.

    Returns:
        The exit code: 0 when the master was done, 1 when it was lost, 2 when there was none or it
        refused this worker, 130 when a signal ended this worker.
    """
    parser = argparse.ArgumentParser(prog="loopmark worker", description="A worker of a run.")
    parser.add_argument("--master", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--name", default=f"{socket.gethostname()}/{os.getpid()}")
    parser.add_argument("--patience", type=float, default=PATIENCE_S)
    parser.add_argument("--silence", type=float, default=SILENCE_S)
    chosen = parser.parse_args(arguments)
    master = Address(chosen.master, chosen.port)
    end_on(signal.SIGTERM, signal.SIGINT)
    runners.MASTER_HEARTBEAT_TIMEOUT = chosen.silence
    environment = connected_environment()
    departure = Departure.LOST
    try:
        runner = connected(master, environment, chosen.patience)
        worker = Worker(runner, partial(_say, master))
        worker.introduce(chosen.name, min(chosen.patience, PATIENCE_S))
        _say(master, "connected; waiting for work, Ctrl-C ends it")
        departure = worker.serve()
        _say(master, departure.value)
    except RefusedError as problem:
        _say(master, f"no run to work for: {problem}")
        return EXIT_REFUSED
    except ShutdownError:
        _say(master, "left before the run was done")
        return EXIT_INTERRUPTED
    finally:
        _leave(environment)
    if departure is Departure.AGAIN:
        # What a locustfile has set up must not be there when it is imported again.
        again = ["--patience", str(PATIENCE_FOR_NEXT_S)]
        os.execv(sys.executable, [*sys.orig_argv, *again])  # noqa: S606 - this very program
    return EXIT_LOST if departure is Departure.LOST else 0


def _say(master: Address, what: str) -> None:
    sys.stderr.write(f"loopmark worker, master {master}: {what}\n")
    sys.stderr.flush()


def _leave(environment: Environment) -> None:
    """Notify the master, and flush pending messages."""
    runner = environment.runner
    if isinstance(runner, runners.WorkerRunner):
        events: Any = environment.events  # Its methods have no types.
        with suppress(RPCError, ShutdownError):  # A further signal is ignored.
            runner.send_message(messages.LEAVING)
            events.quitting.fire(environment=runner.environment, reverse=True)
            gevent.sleep(LEAVING_S)
            events.quit.fire(exit_code=0)
        runner.greenlet.kill(block=False)


if __name__ == "__main__":
    sys.exit(main())
