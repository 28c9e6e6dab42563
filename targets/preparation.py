"""Prepares what variants need: valid settings, tables in a known state, and folders."""

from collections.abc import Mapping
from pathlib import Path

from loopmark.targets import corpus
from loopmark.targets.schema import create_tables, reset
from loopmark.targets.settings import Settings

__all__ = ["check", "create_tables", "make_folders", "reset"]


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
