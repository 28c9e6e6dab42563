"""The drivers by name: a driver is one file and one row."""

from __future__ import annotations

DRIVERS: dict[str, str] = {
    "httpx": "harness.drivers.httpx_driver",
    "locust": "harness.drivers.locust_driver",
    "websocket": "harness.drivers.websocket_driver",
}
"""Module of each driver's process; `job_loop` says how it is told what to drive."""

DISTRIBUTED = frozenset({"locust"})
"""Those that share a load among several workers."""

WITH_HTTPX_CLIENT = frozenset({"httpx"})
"""Those that can drive a journey with an httpx client; flows are driven by all."""
