"""The process of the `locust` driver; `job_loop` says how it is told what to drive."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import gevent
from gevent.socket import wait_read

from harness.drivers.job_loop import run_jobs
from harness.drivers.locust_driver.local import LocalDriver
from scenarios.catalog import SCENARIOS

READ_BYTES = 64 * 1024


class InputEndedError(BaseException):
    """This process has been told to end while it waited for a job."""


def main() -> int:
    """Drive jobs until the input ends, or SIGTERM comes."""
    driver = LocalDriver()
    end_on_sigterm(driver)
    try:
        return run_jobs(lambda job: driver.drive(job, SCENARIOS[job.scenario]), lines())
    except InputEndedError:
        return 0


def lines() -> Iterator[str]:
    """The lines of the standard input, while greenlets go on.

    A thread that reads them would hold the input's lock, and no process can end in order with that.
    """
    number, unread = sys.stdin.fileno(), b""
    while True:
        wait_read(number)
        data = os.read(number, READ_BYTES)
        if not data:
            return
        *whole, unread = (unread + data).split(b"\n")
        for line in whole:
            yield line.decode()


def end_on_sigterm(driver: LocalDriver) -> None:
    """Let SIGTERM end a round in good order, or the main greenlet where it waits for a job."""
    greenlet: Any = gevent.getcurrent()
    loop = gevent.get_hub().loop

    def end() -> None:
        if not driver.end():
            loop.run_callback(greenlet.throw, InputEndedError())

    gevent.signal_handler(signal.SIGTERM, end)


if __name__ == "__main__":
    sys.exit(main())
