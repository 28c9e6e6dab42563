"""Drives a round of a locustfile, here or on workers.

One process drives one round, so the file's module-level set-up runs once per round.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from locust.env import Environment
from locust.log import setup_logging

from loopmark.harness.drivers.locust_driver.flows.engine import take_over
from loopmark.harness.drivers.locust_driver.locustfile.environment import load
from loopmark.harness.drivers.locust_driver.locustfile.event_recorder import EventRecorder
from loopmark.harness.drivers.locust_driver.locustfile.live_page import live_page
from loopmark.harness.drivers.locust_driver.locustfile.population import PopulationRound, users_of
from loopmark.harness.drivers.locust_driver.locustfile.population_on_workers import (
    PopulationOnWorkers,
)
from loopmark.harness.drivers.locust_driver.native_thread import NativeThread
from loopmark.harness.drivers.locust_driver.shutdown import ShutdownError
from loopmark.harness.drivers.locust_driver.workers.worker_pool import WorkerPool
from loopmark.harness.drivers.process.job_files import write_report
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, LocustfilePart

HURRY_S = 2.0
HURRY_WITH_WORKERS_S = 3.0
"""Time for the users to end on shutdown, before the samples are written."""


def drive(job: LoadJob, file: LocustfilePart) -> DriverReport | None:
    """Drive one round and write its samples.

    Returns:
        The driver's report; None on shutdown, when it is already written.

    Raises:
        UserError: The locustfile cannot be run, although the inspection succeeded.
        OSError: The samples could not be written.
    """
    environment = _environment(file)
    environment.create_local_runner()
    with SampleFile(Path(job.samples), job.round, executor=NativeThread()) as rows:
        recording = Recording(rows)
        users = PopulationRound(environment, users_of(job), recording)
        recorder = EventRecorder(recording, users.fail)
        recorder.attach(environment)
        try:
            with _initialised(environment, file.web_port):
                ended = _ended(users, environment, HURRY_S)
        finally:
            recorder.detach()
    report = recorder.completed(users.window.report(recording))
    return _told(job, users, report, ended=ended)


def drive_on_workers(job: LoadJob, file: LocustfilePart, pool: WorkerPool) -> DriverReport | None:
    """The same, with users on workers.

    Raises:
        WorkerFailedError: The locustfile cannot be run by a worker.
        UserError: As `drive`.
        OSError: As `drive`.
    """
    with SampleFile(Path(job.samples), job.round, executor=NativeThread()) as rows:
        recording = Recording(rows)
        shared = PopulationOnWorkers(pool, job, file, rows)
        shared.give_out()
        environment = _environment(file)
        take_over(environment, pool.runner)
        shared.await_all()
        users = PopulationRound(environment, users_of(job), recording, shared.finish)
        with _initialised(environment, file.web_port):
            shared.listen(users.fail, lambda: users.window.is_closed)
            ended = _ended(users, environment, HURRY_WITH_WORKERS_S)
    return _told(job, users, shared.report(users.window, recording), ended=ended)


def _environment(file: LocustfilePart) -> Environment:
    loaded = load(file.choice)
    set_up: Any = setup_logging  # Without types.
    set_up(loaded.options.loglevel)
    options, web_port = loaded.options, file.web_port
    options.headless, options.autostart = web_port is None, web_port is not None
    if web_port is not None:
        options.web_port = web_port
    return loaded.environment()


@contextmanager
def _initialised(environment: Environment, web_port: int | None) -> Iterator[None]:
    """Run the file's own set-up, and serve its page if requested."""
    events: Any = environment.events  # Its methods have no types.
    runner = environment.runner
    if web_port is None:
        events.init.fire(environment=environment, runner=runner, web_ui=None)
        yield
        return
    with live_page(environment, web_port) as page:
        events.init.fire(environment=environment, runner=runner, web_ui=page)
        page.start()
        yield


def _ended(users: PopulationRound, environment: Environment, hurry_s: float) -> bool:
    """Drive the users; returns whether a shutdown was requested meanwhile."""
    # What exists now stays until the end: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    try:
        users.drive()
    except ShutdownError:
        environment.stop_timeout = 0.0
        users.end(hurry_s)
        return True
    return False


def _told(
    job: LoadJob, users: PopulationRound, report: DriverReport, *, ended: bool
) -> DriverReport | None:
    whole = replace(report, ended_early=users.ended_early)
    if not ended:
        return whole
    write_report(whole, Path(job.report))
    return None
