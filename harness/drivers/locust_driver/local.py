"""Drives rounds on the users of this process alone."""

from __future__ import annotations

from pathlib import Path

from locust.runners import Runner

from harness.drivers.locust_driver.engine import flow_environment, only_listen
from harness.drivers.locust_driver.native_thread import NativeThread
from harness.drivers.locust_driver.round import Round
from harness.drivers.samples import SampleFile
from harness.vocabulary.job import DriverReport, LoadJob
from harness.vocabulary.scenario import Scenario


class LocalDriver:
    """One process, one event loop, any number of rounds."""

    def __init__(self) -> None:
        environment = flow_environment()
        self._runner: Runner = environment.create_local_runner()
        only_listen(environment)

    def drive(self, job: LoadJob, scenario: Scenario) -> DriverReport:
        """Drive one round and write its samples.

        A target that fails when the connections are opened is not driven: the window is empty then.

        Raises:
            OSError: The samples could not be written.
            Exception: Whatever a flow raised that is not about an answer.
        """
        with (
            SampleFile(Path(job.samples), job.round, executor=NativeThread()) as samples,
            Round(self._runner, job, scenario, samples) as users,
        ):
            return users.drive() if users.warm() else users.refuse()

    def close(self) -> None:
        """Nothing is held between rounds."""
