"""wrk, on one thread. It has no warm-up and no rate: the whole of it is the window."""

from __future__ import annotations

import re

from tests.bench.driver.generators.child_process import ran
from tests.bench.driver.task import Reading, Task, perform

MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
LATENCY = re.compile(r"^ +(\d+)% +([\d.]+)(us|ms|s|m)$", re.MULTILINE)
NAMES = {"50": "p50", "90": "p90", "99": "p99"}


def measure(task: Task) -> Reading:
    seconds = max(1, round(task.duration_s))  # It takes whole seconds.
    command = ["wrk", "-t1", f"-c{task.users}", f"-d{seconds}s", "--timeout", "60s", "--latency"]
    return parsed(*ran([*command, f"{task.base_url}{task.path}"]))


def parsed(output: str, cpu_s: float) -> Reading:
    """Read wrk's report.

    Raises:
        ValueError: It is none.
    """
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)\b", output)
    if total is None:
        raise ValueError(f"no report of wrk: {output!r}")
    errors = sum(int(found) for found in re.findall(r"Non-2xx or 3xx responses: (\d+)", output))
    for line in re.findall(r"Socket errors: (.*)", output):
        errors += sum(int(found) for found in re.findall(r"\d+", line))
    latency_ms = {
        NAMES[percent]: float(value) * MS[unit]
        for percent, value, unit in LATENCY.findall(output)
        if percent in NAMES
    }
    wall_s = float(total[2]) * MS[total[3]] / 1000
    return Reading(int(total[1]), errors, cpu_s, wall_s, latency_ms)


if __name__ == "__main__":
    perform(measure)
