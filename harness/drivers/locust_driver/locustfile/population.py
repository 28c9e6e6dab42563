"""One round of a locustfile's own users: started, measured while all are running, ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event
from locust.env import Environment
from locust.runners import STATE_RUNNING, MasterRunner, Runner

from loopmark.harness.drivers.locust_driver.gevent_loop import GeventLoop
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.recording.clock import clock
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.vocabulary.job import LoadJob
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.sample import ErrorKind

LOOK_INTERVAL_S = 0.1
"""Interval for checking whether users are left."""

STOPPING_S = 20.0
"""For the users' `on_stop`, beside the stop timeout: then the round ends without them."""


def users_of(job: LoadJob) -> Population:
    """The users of a round of a locustfile."""
    assert isinstance(job.load, Population), "the only load of a locustfile"
    return job.load


class PopulationRound:
    """Users of one environment, whose runner starts them here or on its workers.

    Args:
        environment: With its runner.
        load: Number of users, and run time.
        recording: Where examples of problems are recorded.
        finish: For users on workers: called when they have stopped, to take what is delivered
            within so many seconds.

    Attributes:
        window: Open while all users are running; with a shape from the first to the last.
        ended_early: Why it ended early; empty if it did not.
    """

    def __init__(
        self,
        environment: Environment,
        load: Population,
        recording: Recording,
        finish: Callable[[float], None] | None = None,
    ) -> None:
        runner = environment.runner
        assert runner is not None
        self._environment = environment
        self._runner: Runner = runner
        self._load = load
        self._recording = recording
        self._finish = finish
        self._loop = GeventLoop(self.fail)
        self._over = Event()
        self._problem: Exception | None = None
        self._began_ns = 0
        self.ended_early = ""
        self.window = Window(self._loop)
        events: Any = environment.events  # Its methods have no types.
        # After the file's own listeners: what they prepare takes nothing of the run time.
        events.test_start.add_listener(self._on_start)
        events.spawning_complete.add_listener(self._on_all_there)
        events.test_stopping.add_listener(self._on_stopping)
        events.test_stop.add_listener(self._on_stop)

    def drive(self) -> None:
        """Start the users and wait until the run time is over, or the test has been stopped.

        Raises:
            Exception: A failure of the measuring itself.
        """
        if self._load.users is None:
            self._runner.start_shape()
            self._watch(self._runner.shape_greenlet, "its shape has failed")
        else:
            self._watch(self._start(self._load.users), "the users were not all started")
        self._over.wait()
        self._close()
        self.end(STOPPING_S)
        if self._problem is not None:
            raise self._problem

    def _start(self, users: int) -> gevent.Greenlet | None:
        if isinstance(self._runner, MasterRunner):  # Which waits until all are there.
            return gevent.spawn(self._start_by_master, users)
        self._runner.start(users, self._load.spawn_rate)
        return self._runner.spawning_greenlet

    def _start_by_master(self, users: int) -> None:
        self._runner.start(users, self._load.spawn_rate)
        if not self._began_ns:
            self.ended_early = "Locust's master had no worker to start users on"
            self._over.set()

    def end(self, patience_s: float) -> None:
        """Stop the users and fire what Locust fires at its end.

        Args:
            patience_s: How long `on_stop` and the like may take, beside the stop timeout.
        """
        self._close()
        environment = self._environment
        events: Any = environment.events
        if self._finish is not None:
            # Before anything quits, which would end the connections as well.
            with gevent.Timeout(environment.stop_timeout + patience_s / 2, False):
                self._runner.stop()
            self._finish(patience_s / 2)
        try:
            with gevent.Timeout(environment.stop_timeout + patience_s):
                events.quitting.fire(environment=environment, reverse=True)
                self._runner.quit()
                events.quit.fire(exit_code=environment.process_exit_code or 0)
        except gevent.Timeout:
            self._recording.explain(
                ErrorKind.LOCUSTFILE, f"its users did not end within {patience_s:g} s"
            )

    def fail(self, problem: Exception) -> None:
        """End the round because the measuring failed."""
        self._problem = self._problem or problem
        self._over.set()

    def _watch(self, greenlet: gevent.Greenlet | None, what: str) -> None:
        def failed(found: gevent.Greenlet) -> None:
            self.ended_early = f"{what}: {found.exception!r}"
            self._over.set()

        if greenlet is not None:
            greenlet.link_exception(failed)

    def _on_start(self, **_: object) -> None:
        if self._began_ns:
            return  # Started anew by the file itself.
        self._began_ns = clock()
        self._loop.call_later(self._load.run_time_s, self._time_is_up)
        if self._load.users is None:
            self.window.open()

    def _on_all_there(self, **_: object) -> None:
        if self._began_ns and not self.window.start_ns and not self.window.is_closed:
            self.window.open()
            self._loop.call_later(LOOK_INTERVAL_S, self._look)

    def _look(self) -> None:
        """End when all users have left: none comes back."""
        if self.window.is_closed:
            return
        if self._runner.state == STATE_RUNNING and not self._runner.user_count:
            self.ended_early = "all users had stopped before its end"
            self._time_is_up()
            return
        self._loop.call_later(LOOK_INTERVAL_S, self._look)

    def _time_is_up(self) -> None:
        self._close()
        self._over.set()

    def _on_stopping(self, **_: object) -> None:
        stopper: Any = gevent.getcurrent()
        # A shape that has come to its end stops the test itself.
        is_shape = self._load.users is None and stopper is self._runner.shape_greenlet
        if not self.window.is_closed and not is_shape and self._began_ns:
            passed_s = (clock() - self._began_ns) / 1e9
            planned = "" if self._load.users is None else f" of {self._load.run_time_s:g}"
            self.ended_early = self.ended_early or (
                f"it was stopped after {passed_s:.1f}{planned} s, on its page or by itself"
            )
        self._close()
        # A user that ends the test is itself killed by that, and `test_stop` is never fired.
        if isinstance(stopper, gevent.Greenlet):
            stopper.link(lambda _: self._over.set())

    def _on_stop(self, **_: object) -> None:
        self._over.set()

    def _close(self) -> None:
        window = self.window
        if window.is_closed:
            return
        if not window.start_ns:
            # Nothing was to be measured: the users were never all there.
            window.open()
            self.ended_early = self.ended_early or "it ended before all users had been started"
            window.close(window.start_ns)
            return
        window.close()
