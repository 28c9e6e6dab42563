"""What is common to all driver processes: one job after the other, told line by line.

A driver reads the path of a load job's file from each line of its standard input, drives it, writes
samples and report, and answers with a line `done`. It ends when its input ends, so it does not
outlive its parent. Starting a process takes longer than many a round; hence one for several rounds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from harness.drivers.job_files import read_job, write_report
from harness.vocabulary.job import DriverReport, LoadJob

DONE = b"done\n"


def run_jobs(drive: Callable[[LoadJob], DriverReport]) -> None:
    """Drive jobs until the input ends.

    Raises:
        Exception: Whatever a job raises ends the process: its parent starts another.
    """
    for line in sys.stdin:
        job = read_job(Path(line.rstrip("\n")))
        write_report(drive(job), Path(job.report))
        sys.stdout.buffer.write(DONE)
        sys.stdout.buffer.flush()
