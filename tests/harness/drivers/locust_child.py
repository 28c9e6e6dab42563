"""The Locust driver's process as tests have it started, with the limits of `hostile_server`.

Behind the path of each job stands what its scenario is: which flow of `tried_flows`, made of what,
and what warms up; or which of the catalog it is.
"""

# ruff: noqa: I001 - importing the driver patches the standard library, which must come first
from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from loopmark.harness.drivers.locust_driver import __main__ as process

from loopmark.harness.drivers.http import exchange
from loopmark.harness.drivers.locust_driver.workers import job_lines
from loopmark.harness.vocabulary.flow import Request
from loopmark.harness.vocabulary.scenario import Scenario
from loopmark.scenarios.catalog import SCENARIOS
from tests.harness.drivers import tried_flows
from tests.harness.drivers.hostile_server import ANSWER_BYTES, CLOSING_RACE_NS


def tried(told: str) -> Scenario:
    asked = json.loads(told)
    if "scenario" in asked:
        return SCENARIOS[asked["scenario"]]
    flow = getattr(tried_flows, asked["flow"])
    if asked["names"]:
        flow = flow(asked["names"]).flow
    warm = Request("GET", asked["warm"], step="warm")
    return Scenario(name="tried", title="t", description="d", flow=flow, warm=warm)


def jobs(lines: Iterator[str]) -> Iterator[str]:
    """The paths of the jobs; each one's scenario is put where the driver will look for it."""
    for line in lines:
        path, _, told = line.partition("\t")
        SCENARIOS["tried"] = tried(told)
        yield path


if __name__ == "__main__":
    exchange.MAX_ANSWER_BYTES, exchange.CLOSING_RACE_NS = ANSWER_BYTES, CLOSING_RACE_NS
    vars(process)["lines"] = lambda number: jobs(job_lines.lines(number))
    sys.exit(process.main([]))
