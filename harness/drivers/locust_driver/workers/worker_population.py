"""A worker's share of a locustfile's users: Locust starts them, their requests become samples."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.log import setup_logging
from locust.runners import WorkerRunner

from loopmark.harness.drivers.locust_driver.flows.engine import take_over
from loopmark.harness.drivers.locust_driver.gevent_loop import GeventLoop
from loopmark.harness.drivers.locust_driver.locustfile.environment import load
from loopmark.harness.drivers.locust_driver.locustfile.event_recorder import EventRecorder
from loopmark.harness.drivers.locust_driver.locustfile.population import users_of
from loopmark.harness.drivers.locust_driver.workers import messages
from loopmark.harness.drivers.pacing.load_models import Share
from loopmark.harness.drivers.pacing.window import Window
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleRows
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.locustfile import LocustfileChoice


class WorkerPopulation:
    """The users of one round in this process.

    Args:
        runner: Locust's, connected to the master, which will start and stop them.
        order: The data of `messages.LOCUSTFILE`.
        rows: Where the samples go.
        on_problem: Called with failures of the measuring.
        on_stop: Called when the users have been stopped.

    Raises:
        UserError: The file cannot be imported here.
    """

    def __init__(
        self,
        runner: WorkerRunner,
        order: dict[str, Any],
        rows: SampleRows,
        on_problem: Callable[[Exception], None],
        on_stop: Callable[[], None],
    ) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        job = messages.job_of(order["job"])
        assert job.locustfile is not None
        self._recording = Recording(rows)
        share = Share(order["index"], order["count"])
        self._recorder = EventRecorder(self._recording, on_problem, share)
        self._window = Window(GeventLoop(on_problem))
        self._on_stop = on_stop
        self._environment = self._loaded(job.locustfile.choice, order["text"], runner)
        events: Any = self._environment.events  # Its methods have no types.
        begins = events.test_start if users_of(job).users is None else events.spawning_complete
        begins.add_listener(self._open)
        events.test_stopping.add_listener(self._on_stopping)
        events.test_stop.add_listener(lambda **_: on_stop())
        self._recorder.attach(self._environment)
        events.init.fire(environment=self._environment, runner=runner, web_ui=None)

    def report(self) -> DriverReport:
        """This process's report, after its users have stopped."""
        self._recorder.detach()
        if not self._window.start_ns:
            self._window.open()
        self._close()
        return self._recorder.completed(self._window.report(self._recording))

    def close(self) -> None:
        """Stop listening, and unload the file."""
        self._recorder.detach()
        if self._folder is not None:
            self._folder.cleanup()

    def _loaded(
        self, choice: LocustfileChoice, text: bytes | None, runner: WorkerRunner
    ) -> Environment:
        if text is not None:
            # Under its own name, which its messages have.
            self._folder = tempfile.TemporaryDirectory(prefix="loopmark-locustfile-")
            path = Path(self._folder.name) / Path(choice.path).name
            path.write_bytes(text)
            choice = replace(choice, path=str(path))
        loaded = load(choice)
        set_up: Any = setup_logging  # Without types.
        set_up(loaded.options.loglevel)
        environment = loaded.environment()
        # The master's shape decides their number.
        environment.shape_class = None
        take_over(environment, runner)
        return environment

    def _open(self, **_: object) -> None:
        if not self._window.start_ns:
            self._window.open()

    def _on_stopping(self, **_: object) -> None:
        self._close()
        # A user that ends the test is itself killed by that, and `test_stop` is never fired.
        stopper: Any = gevent.getcurrent()
        if isinstance(stopper, gevent.Greenlet):
            stopper.link(lambda _: self._on_stop())

    def _close(self) -> None:
        if self._window.start_ns and not self._window.is_closed:
            self._window.close()
