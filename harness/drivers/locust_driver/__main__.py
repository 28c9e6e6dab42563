"""The process of the `locust` driver; `job_loop` says how it is told what to drive.

python -m … [--workers N [--listen HOST:PORT]]
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from locust.exception import RPCError

from loopmark.harness.drivers.locust_driver.arguments import parsed
from loopmark.harness.drivers.locust_driver.flows.local import LocalDriver
from loopmark.harness.drivers.locust_driver.shutdown import ToldToEndError, end_on
from loopmark.harness.drivers.locust_driver.workers.deliveries import WorkerFailedError
from loopmark.harness.drivers.locust_driver.workers.distributed import DistributedDriver
from loopmark.harness.drivers.locust_driver.workers.job_lines import lines
from loopmark.harness.drivers.locust_driver.workers.worker_pool import NoWorkersError
from loopmark.harness.drivers.process.job_loop import READY, run_jobs


def main(arguments: Sequence[str] | None = None) -> int:
    """Drive jobs until the input ends, or SIGTERM comes."""
    chosen = parsed(arguments)
    driver: LocalDriver | DistributedDriver | None = None
    is_done = False

    def end_round() -> bool:
        return driver is not None and driver.end()

    try:
        end_on(signal.SIGTERM, instead=end_round, over=lambda: is_done)
        if chosen.workers:
            driver = DistributedDriver(chosen.workers, chosen.listen)
            driver.gather()
            sys.stdout.buffer.write(READY)
            sys.stdout.buffer.flush()
        else:
            driver = LocalDriver()
        return run_jobs(driver.drive, lines(sys.stdin.fileno()))
    except ToldToEndError:
        return 0
    except (NoWorkersError, WorkerFailedError, RPCError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    finally:
        is_done = True  # To be told to end is no news any more.
        if driver is not None:
            driver.close()


if __name__ == "__main__":
    sys.exit(main())
