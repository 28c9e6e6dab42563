"""What a generator's process is told, and what it says: JSON both ways.

Light on purpose: the processes of `wrk` and `hey` import nothing else.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement by one generator.

    Attributes:
        base_url: Where the target listens.
        path: What is asked.
        users: Connections, each with one request in flight; requests in flight at most for a
            generator with an open load.
        duration_s: Length of the measured window.
        warmup_s: Seconds before it, for those generators that can tell them apart.
        rate: Requests per second in all; None asks as fast as answers come.
        kind: For a generator of several kinds: which one.
        start_s: When to begin, in seconds of CLOCK_MONOTONIC; a moment that is past means now.
        think_s: Mean of the exponential time that a user of a closed load waits before it asks
            again; for loopmark's drivers.
    """

    base_url: str
    path: str
    users: int
    duration_s: float
    warmup_s: float
    rate: float | None = None
    kind: str = ""
    start_s: float = 0.0
    think_s: float = 0.0

    @property
    def pause_s(self) -> float:
        """Seconds from one request of a user to its next; 0 for as fast as answers come."""
        return self.users / self.rate if self.rate else 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a generator reports of its window.

    Attributes:
        requests: Answers within it, failures included.
        errors: Failures among them.
        cpu_s: CPU seconds, user and system, that the generator's process spent in the window.
        wall_s: Length of the window.
        latency_ms: By name of the percentile, in ms, as the tool itself reports them; what it does
            not report is left out.
        cpu_to_disk_s: From the start of the window until every sample lay on disk, where samples
            are stored.
        requests_to_disk: The samples done from then on.
        on_time_share: Share of requests sent within 1 ms of when they were due, where the
            generator knows when they were.
    """

    requests: int
    errors: int
    cpu_s: float
    wall_s: float
    latency_ms: dict[str, float]
    cpu_to_disk_s: float | None = None
    requests_to_disk: int | None = None
    on_time_share: float | None = None

    @property
    def cpu_us_per_request(self) -> float:
        """CPU microseconds per answer; infinite without an answer."""
        return 1e6 * self.cpu_s / self.requests if self.requests else float("inf")

    @property
    def throughput_rps(self) -> float:
        """Answers per second."""
        return self.requests / self.wall_s

    @property
    def error_share(self) -> float:
        """Failures over requests; not a number without requests."""
        return self.errors / self.requests if self.requests else float("nan")


def encoded(task: Task) -> str:
    """Return the task as the argument of a generator's process."""
    return json.dumps(asdict(task))


def decoded(line: str) -> Reading:
    """Read what a generator's process wrote.

    Raises:
        ValueError: It is no reading.
    """
    try:
        return Reading(**json.loads(line))
    except TypeError as error:
        raise ValueError(str(error)) from error


def told() -> Task:
    """Return what this process was told on its command line, when it is time to begin."""
    task = Task(**json.loads(sys.argv[1]))
    time.sleep(max(0.0, task.start_s - time.monotonic()))
    return task


def say(reading: Reading) -> None:
    """Write what came of it."""
    sys.stdout.write(json.dumps(asdict(reading)) + "\n")
    sys.stdout.flush()


def perform(measure: Callable[[Task], Reading]) -> None:
    """Do what this process was told, and say what came of it."""
    say(measure(told()))
