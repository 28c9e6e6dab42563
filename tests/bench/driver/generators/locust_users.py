"""Locust's FastHttpUser and HttpUser, in one process. The only module here that imports gevent."""

# ruff: noqa: I001 - importing locust patches the standard library, which must come first
from __future__ import annotations

from typing import Any

from locust import FastHttpUser, HttpUser, constant_throughput, task as locust_task
from locust.env import Environment

import time

import gevent

from tests.bench.driver.generators.leaving import leave
from tests.bench.driver.task import PERCENTILES, Reading, Task, perform

SPAWN_DEADLINE_S = 30.0


def user_class(task: Task) -> type[Any]:
    """A user that gets `task.path` again and again, at its share of the rate if there is one."""
    base: Any = FastHttpUser if task.kind == "fast" else HttpUser
    started = iter(range(task.users))
    tokens = iter(range(task.users))

    class Getter(base):  # type: ignore[misc] # the base is chosen above
        host = task.base_url

        def on_start(self) -> None:
            # As loopmark's flows send it.
            self.headers = {"Authorization": f"Bearer token-{next(tokens)}"}
            # Locust starts users in batches; those with a pace share its period evenly. Locust's
            # pacing takes this pause for a part of the first request and would undo it.
            gevent.sleep(next(started) / task.users * task.pause_s)
            self._cp_last_run = time.perf_counter()

        @locust_task
        def get(self) -> None:
            self.client.get(task.path, headers=self.headers)

    if task.rate:
        Getter.wait_time = constant_throughput(task.rate / task.users)
    return Getter


def measure(task: Task) -> Reading:
    environment = Environment(user_classes=[user_class(task)])
    runner = environment.create_local_runner()
    runner.start(task.users, spawn_rate=task.users)
    with gevent.Timeout(SPAWN_DEADLINE_S):
        while runner.state != "running":
            gevent.sleep(0.01)
    gevent.sleep(task.warmup_s)
    environment.stats.reset_all()
    cpu_s, start_s = time.process_time(), time.perf_counter()
    gevent.sleep(task.duration_s)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - start_s
    total = environment.stats.total
    # As Locust reports them, also where only a few requests lie beyond the percentile.
    latency_ms = {
        name: float(total.get_response_time_percentile(p)) for name, p in PERCENTILES.items()
    }
    return Reading(total.num_requests, total.num_failures, cpu_s, wall_s, latency_ms)


if __name__ == "__main__":
    perform(measure)
    leave()
