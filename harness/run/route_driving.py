"""The process that asks the routes of a probed target."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from loopmark.harness.errors import UserError
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.launch.target_process import last_lines
from loopmark.harness.vocabulary.route_request import RouteAnswers, RouteJob

DRIVER = "loopmark.harness.drivers.route_driver"

LOOK_S = 0.2
"""Between two looks at whether the target still runs."""

ALLOWANCE_S = 30.0
"""For the start of the driver, and what a busy machine adds."""


def drive(
    job: RouteJob, target: RunningTarget, log: Path, told: Callable[[RouteAnswers], None]
) -> tuple[RouteAnswers, ...]:
    """Ask all routes of a job, in a process beside this one.

    Args:
        job: What to ask.
        target: That is asked.
        log: File for what the driver writes to stderr.
        told: Called with the answers of each route, when it has been asked.

    Raises:
        UserError: The target or the driver ended.
    """
    routes = [route for route, _ in groupby(request.route for request in job.requests)]
    longest_s = len(routes) * (job.seconds + job.timeout_s + 1) + job.mixed_seconds + job.timeout_s
    deadline = time.monotonic() + longest_s + ALLOWANCE_S
    with log.open("wb") as stderr:
        driver = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-P", "-m", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,
            start_new_session=True,
        )
    assert driver.stdin is not None
    assert driver.stdout is not None
    answers: list[RouteAnswers] = []
    try:
        driver.stdin.write(json.dumps(asdict(job)).encode())
        driver.stdin.close()
        while time.monotonic() < deadline:
            is_told, _, _ = select.select([driver.stdout], [], [], LOOK_S)
            if not target.is_alive:
                route = routes[len(answers)] if len(answers) < len(routes) else "all routes"
                raise UserError(_died(target, route))
            if is_told:
                line = driver.stdout.readline()
                if not line:
                    break
                answers.append(_read(line))
                told(answers[-1])
        if len(answers) < len(routes):
            why = (last_lines(log) or ["it did not end in time"])[-1]
            raise UserError(f"the driver of the requests failed: {why}")
    finally:
        end(driver)
        driver.stdout.close()
    return tuple(answers)


def _read(line: bytes) -> RouteAnswers:
    told = json.loads(line)
    statuses = {int(status): times for status, times in told.pop("statuses").items()}
    return RouteAnswers(**told, statuses=statuses)


def _died(target: RunningTarget, route: str) -> str:
    assert target.process is not None
    how = target.stderr_tail.rpartition("\n")[2].strip("[]")
    words = target.process.last_words
    said = f": {words}" if words else ""
    return f"{target.target.name} died while {route} was asked ({how}){said}"
