"""A worker of the `locust` driver: `python -m … --master HOST --port PORT`.

It drives its share of every round that its master gives out, and ends with the master.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.queue import Empty, Queue
from locust import runners
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message

from harness.address import Address
from harness.drivers.batches import SampleBatches
from harness.drivers.clock import clock, clock_id
from harness.drivers.load_models import SETTLE_S, Share
from harness.drivers.locust_driver import messages
from harness.drivers.locust_driver.engine import flow_environment, only_listen
from harness.drivers.locust_driver.round import EndedError, Round
from harness.drivers.locust_driver.told_to_end import ToldToEndError, end_on
from harness.vocabulary.job import DriverReport
from scenarios.catalog import SCENARIOS

PATIENCE_S = 8.0
"""For a master to be there: the two may be started in any order, by hand or by a scheduler."""

PROBE_S = 2.0
BETWEEN_PROBES_S = 0.2
LEAVING_S = 0.3
MASTER_SILENCE_S = 10
FLUSH_S = 0.5
"""Between batches, where there are few samples: so much is lost with a worker that dies."""

EXIT_LOST = 1
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130


class RefusedError(Exception):
    """There is no master that this worker could serve."""


class Worker:
    """Serves one master.

    Args:
        runner: Locust's, connected to the master.
        say: Told what happens, for whoever watches this worker.
    """

    def __init__(self, runner: runners.WorkerRunner, say: Callable[[str], None]) -> None:
        self._runner = runner
        self._say = say
        self._answer: AsyncResult[str] = AsyncResult()
        self._orders: Queue[tuple[str, Any]] = Queue()
        self._round: Any = None
        self._users: Round | None = None
        self._is_ended = False
        self._start: AsyncResult[dict[str, Any]] = AsyncResult()
        for kind in messages.FROM_MASTER:
            self._runner.register_message(kind, self._told)

    def introduce(self, name: str) -> None:
        """Tell the master who this is, and wait to be let in.

        Args:
            name: For people.

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
            why = self._answer.get(timeout=PATIENCE_S)
        except gevent.Timeout:
            raise RefusedError("it is a Locust master, but none of Loopmark") from None
        if why:
            raise RefusedError(why)

    def serve(self) -> bool:
        """Do what the master orders until it is done; False when it was lost before."""
        try:
            # Locust ends its greenlets when the master has been silent for too long.
            while len(self._runner.greenlet):
                with suppress(Empty):
                    kind, data = self._orders.get(timeout=1.0)
                    if kind == messages.BYE:
                        return True
                    self._obey(kind, data)
            return False
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
            case messages.PREPARE:
                self._stop()
                self._start = AsyncResult()
                self._is_ended = False
                self._round = gevent.spawn(self._drive, data, self._start)
            case messages.START:
                self._start.set(data)
            case messages.STOP:
                self._stop()

    def _stop(self) -> None:
        """End the round under way; what it has recorded is delivered."""
        if self._round is not None:
            self._is_ended = True
            self._start.set({})
            if self._users is not None:
                self._users.end()
            self._round.join()
            self._round = None

    def _drive(self, prepare: dict[str, Any], start: AsyncResult[dict[str, Any]]) -> None:
        job = messages.job_of(prepare["job"])
        share = Share(prepare["index"], prepare["count"])
        self._say(f"{job.scenario}, {job.load.label}, part {share.index + 1} of {share.count}")
        numbers = iter(range(sys.maxsize))
        rows = SampleBatches(
            job.round,
            lambda count, content: self._send(
                messages.SAMPLES, number=next(numbers), rows=count, content=content
            ),
        )
        report: DriverReport | None = None
        flusher = gevent.spawn(_flush_now_and_then, rows)
        try:
            with Round(self._runner, job, SCENARIOS[job.scenario], rows, share) as users:
                self._users = users
                self._go_on()
                self._send(messages.PREPARED, right=users.warm())
                order = start.get()
                self._go_on()
                report = self._begin(users, order)
        except EndedError:
            pass
        except Exception as problem:  # noqa: BLE001 - told to the master, which ends the run by it
            traceback.print_exc()
            self._send(messages.PROBLEM, what=f"{type(problem).__name__}: {problem}")
        finally:
            self._users = None
            flusher.kill()
        rows.flush()
        told = None if report is None else messages.report_data(report)
        self._send(messages.ENDED, rows=rows.rows, report=told)

    def _go_on(self) -> None:
        if self._is_ended:
            raise EndedError

    def _begin(self, users: Round, order: dict[str, Any]) -> DriverReport:
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


def connected(master: Address, environment: Environment) -> runners.WorkerRunner:
    """Connect to a master.

    Raises:
        RefusedError: Nothing answers there.
    """
    deadline = time.monotonic() + PATIENCE_S
    why = _why_unreachable(master)
    while why and time.monotonic() < deadline:
        gevent.sleep(BETWEEN_PROBES_S)
        why = _why_unreachable(master)
    if why:
        raise RefusedError(why)
    # Locust itself would try for five minutes, and stay for one without a master.
    runners.CONNECT_RETRY_COUNT = 0
    runners.CONNECT_TIMEOUT = max(1, round(deadline - time.monotonic()))
    runners.MASTER_HEARTBEAT_TIMEOUT = MASTER_SILENCE_S
    try:
        return environment.create_worker_runner(master.host, master.port)
    except ConnectionError:
        raise RefusedError("what listens there is no Locust master") from None


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
        refused this worker, 130 when this worker was told to end.
    """
    parser = argparse.ArgumentParser(prog="loopmark worker", description="A worker of a run.")
    parser.add_argument("--master", required=True)
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--name", default=f"{socket.gethostname()}/{os.getpid()}")
    chosen = parser.parse_args(arguments)
    master = Address(chosen.master, chosen.port)
    end_on(signal.SIGTERM, signal.SIGINT)
    environment = flow_environment()
    try:
        runner = connected(master, environment)
        only_listen(environment)
        worker = Worker(runner, partial(_say, master))
        worker.introduce(chosen.name)
        _say(master, "connected; waiting for work, Ctrl-C ends it")
        if worker.serve():
            _say(master, "the run is done")
            return 0
        _say(master, f"not heard of for {MASTER_SILENCE_S} s; gone")
    except RefusedError as problem:
        _say(master, f"no run to work for: {problem}")
        return EXIT_REFUSED
    except ToldToEndError:
        _say(master, "left before the run was done")
        return EXIT_INTERRUPTED
    finally:
        _leave(environment)
    return EXIT_LOST


def _say(master: Address, what: str) -> None:
    sys.stderr.write(f"loopmark worker, master {master}: {what}\n")
    sys.stderr.flush()


def _leave(environment: Environment) -> None:
    """Let the master know, and what is on its way get there."""
    runner = environment.runner
    if isinstance(runner, runners.WorkerRunner):
        with suppress(RPCError, ToldToEndError):  # To be told to end is no news any more.
            runner.send_message("quit")
            gevent.sleep(LEAVING_S)
        runner.greenlet.kill(block=False)


if __name__ == "__main__":
    sys.exit(main())
