"""The `httpx` driver: virtual users with an `httpx.AsyncClient` each, on the load transport.

Flows are stepped as a user of httpx would write them; coroutine functions get the client itself.

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
from loopmark.harness.drivers.users.client_user import ClientUser, stepping
from loopmark.harness.drivers.users.round import drive_flows
from loopmark.harness.vocabulary.flow import is_client_journey
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.scenario import Scenario, is_plain_flow


async def drive(job: LoadJob, scenario: Scenario) -> DriverReport:
    """Drive one round and write its samples.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
        Exception: An exception of a flow or journey that is not about an answer.
    """
    load, journey = job.load, scenario.flow
    if not is_client_journey(journey):
        assert is_plain_flow(journey, scenario), "no plan lets this driver hear events"
        journey = stepping(journey, job.base_url)
    with SampleFile(Path(job.samples), job.round) as samples:
        recording = Recording(samples)
        ssl_context = origin_of(job.base_url).ssl_context
        users = [
            ClientUser(journey, job.base_url, job.timeouts, recording, ssl_context)
            for _ in range(load.concurrency)
        ]
        return await drive_flows(job, load, users, scenario.warm, recording)


def drive_one(job: LoadJob, scenario: Scenario) -> DriverReport | None:
    """Drive a job on its own event loop; SIGTERM ends it, and the samples are kept."""
    return run_job(drive(job, scenario))


if __name__ == "__main__":
    sys.exit(run_jobs(drive_one))
