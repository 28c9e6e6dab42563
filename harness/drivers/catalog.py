"""The drivers by name: a driver is one file and one row."""

from __future__ import annotations

DRIVERS: dict[str, str] = {
    "httpx": "harness.drivers.httpx_driver",
}
"""Module that is run with a load job's file as its only argument."""
