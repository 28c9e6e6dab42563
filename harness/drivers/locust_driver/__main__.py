"""The process of the `locust` driver; `job_loop` describes how it receives its jobs.

python -m … [--workers N (--listen HOST:PORT | --fork-server FD)]
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import BinaryIO

from locust.exception import RPCError

from loopmark.harness.drivers.locust_driver.arguments import parsed
from loopmark.harness.drivers.locust_driver.flows.local import LocalDriver
from loopmark.harness.drivers.locust_driver.locustfile import driver as users
from loopmark.harness.drivers.locust_driver.shutdown import ShutdownError, end_on
from loopmark.harness.drivers.locust_driver.workers.deliveries import WorkerFailedError
from loopmark.harness.drivers.locust_driver.workers.distributed import DistributedDriver
from loopmark.harness.drivers.locust_driver.workers.job_lines import lines
from loopmark.harness.drivers.locust_driver.workers.worker_pool import NoWorkersError
from loopmark.harness.drivers.process.job_inputs import scenario_of
from loopmark.harness.drivers.process.job_loop import READY, run_each
from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.job import DriverReport, LoadJob


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive jobs until the input ends, or SIGTERM comes."""
    chosen = parsed(arguments)
    told, answers = _kept_from_locustfiles()
    driver: LocalDriver | DistributedDriver | None = None
    is_done = False

    def end_round() -> bool:
        return driver is not None and driver.end()

    try:
        end_on(signal.SIGTERM, instead=end_round, over=lambda: is_done)
        if chosen.workers:
            driver = DistributedDriver(chosen)
            driver.gather()
            answers.write(READY)
            answers.flush()
        else:
            driver = LocalDriver()
        chosen_driver = driver
        return run_each(lambda job: _drive(job, chosen_driver), lines(told), answers)
    except ShutdownError:
        return 0
    except (NoWorkersError, WorkerFailedError, UserError, RPCError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    finally:
        is_done = True  # A further shutdown signal is ignored.
        if driver is not None:
            driver.close()


def _drive(job: LoadJob, driver: LocalDriver | DistributedDriver) -> DriverReport | None:
    if job.locustfile is None:
        return driver.drive(job, scenario_of(job))
    if driver.pool is None:
        return users.drive(job, job.locustfile)
    return users.drive_on_workers(job, job.locustfile, driver.pool)


def _kept_from_locustfiles() -> tuple[int, BinaryIO]:
    """The input and output of the process; a locustfile gets replacements.

    What it prints goes to the log.
    """
    told, answers = os.dup(0), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return told, answers


if __name__ == "__main__":
    sys.exit(main())
