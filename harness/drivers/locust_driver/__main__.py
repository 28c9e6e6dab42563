"""The process of the `locust` driver; `job_loop` says how it is told what to drive."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.fileobject import FileObjectThread

from harness.drivers.job_loop import run_jobs
from harness.drivers.locust_driver.local import LocalDriver
from harness.vocabulary.job import DriverReport, LoadJob
from scenarios.catalog import SCENARIOS


class EndedError(BaseException):
    """This process has been told to end."""


def main() -> int:
    """Drive jobs until the input ends, or SIGTERM comes."""
    driver = LocalDriver()
    end_on_sigterm()

    def drive(job: LoadJob) -> DriverReport | None:
        try:
            return driver.drive(job, SCENARIOS[job.scenario])
        except EndedError:
            return None

    try:
        return run_jobs(drive, lines())
    except EndedError:
        return 0


def lines() -> Iterator[str]:
    """The lines of the standard input, while greenlets go on."""
    for line in FileObjectThread(sys.stdin.buffer, "rb"):
        yield line.decode()


def end_on_sigterm() -> None:
    """Let SIGTERM end the main greenlet in order, wherever it waits."""
    greenlet: Any = gevent.getcurrent()
    loop = gevent.get_hub().loop

    def end() -> None:
        loop.run_callback(greenlet.throw, EndedError())

    gevent.signal_handler(signal.SIGTERM, end)


if __name__ == "__main__":
    sys.exit(main())
