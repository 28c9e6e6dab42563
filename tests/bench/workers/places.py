"""Where master, target and workers run: all here, or each worker on a host of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

import pandas as pd
import pyarrow.parquet as pq

from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.drivers.process.forked_process import ForkServer
from loopmark.harness.launch.ports import HOST, free_port
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.run.driver_process import Drive, DriverProcess
from loopmark.harness.vocabulary.address import Address
from loopmark.harness.vocabulary.job import LoadJob, Timeouts, Workers
from loopmark.harness.vocabulary.loads.closed import Closed
from tests.network_namespaces import Host, inside

ROOT = Path(__file__).parents[3]
TIMEOUTS = Timeouts(connect_s=10.0, first_byte_s=30.0, response_s=30.0)
READY_S = 30.0


@dataclass(frozen=True)
class Target:
    """A target that sleeps."""

    process: subprocess.Popen[bytes]
    address: Address
    host: Host | None

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def answered(self) -> int:
        """How many requests it has answered, those that warmed connections left out."""
        with at(self.host):
            connection = HTTPConnection(self.address.host, self.address.port, timeout=READY_S)
            try:
                connection.request("GET", "/count")
                return int(json.loads(connection.getresponse().read())["answered"])
            finally:
                connection.close()


@contextmanager
def at(host: Host | None) -> Iterator[None]:
    """Within it, what is started runs on that host; None is this machine as it is."""
    with nullcontext() if host is None else inside(host):
        yield


@contextmanager
def sleeping_target(delay_ms: float, host: Host | None = None) -> Iterator[Target]:
    """Run one until it is no longer needed."""
    name = HOST if host is None else host.address
    with at(host):
        address = Address(name, free_port(name))
        command = [sys.executable, "-m", "tests.bench.workers.sleeping_target"]
        command += ["--host", name, "--port", str(address.port), "--delay-ms", str(delay_ms)]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, start_new_session=True)
    target = Target(process, address, host)
    try:
        _wait_until_ready(target)
        yield target
    finally:
        end(process)


class Crew:
    """A driver with its workers, for any number of rounds; a context manager.

    Args:
        count: How many workers.
        folder: For logs and samples.
        hosts: The first for the master, one more for each worker; none means all here.
    """

    def __init__(self, count: int, folder: Path, hosts: Sequence[Host] = ()) -> None:
        self._count = count
        self._folder = folder
        self._hosts = hosts
        self._rounds = 0
        self._stack = ExitStack()
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        master = self._hosts[0] if self._hosts else None
        listen = ""
        with at(master):
            if master is not None:
                listen = str(Address(master.address, free_port(master.address)))
            log = self._folder / f"driver-{self._count}.log"
            server = ForkServer(DRIVERS["locust"])
            self._stack.callback(server.stop)
            self._driver = DriverProcess("locust", server, log, (), Workers(self._count, listen))
        self._stack.callback(self._driver.stop)
        for host in self._hosts[1:]:
            place, _, port = listen.rpartition(":")
            command = [
                sys.executable,
                "-m",
                "loopmark.harness.drivers.locust_driver.workers.worker",
            ]
            command += ["--master", place, "--port", port]
            with at(host), (self._folder / f"worker-{host.name}.log").open("ab") as words:
                worker = subprocess.Popen(command, stderr=words, start_new_session=True)
            self.workers.append(worker)
            self._stack.callback(end, worker)
        self._driver.wait_until_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def job(self, target: Target, load: Closed) -> LoadJob:
        """The next round of `wait-timer`, whose answers come when the target likes."""
        self._rounds += 1
        name = f"{self._count}-{self._rounds}"
        return LoadJob(
            scenario="wait-timer",
            load=load,
            round=self._rounds,
            seed=1,
            base_url=target.url,
            tokens=tuple(f"t{number}" for number in range(load.users)),
            samples=str(self._folder / f"samples-{name}.parquet"),
            report=str(self._folder / f"report-{name}.json"),
            timeouts=TIMEOUTS,
        )

    def drive(self, job: LoadJob) -> Drive:
        """Drive it to its end."""
        return self._driver.drive(job, None)

    @property
    def pid(self) -> int:
        """Of the driver's process, whose children the workers are that were started here."""
        return self._driver.pid


def samples_of(job: LoadJob) -> pd.DataFrame:
    """The samples of a round."""
    frame: pd.DataFrame = pq.read_table(job.samples).to_pandas()
    return frame


def _wait_until_ready(target: Target) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            target.answered()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
