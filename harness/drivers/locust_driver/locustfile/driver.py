"""The process that drives a round of a locustfile; `job_loop` says how it is told so.

    python -m … [--workers N [--listen HOST:PORT]]

One process drives one round: what a file sets up when it is imported is there once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from locust.env import Environment
from locust.exception import RPCError
from locust.log import setup_logging

from loopmark.harness.drivers.locust_driver.arguments import parsed
from loopmark.harness.drivers.locust_driver.flows.engine import (
    connected_environment,
    take_over,
)
from loopmark.harness.drivers.locust_driver.locustfile.environment import load
from loopmark.harness.drivers.locust_driver.locustfile.event_recorder import EventRecorder
from loopmark.harness.drivers.locust_driver.locustfile.live_page import live_page
from loopmark.harness.drivers.locust_driver.locustfile.population import PopulationRound
from loopmark.harness.drivers.locust_driver.locustfile.population_on_workers import (
    PopulationOnWorkers,
)
from loopmark.harness.drivers.locust_driver.native_thread import NativeThread
from loopmark.harness.drivers.locust_driver.shutdown import ToldToEndError, end_on
from loopmark.harness.drivers.locust_driver.workers.deliveries import WorkerFailedError
from loopmark.harness.drivers.locust_driver.workers.job_lines import lines
from loopmark.harness.drivers.locust_driver.workers.worker_pool import (
    NoWorkersError,
    WorkerPool,
)
from loopmark.harness.drivers.process.job_files import read_locustfile_job, write_report
from loopmark.harness.drivers.process.job_loop import READY, run_each
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.job import DriverReport, LocustfileJob

HURRY_S = 2.0
HURRY_WITH_WORKERS_S = 3.0
"""For the users to end when the process has been told to: the samples are written after that."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive jobs until the input ends, or SIGTERM comes."""
    chosen = parsed(arguments)
    done = False
    end_on(signal.SIGTERM, over=lambda: done)
    told, answers = _kept_from_the_file()
    pool: WorkerPool | None = None
    try:
        if chosen.workers:
            pool = WorkerPool(connected_environment(), chosen.workers, chosen.listen)
            pool.gather()
            answers.write(READY)
            answers.flush()
        return run_each(
            read_locustfile_job,
            lambda job: drive(job) if pool is None else drive_on_workers(job, pool),
            lines(told),
            answers,
        )
    except ToldToEndError:
        return 0
    except (NoWorkersError, WorkerFailedError, UserError, RPCError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    finally:
        done = True
        if pool is not None:
            pool.close()


def drive(job: LocustfileJob) -> DriverReport | None:
    """Drive one round and write its samples.

    Returns:
        What the driver observed of itself; None when it was told to end, and has written it.

    Raises:
        UserError: The locustfile cannot be run, though it could when it was inspected.
        OSError: The samples could not be written.
    """
    environment = _environment(job)
    environment.create_local_runner()
    with SampleFile(Path(job.samples), job.round, executor=NativeThread()) as rows:
        recording = Recording(rows)
        users = PopulationRound(environment, job.load, recording)
        recorder = EventRecorder(recording, users.fail)
        recorder.attach(environment)
        try:
            with _initialised(environment, job):
                ended = _ended(users, environment, HURRY_S)
        finally:
            recorder.detach()
    report = recorder.completed(users.window.report(recording))
    return _told(job, users, report, ended=ended)


def drive_on_workers(job: LocustfileJob, pool: WorkerPool) -> DriverReport | None:
    """The same, with users on workers.

    Raises:
        WorkerFailedError: The locustfile cannot be run by a worker.
        UserError: As `drive`.
        OSError: As `drive`.
    """
    with SampleFile(Path(job.samples), job.round, executor=NativeThread()) as rows:
        recording = Recording(rows)
        shared = PopulationOnWorkers(pool, job, rows)
        shared.give_out()
        environment = _environment(job)
        take_over(environment, pool.runner)
        shared.await_all()
        users = PopulationRound(environment, job.load, recording, shared.finish)
        with _initialised(environment, job):
            shared.listen(users.fail, lambda: users.window.is_closed)
            ended = _ended(users, environment, HURRY_WITH_WORKERS_S)
    return _told(job, users, shared.report(users.window, recording), ended=ended)


def _environment(job: LocustfileJob) -> Environment:
    loaded = load(job.choice)
    set_up: Any = setup_logging  # Without types.
    set_up(loaded.options.loglevel)
    options, web_port = loaded.options, job.web_port
    options.headless, options.autostart = web_port is None, web_port is not None
    if web_port is not None:
        options.web_port = web_port
    return loaded.environment()


@contextmanager
def _initialised(environment: Environment, job: LocustfileJob) -> Iterator[None]:
    """Within it the file's own preparations are done, and its page is there if there is to be."""
    events: Any = environment.events  # Its methods have no types.
    runner = environment.runner
    if job.web_port is None:
        events.init.fire(environment=environment, runner=runner, web_ui=None)
        yield
        return
    with live_page(environment, job.web_port) as page:
        events.init.fire(environment=environment, runner=runner, web_ui=page)
        page.start()
        yield


def _ended(users: PopulationRound, environment: Environment, hurry_s: float) -> bool:
    """Drive the users; whether the process was told to end meanwhile."""
    # What exists now stays until the end: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    try:
        users.drive()
    except ToldToEndError:
        environment.stop_timeout = 0.0
        users.end(hurry_s)
        return True
    return False


def _told(
    job: LocustfileJob, users: PopulationRound, report: DriverReport, *, ended: bool
) -> DriverReport | None:
    whole = replace(report, ended_early=users.ended_early)
    if not ended:
        return whole
    write_report(whole, Path(job.report))
    return None


def _kept_from_the_file() -> tuple[int, BinaryIO]:
    """The input and output of the process: a locustfile that reads or prints gets others.

    What it prints goes where its log goes.
    """
    told, answers = os.dup(0), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return told, answers


if __name__ == "__main__":
    sys.exit(main())
