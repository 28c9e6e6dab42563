"""The process that drives a round of a locustfile; `job_loop` says how it is told so.

One process drives one round: what a file sets up when it is imported is there once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from locust.log import setup_logging

from harness.drivers.job_files import read_locustfile_job, write_report
from harness.drivers.job_loop import run_each
from harness.drivers.locust_driver.event_recorder import EventRecorder
from harness.drivers.locust_driver.job_lines import lines
from harness.drivers.locust_driver.live_page import live_page
from harness.drivers.locust_driver.locustfile import load
from harness.drivers.locust_driver.native_thread import NativeThread
from harness.drivers.locust_driver.population import PopulationRound
from harness.drivers.locust_driver.told_to_end import ToldToEndError, end_on
from harness.drivers.recording import Recording
from harness.drivers.samples import SampleFile
from harness.vocabulary.job import DriverReport, LocustfileJob

HURRY_S = 2.0
"""For the users to end when the process has been told to: the samples are written after that."""


def main() -> int:
    """Drive jobs until the input ends, or SIGTERM comes."""
    done = False
    end_on(signal.SIGTERM, over=lambda: done)
    told, answers = _kept_from_the_file()
    try:
        return run_each(read_locustfile_job, drive, lines(told), answers)
    except ToldToEndError:
        return 0
    finally:
        done = True


def drive(job: LocustfileJob) -> DriverReport | None:
    """Drive one round and write its samples.

    Returns:
        What the driver observed of itself; None when it was told to end, and has written it.

    Raises:
        UserError: The locustfile cannot be run, though it could when it was inspected.
        OSError: The samples could not be written.
    """
    loaded = load(job.choice)
    set_up: Any = setup_logging  # Without types.
    set_up(loaded.options.loglevel)
    environment = loaded.environment()
    options, web_port = loaded.options, job.web_port
    options.headless, options.autostart = web_port is None, web_port is not None
    if web_port is not None:
        options.web_port = web_port
    runner = environment.create_local_runner()
    ended = False
    rows = SampleFile(Path(job.samples), job.round, executor=NativeThread())
    with rows, ExitStack() as stack:
        recording = Recording(rows)
        users = PopulationRound(environment, job.load, recording)
        recorder = EventRecorder(recording, users.fail)
        recorder.attach(environment)
        page = None
        if web_port is not None:
            page = stack.enter_context(live_page(environment, web_port))
        events: Any = environment.events  # Its methods have no types.
        events.init.fire(environment=environment, runner=runner, web_ui=page)
        if page is not None:
            page.start()
        # What exists now stays until the end: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        try:
            users.drive()
        except ToldToEndError:
            ended = True
            environment.stop_timeout = 0.0
            users.end(HURRY_S)
        finally:
            recorder.detach()
    report = recorder.completed(users.window.report(recording))
    if ended:
        write_report(report, Path(job.report))
        return None
    return report


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
