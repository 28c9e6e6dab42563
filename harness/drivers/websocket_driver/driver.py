"""Runs a job with its kind of users and load."""

from __future__ import annotations

from pathlib import Path

import httpx

from loopmark.harness.drivers.process.job_inputs import origin_of
from loopmark.harness.drivers.process.run_job import run_job
from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import SampleFile
from loopmark.harness.drivers.users.round import drive_flows
from loopmark.harness.drivers.websocket_driver.event_address import EventAddress
from loopmark.harness.drivers.websocket_driver.event_user import EventUser
from loopmark.harness.drivers.websocket_driver.fan_out import drive_fan_out
from loopmark.harness.vocabulary.flow import is_client_journey
from loopmark.harness.vocabulary.job import DriverReport, LoadJob
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.scenario import Scenario


async def drive(job: LoadJob, scenario: Scenario) -> DriverReport:
    """Drive one round and write its samples.

    A target that fails when the connections are opened is not driven: the window is empty then.

    Raises:
        OSError: The samples could not be written.
        Exception: An exception of a flow that is not about an answer.
    """
    load, flow = job.load, scenario.flow
    address = event_address(job.base_url, scenario)
    assert not is_client_journey(flow), "no plan lets this driver drive httpx clients"
    with SampleFile(Path(job.samples), job.round) as samples:
        recording = Recording(samples)
        if isinstance(load, FanOut | FanOutSteps):
            return await drive_fan_out(job, load, scenario, address, recording)
        users = [
            EventUser(flow, address, job.timeouts, recording, connects=scenario.connects)
            for _ in range(load.concurrency)
        ]
        return await drive_flows(job, load, users, scenario.warm, recording)


def event_address(base_url: str, scenario: Scenario) -> EventAddress:
    """The address of a scenario's events."""
    endpoint = scenario.events
    assert endpoint is not None, "no plan lets this driver drive plain flows"
    path = httpx.URL(base_url).path.rstrip("/") + endpoint.path
    return EventAddress(origin_of(base_url), path, endpoint.greeting, endpoint.protocol)


def drive_one(job: LoadJob, scenario: Scenario) -> DriverReport | None:
    """Drive a job on its own event loop; SIGTERM ends it, and the samples are kept."""
    return run_job(drive(job, scenario))
