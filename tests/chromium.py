"""A real browser without a window."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.needed_programs import needed_program


def command(profile: Path, *flags: str) -> list[str]:
    """Run Chromium with a profile of the test's own. Skips where there is none, except in CI."""
    program = needed_program("chromium", "chromium-browser", package="chromium")
    # Containers seldom allow the sandbox; the tests show it their own pages only.
    common = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    return [program, *common, *flags]


@contextmanager
def showing(url: str, profile: Path) -> Iterator[None]:
    """Within it the page is open, in real time."""
    browser = subprocess.Popen(
        command(profile, url), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        browser.terminate()
        try:
            browser.wait(20)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
            raise
