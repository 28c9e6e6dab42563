"""Programs that some tests need and that Python does not bring."""

from __future__ import annotations

import os
import shutil

import pytest


def needed_program(*names: str, package: str) -> str:
    """The path of the first that is there. Without any the test is skipped; in CI it fails."""
    for name in names:
        if path := shutil.which(name):
            return path
    missing = f"no {names[0]} on this machine (apt-get install {package})"
    if os.environ.get("CI"):
        pytest.fail(f"{missing}: it must be there where CI is set")
    pytest.skip(missing)
