"""A run of a locustfile, and what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
USAGE = 2
"""The exit code of arguments or files that cannot be used."""


@dataclass(frozen=True)
class Found:
    """What one run found.

    Attributes:
        state: Of its cell; `refused` where there is none.
        reasons: Why the cell is invalid, or what the run said.
        throughput: Requests per second.
        latency_ms: By percentile; None where there are too few samples.
        cpu_ms: CPU of the driver per request.
        cpu_fraction: CPU of the driver per second.
        lag_ms: 99th percentile of the lag of its event loop.
        requests: Within the window.
    """

    state: str
    reasons: Sequence[str] = ()
    throughput: float | None = None
    latency_ms: Mapping[str, float | None] = field(default_factory=dict)
    cpu_ms: float | None = None
    cpu_fraction: float | None = None
    lag_ms: float | None = None
    requests: int = 0

    @property
    def told(self) -> str:
        """In a line."""
        rate = "" if self.throughput is None else f"{self.throughput:.1f} requests/s, "
        return f"{rate}{self.judged}"

    @property
    def judged(self) -> str:
        """Its state, and why."""
        return f"{self.state}: {', '.join(self.reasons)}" if self.reasons else self.state


def run(file: Path, host: str, users: int | None, seconds: int, out: Path) -> Found:
    """Run a locustfile as a user would.

    Args:
        file: The locustfile.
        host: URL of the target.
        users: All started within a second; None where a shape decides.
        seconds: The window, roughly.
        out: Where the run's folder is created.
    """
    command = [str(Path(sys.executable).with_name("loopmark")), "run", "--locustfile", str(file)]
    options = ["--host", host]
    if users is not None:
        options += ["--users", str(users), "--spawn-rate", str(users)]
    done = subprocess.run(
        [*command, *options, "--run-time", f"{seconds}s", "--out", str(out)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode >= USAGE:
        return Found("refused", (done.stderr.strip().rpartition("\n")[2],))
    results = json.loads((out / "latest" / "results.json").read_text(encoding="utf-8"))
    (cell,) = results["cells"]
    use, rate = cell["driver_use"], cell["throughput_rps"]
    busy = use["cpu_fraction"]
    return Found(
        state=cell["validity"]["state"],
        reasons=[one["code"] for one in cell["validity"]["objections"]],
        throughput=rate,
        latency_ms=cell["latency_ms"],
        cpu_ms=1e3 * busy / rate if busy is not None and rate else None,
        cpu_fraction=busy,
        lag_ms=use["loop_lag_ms"]["p99"],
        requests=cell["requests"],
    )
