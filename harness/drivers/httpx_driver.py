"""The `httpx` driver: virtual users on asyncio and uvloop, each with a connection of its own.

Flows are stepped where the answers arrive (`flow_user`), without a client in between; coroutine
functions get an httpx client on the load transport (`client_user`).

Run as `python -m harness.drivers.httpx_driver`; `job_loop` says how it is told what to drive.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.drivers.async_round import drive_flows, origin_of
from harness.drivers.client_user import ClientUser
from harness.drivers.flow_user import FlowUser
from harness.drivers.guarded import run_guarded
from harness.drivers.job_loop import run_jobs
from harness.drivers.line import Origin
from harness.drivers.recording import Recording
from harness.drivers.samples import SampleFile
from harness.drivers.user import AsyncUser
from harness.vocabulary.flow import is_client_journey
from harness.vocabulary.job import DriverReport, LoadJob
from harness.vocabulary.load import FANNING_OUT
from harness.vocabulary.scenario import Scenario, is_plain_flow
from scenarios.catalog import SCENARIOS


async def drive(job: LoadJob, scenario: Scenario) -> DriverReport:
    """Drive one round and write its samples.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
        Exception: Whatever a flow raised that is not about an answer.
    """
    load = job.load
    assert not isinstance(load, FANNING_OUT), "no plan lets this driver hear events"
    with SampleFile(Path(job.samples), job.round) as samples:
        recording = Recording(samples)
        origin = origin_of(job.base_url)
        users = [_user(job, scenario, origin, recording) for _ in range(load.concurrency)]
        return await drive_flows(job, load, users, scenario.warm, recording)


def _user(job: LoadJob, scenario: Scenario, origin: Origin, recording: Recording) -> AsyncUser:
    flow = scenario.flow
    if is_client_journey(flow):
        return ClientUser(flow, job.base_url, job.timeouts, recording, origin.ssl_context)
    assert is_plain_flow(flow, scenario), "no plan lets this driver hear events"
    return FlowUser(flow, origin, job.timeouts, recording)


def drive_one(job: LoadJob) -> DriverReport | None:
    """Drive a job on an event loop of its own; SIGTERM ends it, and the samples are kept."""
    return run_guarded(drive(job, SCENARIOS[job.scenario]))


if __name__ == "__main__":
    sys.exit(run_jobs(drive_one))
