"""A driver as a process: given a load job, it drives one round while the target is watched."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.drivers.catalog import DRIVERS
from harness.drivers.job_files import read_report, write_job
from harness.process_reaper import end
from harness.processors import staying_on
from harness.target_monitor import TargetMonitor
from harness.target_process import TargetProcess
from harness.vocabulary.job import DriverReport, LoadJob
from harness.vocabulary.record import RoundState, TargetReading

READING_INTERVAL_S = 0.05
"""20 readings a second; each costs about a tenth of a millisecond."""

START_ALLOWANCE_S = 60.0
"""For starting, connecting and warming up, beside what the load is planned to take."""

STDERR_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Drive:
    """What became of one driver process."""

    state: RoundState
    wall_s: float
    report: DriverReport | None
    readings: tuple[TargetReading, ...]
    stderr_tail: str


def drive(
    driver: str, job: LoadJob, target: TargetProcess, folder: Path, cpus: Sequence[int]
) -> Drive:
    """Run a driver to its end, reading the target meanwhile.

    A dead target or an interrupt ends the driver, which first writes the samples it has.

    Args:
        driver: Name of the driver.
        job: What it shall drive.
        target: What is driven.
        folder: For the job file and the driver's output.
        cpus: Processors that the driver stays on.
    """
    job_file = folder / f"driver-{job.round}.job.json"
    log_file = folder / f"driver-{job.round}.log"
    write_job(job, job_file)
    monitor = TargetMonitor(target.pid)
    started = time.monotonic()
    deadline = started + 2 * job.load.planned_s + job.request_timeout_s + START_ALLOWANCE_S
    state: RoundState = "measured"
    with log_file.open("wb") as log, staying_on(cpus):
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", DRIVERS[driver], str(job_file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while process.poll() is None:
            monitor.read()
            if not target.is_alive:
                state = "target-died"
                break
            if time.monotonic() > deadline:
                state = "driver-died"
                break
            time.sleep(READING_INTERVAL_S)
    except KeyboardInterrupt:
        state = "interrupted"
    finally:
        end(process)
    monitor.read()
    if state == "measured" and not target.is_alive:
        state = "target-died"
    elif state == "measured" and process.returncode != 0:
        state = "driver-died"
    tail = ""
    if state == "target-died":
        tail = target.stderr_tail
    elif state == "driver-died":
        tail = _tail(log_file)
    return Drive(
        state=state,
        wall_s=time.monotonic() - started,
        report=read_report(Path(job.report)),
        readings=tuple(monitor.readings),
        stderr_tail=tail,
    )


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-STDERR_TAIL_LINES:])
