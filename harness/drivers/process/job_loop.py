"""The main loop of all driver processes: one job after another, read line by line.

A driver reads the path of a job's file from each line of its standard input, drives it, writes
samples and report, and answers with a line `done`. It ends when its input ends, so it does not
outlive its parent. Starting a process takes longer than some rounds, so one process drives several.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from loopmark.harness.drivers.process.job_files import read_job, write_report
from loopmark.harness.drivers.process.job_inputs import scenario_of
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.scenario import Scenario

DONE = b"done\n"
READY = b"ready\n"
"""Written once, before the first job, by a driver that waited for its workers."""

ENDED_EARLY = 3
"""Exit code of a driver that was stopped during a job."""


def run_jobs(
    drive: Callable[[LoadJob, Scenario], DriverReport | None], lines: Iterable[str] = sys.stdin
) -> int:
    """Drive jobs until the input ends, or until one is stopped from outside.

    Args:
        drive: Drives one job with the scenario it names; returns None if it was stopped early.
        lines: The input, line by line.

    Returns:
        The exit code of the process.

    Raises:
        Exception: An exception of a job ends the process: its parent starts another.
    """
    return run_each(lambda job: drive(job, scenario_of(job)), lines, sys.stdout.buffer)


def run_each(
    drive: Callable[[LoadJob], DriverReport | None], lines: Iterable[str], answers: BinaryIO
) -> int:
    """Drive jobs as `run_jobs` does, including jobs without a scenario.

    Args:
        drive: Drives one job; returns None if it was stopped early.
        lines: The input, line by line.
        answers: Where `done` is written after each job.
    """
    for line in lines:
        job = read_job(Path(line.rstrip("\n")))
        report = drive(job)
        if report is None:
            return ENDED_EARLY
        write_report(report, Path(job.report))
        answers.write(DONE)
        answers.flush()
    return 0
