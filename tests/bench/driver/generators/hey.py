"""hey. It has no warm-up: the whole of it is the window."""

from __future__ import annotations

import re

from tests.bench.driver.generators.child_process import ran
from tests.bench.driver.task import Reading, Task, perform

NAMES = {"50": "p50", "90": "p90", "95": "p95", "99": "p99"}
LEAST_FAILURE = 400


def measure(task: Task) -> Reading:
    command = ["hey", "-z", f"{task.duration_s}s", "-c", str(task.users), "-t", "60"]
    if task.rate:
        command += ["-q", f"{task.rate / task.users:g}"]  # It takes a rate per worker.
    return parsed(*ran([*command, f"{task.base_url}{task.path}"]))


def parsed(output: str, cpu_s: float) -> Reading:
    """Read hey's report.

    Raises:
        ValueError: It is none.
    """
    total = re.search(r"Total:\s+([\d.]+) secs", output)
    if total is None:
        raise ValueError(f"no report of hey: {output!r}")
    answers = {
        int(status): int(count)
        for status, count in re.findall(r"^\s+\[(\d{3})\]\s+(\d+) responses$", output, re.MULTILINE)
    }
    _, _, errors_part = output.partition("Error distribution:")
    broken = sum(int(count) for count in re.findall(r"^\s+\[(\d+)\]", errors_part, re.MULTILINE))
    failures = sum(count for status, count in answers.items() if status >= LEAST_FAILURE)
    # A percentile that it has too few requests for it prints as "0% in 0.0000 secs".
    latency_ms = {
        NAMES[percent]: 1000 * float(value)
        for percent, value in re.findall(r"^\s+(\d+)% in ([\d.]+) secs$", output, re.MULTILINE)
        if percent in NAMES
    }
    requests = sum(answers.values()) + broken
    return Reading(requests, failures + broken, cpu_s, float(total[1]), latency_ms)


if __name__ == "__main__":
    perform(measure)
