"""Prepares what variants need: valid settings, tables in a known state, and folders."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from loopmark.targets import corpus
from loopmark.targets.schema import create_tables, reset
from loopmark.targets.settings import CHOICES, Settings

__all__ = [
    "MEASURED_ENVIRONMENT",
    "SERVICES",
    "SETTINGS",
    "check",
    "create_tables",
    "make_folders",
    "reset",
]

MEASURED_ENVIRONMENT: Mapping[str, str] = MappingProxyType({"WARM_POOLS": "1"})
"""Environment variables of a variant that is measured."""

SERVICES: Mapping[str, str] = MappingProxyType({"UPSTREAM_URL": "loopmark.targets.upstream:app"})
"""What else must run: by the environment variable with which variants find it, the application. It
answers `/ready`."""

SETTINGS = CHOICES
"""Environment variables that say how a variant is to behave."""


def check(environment: Mapping[str, str]) -> None:
    """Check a variant's environment.

    Raises:
        SettingsError: No variant could run with it.
    """
    Settings.from_environment(environment)


def make_folders(folder: Path) -> dict[str, str]:
    """Make the corpus and a place for uploads.

    Args:
        folder: Where; it must exist.

    Returns:
        The environment variables with which variants find them.
    """
    uploads = folder / "uploads"
    uploads.mkdir()
    corpus.make(folder / "corpus")
    return {"CORPUS": str(folder / "corpus"), "UPLOADS": str(uploads)}
