"""A driver of Loopmark's, which here knows the scenarios of the comparison and no others.

    python -m …loopmark_driver DRIVER

The driver looks scenarios up in the catalog. They are put there in this process alone, so that the
product carries none that only serve to measure it.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Generator
from importlib import import_module

from loopmark.harness.drivers.catalog import DRIVERS

if __name__ == "__main__":
    # First of all: the Locust driver's package changes the standard library.
    import_module(DRIVERS[sys.argv[1]])

from loopmark.harness.vocabulary.flow import Flow, Request, Response, VirtualUser
from loopmark.harness.vocabulary.scenario import Scenario
from loopmark.scenarios.catalog import SCENARIOS

PATHS = ("/", "/stall", "/answers")


def scenario_name(path: str) -> str:
    return f"bench-{path.strip('/') or 'root'}"


def flow(path: str) -> Flow:
    """One GET, as a generator of requests."""

    def get(_user: VirtualUser) -> Generator[Request, Response, None]:
        yield Request("GET", path, step="get")

    return get


def register() -> None:
    for path in PATHS:
        name = scenario_name(path)
        SCENARIOS[name] = Scenario(
            name=name,
            title=name,
            description="One GET, again and again.",
            flow=flow(path),
            warm=Request("GET", "/", step="warm"),
        )


if __name__ == "__main__":
    register()
    module = DRIVERS[sys.argv.pop(1)]
    runpy.run_module(module, run_name="__main__")
