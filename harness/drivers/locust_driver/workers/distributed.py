"""Drives rounds on workers: assigns shares, writes their samples, combines their reports."""

from __future__ import annotations

from pathlib import Path

from loopmark.harness.drivers.locust_driver.arguments import Arguments
from loopmark.harness.drivers.locust_driver.flows.engine import connected_environment
from loopmark.harness.drivers.locust_driver.flows.round import EndedError
from loopmark.harness.drivers.locust_driver.native_thread import NativeThread
from loopmark.harness.drivers.locust_driver.workers import messages
from loopmark.harness.drivers.locust_driver.workers.deliveries import Deliveries
from loopmark.harness.drivers.locust_driver.workers.worker_pool import WorkerPool
from loopmark.harness.drivers.pacing.load_models import settle_s
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.scenario import Scenario

LEAD_S = 0.3
"""From the order to start until the start: every worker must receive it in time."""

PREPARING_S = 30.0
ENDING_S = 30.0
"""Added to the load's planned duration and the time limit of an answer."""


class DistributedDriver:
    """Any number of rounds on the workers of one master.

    Args:
        chosen: The number of workers, and where they connect.

    Attributes:
        pool: The workers.

    Raises:
        RPCError: The address cannot be bound.
    """

    def __init__(self, chosen: Arguments) -> None:
        self.pool = WorkerPool(connected_environment(), chosen)
        self._is_driving = False

    def gather(self) -> None:
        """Wait for the workers.

        Raises:
            NoWorkersError: They did not connect.
        """
        self.pool.gather()

    def drive(self, job: LoadJob, scenario: Scenario) -> DriverReport | None:  # noqa: ARG002 - the workers look it up themselves
        """Drive one round and write its samples.

        A target that fails when the connections are opened is not driven: the window is empty then.
        A worker that is lost costs its share of the round; its report says so.

        Returns:
            None when the round was stopped from outside; the samples until then are written.

        Raises:
            NoWorkersError: No worker is left.
            OSError: The samples could not be written.
            WorkerFailedError: A flow raised an exception that is not about an answer.
        """
        self._is_driving = True
        try:
            self.pool.gather()
            with SampleFile(Path(job.samples), job.round, executor=NativeThread()) as samples:
                return _Round(self.pool, job, samples).drive()
        except EndedError:
            return None
        finally:
            self._is_driving = False

    def end(self) -> bool:
        """End the current round cleanly; returns whether there is one."""
        if self._is_driving:
            self.pool.end()
        return self._is_driving

    def close(self) -> None:
        """Release the workers."""
        self.pool.close()


class _Round:
    def __init__(self, pool: WorkerPool, job: LoadJob, samples: SampleFile) -> None:
        self._pool = pool
        self._job = job
        workers = pool.present()[: job.load.concurrency]
        self._deliveries = Deliveries(pool, workers, samples)
        self._goes = True

    def drive(self) -> DriverReport:
        deliveries, timeouts = self._deliveries, self._job.timeouts
        try:
            deliveries.align()
            deliveries.give_out(messages.PREPARE, job=messages.job_data(self._job))
            patience_s = PREPARING_S + timeouts.connect_s + timeouts.response_s
            deliveries.wait(lambda part: part.is_prepared, patience_s, "it did not get ready")
            self._start()
            patience_s = 2 * self._job.load.planned_s + timeouts.response_s + ENDING_S
            deliveries.wait(lambda part: part.has_ended, patience_s, "it did not end in time")
            deliveries.measure_drift()
        except EndedError:
            deliveries.stop()
            raise
        return deliveries.report(self._window())

    def _start(self) -> None:
        present = self._deliveries.present()
        self._goes = all(part.is_right for part in present)
        quiet_s = settle_s(self._job.load)
        start_ns = self._deliveries.start_ns = clock() + round((LEAD_S + quiet_s) * 1e9)
        for part in present:
            theirs = None if part.clock == "durations" else start_ns + part.offset.offset_ns
            self._pool.send(part.worker, messages.START, go=self._goes, start_ns=theirs)

    def _window(self) -> tuple[int, int]:
        """The span of all windows; the planned one if no worker reported any."""
        start_ns, load = self._deliveries.start_ns, self._job.load
        if not self._goes:
            return start_ns, start_ns
        if windows := self._deliveries.windows():
            return min(start for start, _ in windows), max(end for _, end in windows)
        if load.window_s is None:
            return start_ns, clock()
        open_s, close_s = load.window_s
        return start_ns + round(open_s * 1e9), start_ns + round(close_s * 1e9)
