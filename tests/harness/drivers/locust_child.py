"""The Locust driver's process as tests start it: `python -m … [bytes of an answer]`.

A job's scenario is JSON here: which flow of `tried_flows`, made of what, and what warms up.
"""

# ruff: noqa: I001 - importing the driver patches the standard library, which must come first
from __future__ import annotations

import json
import sys

from harness.drivers.locust_driver import __main__ as process

from harness.drivers import answer, connection
from harness.vocabulary.flow import Request
from harness.vocabulary.scenario import Scenario
from tests.harness.drivers import tried_flows


class Tried(dict[str, Scenario]):
    """Scenarios by their JSON."""

    def __missing__(self, name: str) -> Scenario:
        asked = json.loads(name)
        flow = getattr(tried_flows, asked["flow"])
        if asked["names"]:
            flow = flow(asked["names"], asked["method"]).flow
        warm = Request("GET", asked["warm"], step="warm")
        return Scenario(name="tried", title="t", description="d", flow=flow, warm=warm)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        for module in (connection, answer):
            module.MAX_ANSWER_BYTES = int(sys.argv[1])  # type: ignore[attr-defined]
    process.SCENARIOS = Tried()
    sys.exit(process.main())
