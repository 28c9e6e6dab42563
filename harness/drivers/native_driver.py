"""The `native` driver: virtual users on asyncio and uvloop, each with its own connection.

Flows are stepped in the callback that read the answer (`flow_user`), without a client in between.

Run as a module; `job_loop` describes how it receives its jobs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from loopmark.harness.drivers.process.job_inputs import origin_of
from loopmark.harness.drivers.process.job_loop import run_jobs
from loopmark.harness.drivers.process.run_job import run_job
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.drivers.users.flow_user import FlowUser
from loopmark.harness.drivers.users.round import drive_flows
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.scenario import Scenario, is_plain_flow


async def drive(job: LoadJob, scenario: Scenario) -> DriverReport:
    """Drive one round and write its samples.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
        Exception: An exception of a flow that is not about an answer.
    """
    load, flow = job.load, scenario.flow
    assert is_plain_flow(flow, scenario), "no plan lets this driver hear events or be a client"
    with SampleFile(Path(job.samples), job.round) as samples:
        recording = Recording(samples)
        origin = origin_of(job.base_url)
        users = [FlowUser(flow, origin, job.timeouts, recording) for _ in range(load.concurrency)]
        return await drive_flows(job, load, users, scenario.warm, recording)


def drive_one(job: LoadJob, scenario: Scenario) -> DriverReport | None:
    """Drive a job on its own event loop; SIGTERM ends it, and the samples are kept."""
    return run_job(drive(job, scenario))


if __name__ == "__main__":
    sys.exit(run_jobs(drive_one))
