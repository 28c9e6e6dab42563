"""Loopmark's own driver: told by a job, read from its report and from every sample on disk."""

from __future__ import annotations

import select
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from loopmark.harness.analysis.statistics import has_enough_beyond, interpolated, percentile
from loopmark.harness.drivers.process.job_files import read_report, write_job
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.vocabulary.job import DriverReport, LoadJob, Timeouts
from loopmark.harness.vocabulary.load import FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.closed import Closed
from tests.bench.driver.generators.loopmark_driver import scenario_name
from tests.bench.driver.task import PERCENTILES, Reading, Task, perform

MODULE = "tests.bench.driver.generators.loopmark_driver"
TIMEOUTS = Timeouts(connect_s=10.0, first_byte_s=60.0, response_s=60.0)
CLOCK_INTERVAL_S = 0.02
ALLOWANCE_S = 30.0
ON_TIME_NS = 1_000_000

Column = npt.NDArray[np.int64]


class DriverFailedError(Exception):
    """The driver did not carry the job out."""


def load(task: Task) -> FlowLoad:
    """The task as a load: open where there is a rate, else closed."""
    if task.rate is None:
        return Closed(
            task.users,
            task.duration_s,
            task.warmup_s,
            think_s=task.think_s,
            think="exponential" if task.think_s else "constant",
        )
    return Open(
        task.rate, task.duration_s, max_in_flight=max(task.users, 1), warmup_s=task.warmup_s
    )


def measure(task: Task) -> Reading:
    with tempfile.TemporaryDirectory(prefix="loopmark-driver-") as temporary:
        folder = Path(temporary)
        arriving = load(task)
        job = LoadJob(
            scenario=scenario_name(task.path),
            load=arriving,
            round=0,
            seed=1,
            base_url=task.base_url,
            tokens=tuple(f"token-{number}" for number in range(arriving.concurrency)),
            samples=str(folder / "samples.parquet"),
            report=str(folder / "report.json"),
            timeouts=TIMEOUTS,
        )
        cpu = driven(task.kind, job, folder)
        report = read_report(Path(job.report))
        if report is None:
            raise DriverFailedError("the driver wrote no report")
        if report.window_start_ns == report.window_end_ns:
            raise DriverFailedError(f"the target was not fit to be driven: {report.error_examples}")
        columns = ["due_ns", "sent_ns", "done_ns", "error"]
        samples = pq.read_table(job.samples, columns=columns).to_pydict()
        return summarised(samples, report, task, cpu)


def summarised(
    samples: Mapping[str, Any], report: DriverReport, task: Task, cpu: CpuReadings | None = None
) -> Reading:
    """What the harness reports: exact percentiles of the right answers.

    From when they were due under an open load, from sending under a closed one.
    """
    due, sent, done = (_column(samples[name]) for name in ("due_ns", "sent_ns", "done_ns"))
    failed = np.asarray(samples["error"]) != ""
    start_ns, end_ns = report.window_start_ns, report.window_end_ns
    is_open = task.rate is not None
    counted = due if is_open else done
    within = (counted >= start_ns) & (counted < end_ns)
    latency_ms = (done - (due if is_open else sent))[within & ~failed] / 1e6
    to_disk = int(np.count_nonzero(done >= start_ns))
    return Reading(
        requests=int(np.count_nonzero(within)),
        errors=int(np.count_nonzero(within & failed)),
        cpu_s=report.cpu_s,
        wall_s=(end_ns - start_ns) / 1e9,
        latency_ms={
            name: percentile(latency_ms, p)
            for name, p in PERCENTILES.items()
            if has_enough_beyond(latency_ms.size, p)
        },
        cpu_to_disk_s=cpu.since_s(start_ns) if cpu else None,
        requests_to_disk=to_disk if cpu else None,
        on_time_share=float(np.mean((sent - due)[within] <= ON_TIME_NS)) if is_open else None,
    )


class CpuReadings:
    """The CPU clock of a process, read from outside; Linux only.

    Raises:
        OSError: The system has no such clock.
    """

    def __init__(self, pid: int) -> None:
        # As clock_getcpuclockid(3) makes it.
        self._clock = (~pid << 3) | 2
        self._at_ns = array("q")
        self._cpu_s = array("d")
        self.read()

    def read(self) -> None:
        self._at_ns.append(time.monotonic_ns())
        self._cpu_s.append(time.clock_gettime(self._clock))

    def since_s(self, at_ns: int) -> float:
        """CPU seconds from a moment until the last reading."""
        return self._cpu_s[-1] - interpolated(at_ns, self._at_ns, self._cpu_s)


def driven(driver: str, job: LoadJob, folder: Path) -> CpuReadings | None:
    """Drive a job; returns the readings of the driver's CPU clock, where there is one."""
    file = folder / "job.json"
    write_job(job, file)
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(f"{file}\n".encode())
        process.stdin.flush()
        try:
            cpu = CpuReadings(process.pid)
        except OSError:
            cpu = None
        deadline = time.monotonic() + 2 * job.load.planned_s + ALLOWANCE_S
        while not select.select([process.stdout], [], [], CLOCK_INTERVAL_S)[0]:
            if cpu is not None:
                cpu.read()
            if time.monotonic() > deadline:
                raise DriverFailedError("the driver did not end in time")
        if process.stdout.readline() != b"done\n":
            raise DriverFailedError("the driver ended within the job")
        if cpu is not None:
            cpu.read()
        return cpu
    finally:
        process.stdin.close()
        end(process)
        process.stdout.close()


def _column(values: object) -> Column:
    return np.asarray(values, dtype=np.int64)


if __name__ == "__main__":
    perform(measure)
