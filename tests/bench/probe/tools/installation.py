"""The tools that others make, installed beside the project's environment and never in it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PINNED = {
    "blockbuster": "blockbuster==1.5.29",
    "aiocop": "aiocop==1.2.1",
    "pyleak": "pyleak==0.2.0",
    "py-spy": "py-spy==0.4.3",
}
"""By the name of the distribution; asyncio's debug mode needs none."""

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / ".venv-peers"


class NotInstalledError(Exception):
    """A tool could not be installed; says why."""


def folder_of(distribution: str) -> Path:
    """Where it is installed, with what it needs; installs it first if it is not there.

    Raises:
        NotInstalledError: pip could not.
    """
    requirement = PINNED[distribution]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = FOLDER / version / requirement
    if folder.exists():
        return folder
    unfinished = folder.with_name(f"{requirement}.unfinished")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade"]
    command += ["--disable-pip-version-check", "--target", str(unfinished), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise NotInstalledError(lines[-1])
    unfinished.rename(folder)
    return folder
