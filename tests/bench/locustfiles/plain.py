"""Plain locustfiles against a target with known delays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.bench.driver.known_behaviour import DELAY
from tests.bench.driver.measure import delays_of
from tests.bench.driver.processes import target
from tests.bench.locustfiles.runs import Found, run

CLIENTS = ("HttpUser", "FastHttpUser")
USERS = 50
SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

FILE = """
from locust import {client}, constant, task

class Visitor({client}):
    wait_time = constant({wait_s})

    @task
    def visit(self):
        # One in twenty fails, as it is meant to: that is no failure here.
        with self.client.get("/answers", catch_response=True) as response:
            response.success()
"""


@dataclass(frozen=True)
class PlainRun:
    """One run of a plain file.

    Attributes:
        client: Class of its users.
        rate: Requests per second that the users would send of a client that takes no time.
        found: What the run found.
        true_ms: The delays that there were, by percentile.
    """

    client: str
    rate: float
    found: Found
    true_ms: Mapping[str, float]

    @property
    def error_ms(self) -> dict[str, float | None]:
        """By percentile: what was found less what is true."""
        found = self.found.latency_ms
        return {
            name: None if (value := found.get(name)) is None else value - self.true_ms[name]
            for name in SHARES
        }

    def is_of(self, client: str, rate: float) -> bool:
        """Whether it is one of these."""
        return (self.client, self.rate) == (client, rate)


def plain_run(client: str, rate: float, seconds: int, folder: Path) -> PlainRun:
    """Run a plain file of 50 users at a rate.

    Nobody is pinned by hand: a user would start server and command line like this.
    """
    wait_s = USERS / rate - DELAY.mean_total_s
    file = folder / "plain.py"
    file.write_text(FILE.format(client=client, wait_s=wait_s), encoding="utf-8")
    with target("known_target", ()) as url:
        found = run(file, url, USERS, seconds, folder / "results")
        delays_ms = np.array(delays_of(url))
    true_ms = {name: float(np.quantile(delays_ms, p)) for name, p in SHARES.items()}
    return PlainRun(client, rate, found, true_ms)
