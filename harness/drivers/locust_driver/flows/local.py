"""Drives rounds on the users of this process alone."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from locust.runners import Runner

from loopmark.harness.drivers.locust_driver.flows.engine import flow_environment, only_listen
from loopmark.harness.drivers.locust_driver.flows.round import EndedError, FlowRound
from loopmark.harness.drivers.locust_driver.native_thread import NativeThread
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.scenario import Scenario


class LocalDriver:
    """One process, one event loop, any number of rounds.

    Attributes:
        pool: None: there are no workers.
    """

    pool = None

    def __init__(self) -> None:
        self._is_driving = self._is_ended = False
        self._round: FlowRound | None = None

    @cached_property
    def _runner(self) -> Runner:
        environment = flow_environment()
        only_listen(environment)
        return environment.create_local_runner()

    def drive(self, job: LoadJob, scenario: Scenario) -> DriverReport | None:
        """Drive one round and write its samples.

        A target that fails when the connections are opened is not driven: the window is empty then.

        Returns:
            None when the round was stopped from outside; the samples until then are written.

        Raises:
            OSError: The samples could not be written.
            Exception: An exception of a flow that is not about an answer.
        """
        self._is_driving, self._is_ended = True, False
        try:
            with (
                SampleFile(Path(job.samples), job.round, executor=NativeThread()) as samples,
                FlowRound(self._runner, job, scenario, samples) as users,
            ):
                self._round = users
                if self._was_ended():  # While the users were made.
                    return None
                report = users.drive() if users.warm() else users.refuse()
        except EndedError:
            return None
        finally:
            self._is_driving, self._round = False, None
        return None if self._was_ended() else report

    def _was_ended(self) -> bool:
        # By a call, because mypy cannot know that `end` was called meanwhile.
        return self._is_ended

    def end(self) -> bool:
        """End the current round cleanly; returns whether there is one."""
        self._is_ended = self._is_driving
        if self._round is not None:
            self._round.end()
        return self._is_driving

    def close(self) -> None:
        """Nothing is held between rounds."""
