"""The process of the `locust` driver; `job_loop` says how it is told what to drive.

python -m … [--workers N [--listen HOST:PORT]]
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence

from gevent.fileobject import FileObjectThread
from locust.exception import RPCError

from harness.address import parse_address
from harness.drivers.job_loop import READY, run_jobs
from harness.drivers.locust_driver.distributed import DistributedDriver
from harness.drivers.locust_driver.local import LocalDriver
from harness.drivers.locust_driver.sigterm import EndedError, end_on
from harness.drivers.locust_driver.worker_pool import NoWorkersError
from harness.vocabulary.job import DriverReport, LoadJob
from scenarios.catalog import SCENARIOS


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive jobs until the input ends, or SIGTERM comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--listen", default="")
    chosen = parser.parse_args(arguments)
    driver: LocalDriver | DistributedDriver | None = None
    end_on(signal.SIGTERM)
    try:
        if chosen.workers:
            listen = parse_address(chosen.listen, "--listen") if chosen.listen else None
            driver = DistributedDriver(chosen.workers, listen)
            sys.stdout.buffer.write(READY)
            sys.stdout.buffer.flush()
        else:
            driver = LocalDriver()
        return run_jobs(_drive_on(driver), lines())
    except EndedError:
        return 0
    except (NoWorkersError, RPCError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    finally:
        if driver is not None:
            driver.close()


def _drive_on(
    driver: LocalDriver | DistributedDriver,
) -> Callable[[LoadJob], DriverReport | None]:
    def drive(job: LoadJob) -> DriverReport | None:
        try:
            return driver.drive(job, SCENARIOS[job.scenario])
        except EndedError:
            return None

    return drive


def lines() -> Iterator[str]:
    """The lines of the standard input, while greenlets go on."""
    for line in FileObjectThread(sys.stdin.buffer, "rb"):
        yield line.decode()


if __name__ == "__main__":
    sys.exit(main())
