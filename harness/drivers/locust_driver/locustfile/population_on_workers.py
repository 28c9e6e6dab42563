"""One round of a locustfile's own users on workers: Locust's master starts and stops them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gevent

from loopmark.harness.drivers.locust_driver.workers import messages
from loopmark.harness.drivers.locust_driver.workers.deliveries import TICK_S, Deliveries, joined
from loopmark.harness.drivers.locust_driver.workers.worker_pool import NoWorkersError, WorkerPool
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, LocustfilePart

PREPARING_S = 60.0
"""For workers to import the file."""


class PopulationOnWorkers:
    """Distributes a locustfile to workers, and collects their samples.

    Args:
        pool: The workers; all that are present take part.
        job: The round.
        file: What is run in it.
        samples: Where the samples go.
    """

    def __init__(
        self, pool: WorkerPool, job: LoadJob, file: LocustfilePart, samples: SampleFile
    ) -> None:
        self._pool = pool
        self._job = job
        self._file = file
        self._deliveries = Deliveries(pool, pool.present(), samples)
        self._listener: gevent.Greenlet | None = None

    def give_out(self) -> None:
        """Make all workers import the file; the master may do so meanwhile."""
        self._deliveries.align()
        self._pool.is_patient = True
        text = None if self._pool.is_here else Path(self._file.choice.path).read_bytes()
        self._deliveries.give_out(messages.LOCUSTFILE, job=messages.job_data(self._job), text=text)

    def await_all(self) -> None:
        """Wait until all have imported it.

        Raises:
            WorkerFailedError: The import failed.
            NoWorkersError: None is left.
        """
        late = "it did not get ready"
        self._deliveries.wait(lambda part: part.is_prepared, PREPARING_S, late)
        self._pool.settle()
        self._pool.is_patient = False
        if not self._deliveries.present():
            raise NoWorkersError("no worker is left")

    def listen(self, on_problem: Callable[[Exception], None], is_over: Callable[[], bool]) -> None:
        """Receive samples while the users are running.

        Args:
            on_problem: Called with problems.
            is_over: Whether users may have stopped: otherwise a worker whose users have stopped is
                lost.
        """

        def take() -> None:
            try:
                while True:
                    self._deliveries.hear(time.monotonic() + TICK_S)
                    for part in self._deliveries.present():  # Who is gone is noticed.
                        if part.has_ended and not is_over():
                            part.lost = "its users stopped before the master said so"
            except Exception as problem:  # noqa: BLE001 - passed to the waiting code
                on_problem(problem)

        self._listener = gevent.spawn(take)

    def finish(self, patience_s: float) -> None:
        """Receive the rest after the users have stopped, and release the workers.

        Args:
            patience_s: After so many seconds those that have not delivered are given up.
        """
        if self._listener is not None:
            self._listener.kill()
        for part in self._deliveries.present():
            self._pool.send(part.worker, messages.FINISH)
        late = "it did not deliver in time"
        self._deliveries.wait(lambda part: part.has_ended, patience_s, late, is_ending=True)
        self._deliveries.measure_drift()
        self._pool.close(again=not self._file.is_last)

    def report(self, window: Window, recording: Recording) -> DriverReport:
        """The combined report of the workers and the master."""
        report = self._deliveries.report((window.start_ns, window.end_ns))
        here = {kind: tuple(found) for kind, found in recording.examples.items()}
        return replace(report, error_examples=joined([here, report.error_examples]))
