"""The driver's process; `job_loop` describes how it receives its jobs."""

from __future__ import annotations

import sys

from loopmark.harness.drivers.process.job_loop import run_jobs
from loopmark.harness.drivers.websocket_driver.driver import drive_one

if __name__ == "__main__":
    sys.exit(run_jobs(drive_one))
