"""What our own variants need before they start, and the settings that only a plan may give them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from loopmark.harness.vocabulary.target import Target

if TYPE_CHECKING:
    from sqlalchemy import Connection


class Preparation(Protocol):
    """The module that prepares what an application needs; a row of its catalog names it.

    Attributes:
        MEASURED_ENVIRONMENT: Environment variables of a target that is measured.
        SERVICES: What else must run: by the environment variable that is to hold its URL, an
            application as `package.module:app`, which answers `/ready`.
        SETTINGS: Environment variables that say how the application is to behave.
    """

    MEASURED_ENVIRONMENT: Mapping[str, str]
    SERVICES: Mapping[str, str]
    SETTINGS: frozenset[str]

    def check(self, environment: Mapping[str, str]) -> None:
        """Raise ValueError if it could not run with this environment."""

    def create_tables(self, connection: Connection) -> None:
        """Create its tables. The caller owns the transaction."""

    def reset(self, connection: Connection, tokens: Sequence[str], resources: int) -> None:
        """Reset its tables to their known state. The caller owns the transaction."""

    def make_folders(self, folder: Path) -> dict[str, str]:
        """Make its folders within this one; return the environment that names them."""


def preparation_named(module: str) -> Preparation:
    """Return the module that prepares an application, imported."""
    return cast("Preparation", importlib.import_module(module))


def inherited_environment(target: Target) -> dict[str, str]:
    """Return what a target gets of the environment of this process.

    One of our own gets none of its settings from there: whoever reads its name in a report knows
    how it was started.
    """
    withheld = _settings(target)
    return {name: value for name, value in os.environ.items() if name not in withheld}


def ignored_settings(targets: Iterable[Target]) -> tuple[str, ...]:
    """Return the settings of our own variants that stand in the environment of this process."""
    return tuple(sorted({name for target in targets for name in _settings(target)} & {*os.environ}))


def _settings(target: Target) -> frozenset[str]:
    return preparation_named(target.prepared_by).SETTINGS if target.prepared_by else frozenset()
