"""One round on this process's own users: all of a load, or a share of it."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any, Self

import gevent
from gevent.event import Event
from gevent.pool import Pool
from locust.runners import Runner

from loopmark.harness.drivers.locust_driver.flows.flow_user import GeventFlowUser, RoundContext
from loopmark.harness.drivers.locust_driver.gevent_loop import GeventLoop
from loopmark.harness.drivers.pacing.load_models import (
    WHOLE,
    LoadExecution,
    Share,
    UserPool,
    begin,
)
from loopmark.harness.drivers.pacing.user import nobody_waits
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.process.job_inputs import accounts, chance_of, origin_of
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleRows
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.scenario import Scenario, is_plain_flow

CONNECTING_AT_ONCE = 50
"""Enough to open 1000 connections within seconds, few enough not to overflow a listen queue."""


class EndedError(Exception):
    """The round was stopped from outside."""


class FlowRound:
    """Users with open connections, and the load that they drive; a context manager.

    Args:
        runner: Locust's; it makes the users.
        job: What to drive.
        scenario: Whose flow.
        rows: Where the samples go.
        share: Of the load, when several processes share it.
    """

    def __init__(
        self,
        runner: Runner,
        job: LoadJob,
        scenario: Scenario,
        rows: SampleRows,
        share: Share = WHOLE,
    ) -> None:
        flow, load = scenario.flow, job.load
        assert is_plain_flow(flow, scenario), (
            "no plan lets Locust drive httpx clients or hear events"
        )
        self._runner = runner
        self._job = job
        self._load = load
        self._scenario = scenario
        self._recording = Recording(rows)
        self._share = share
        self._loop = GeventLoop(self._stop)
        self._ended = Event()
        self._problem: Exception | None = None
        self._users: Sequence[GeventFlowUser] = ()
        self._watch: Any = None
        self.window = Window(self._loop)
        GeventFlowUser.host = job.base_url
        GeventFlowUser.round_context = RoundContext(
            flow, origin_of(job.base_url), job.timeouts, self._recording, self._stop
        )

    def __enter__(self) -> Self:
        numbers = list(self._share.of(range(self._job.load.concurrency)))
        if numbers:
            self._users = self._runner.spawn_users({GeventFlowUser.__name__: len(numbers)})
        self._check()
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.cancel()
        for user in self._users:
            user.on_end = nobody_waits
        self._runner.user_greenlets.kill(block=True)
        for user in self._users:
            user.close()

    def end(self) -> None:
        """Stop the round: the code that drives or warms it gets an `EndedError`."""
        self._stop(EndedError())

    def warm(self) -> bool:
        """Open every user's connection; whether all got the right answer.

        Raises:
            OSError: The samples could not be written.
            EndedError: By `end`.
        """
        of_share = accounts(self._job, self._share)
        request = self._scenario.warm
        right: list[bool] = []
        pool = Pool(CONNECTING_AT_ONCE)

        def warm(number: int, user: GeventFlowUser) -> None:
            try:
                right.append(user.warm(request, of_share[number % len(of_share)]))
            except Exception as problem:  # noqa: BLE001 - raised to who waits below
                self._stop(problem)

        def warm_all() -> None:
            for numbered in enumerate(self._users):
                pool.spawn(warm, *numbered)
            pool.join()
            self._ended.set()

        warming = gevent.spawn(warm_all)
        try:
            self._await_end()
        finally:
            warming.kill()
            pool.kill()
        return all(right)

    def drive(self, start_ns: int | None = None) -> DriverReport:
        """Drive the load to its end.

        Args:
            start_ns: When it begins (CLOCK_MONOTONIC); at once, or when the target has settled,
                when None.

        Raises:
            Exception: Whatever a flow raised that is not about an answer.
            OSError: The samples could not be written.
            EndedError: By `end`.
        """
        job = self._job
        of_share = accounts(job, self._share)
        random = chance_of(job)
        pool = UserPool(self._loop, self._users, of_share, self._recording, random, self._share)
        # What exists now stays until the end: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        execution = begin(self._load, pool, self.window, self._ended.set, start_ns)
        return self._to_the_end(execution)

    def refuse(self) -> DriverReport:
        """The report for a target that failed the warm-up: its window is empty.

        The samples of the failures give the reason.
        """
        self.window.open()
        self.window.close(self.window.start_ns)
        return self.window.report(self._recording)

    def _to_the_end(self, execution: LoadExecution) -> DriverReport:
        try:
            self._await_end()
        finally:
            execution.close()
            gc.unfreeze()
        return self.window.report(self._recording)

    def _await_end(self) -> None:
        self._ended.wait()
        self._ended.clear()
        if self._problem is not None:
            raise self._problem

    def _check(self) -> None:
        self._watch = self._loop.call_later(self._job.timeouts.check_interval_s, self._check)
        now_ns = clock()
        for user in self._users:
            user.check(now_ns)

    def _stop(self, problem: Exception) -> None:
        self._problem = self._problem or problem
        self._ended.set()
