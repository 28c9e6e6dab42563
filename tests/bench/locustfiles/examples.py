"""Locust's own example locustfiles, unmodified, against an idle server."""

from __future__ import annotations

from pathlib import Path

from tests.bench.driver.processes import target
from tests.bench.locustfiles.runs import Found, run

EXAMPLES = (
    "basic.py",
    "custom_shape/stages.py",
    "custom_wait_function.py",
    "events.py",
    "fast_http_locust.py",
    "locustfile.py",
    "manual_stats_reporting.py",
    "nested_inline_tasksets.py",
    "response_validations.py",
    "semaphore_wait.py",
    "web_ui_auth/basic.py",
)
"""Those that need nothing but an HTTP server, chosen before they were run."""

USERS = 10


def example_run(file: Path, seconds: int, folder: Path) -> Found:
    """Run one example with ten users, or as many as its shape wants."""
    with target("example_target", ()) as url:
        users = None if "custom_shape" in file.parts else USERS
        return run(file, url, users, seconds, folder / "results")
