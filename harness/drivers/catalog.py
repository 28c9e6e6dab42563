"""The drivers by name: a driver is one file and one row."""

from __future__ import annotations

from loopmark.harness.vocabulary.flow import is_client_journey
from loopmark.harness.vocabulary.scenario import Scenario

DRIVERS: dict[str, str] = {
    "native": "loopmark.harness.drivers.native_driver",
    "httpx": "loopmark.harness.drivers.httpx_driver",
    "locust": "loopmark.harness.drivers.locust_driver",
    "websocket": "loopmark.harness.drivers.websocket_driver",
}
"""Module of each driver's process; `job_loop` describes how it receives its jobs."""

DISTRIBUTED = frozenset({"locust"})
"""Drivers that share a load among several workers."""

WITH_HTTPX_CLIENT = frozenset({"httpx"})
"""Drivers that can drive a journey with an httpx client."""

WITH_EVENTS = frozenset({"websocket"})
"""Drivers of flows that receive events; they drive no others."""

WITH_REQUESTS = frozenset(DRIVERS) - WITH_EVENTS
"""Drivers that can drive a flow of requests."""


def drivers_for(scenario: Scenario) -> frozenset[str]:
    """The drivers that can drive a scenario."""
    if scenario.events is not None:
        return WITH_EVENTS
    return WITH_HTTPX_CLIENT if is_client_journey(scenario.flow) else WITH_REQUESTS
