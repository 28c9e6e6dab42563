"""The entries of the corpus and who is guilty of each, read from its source."""

from __future__ import annotations

from pathlib import Path

from tests.bench.probe.guilty import guilty_lines_of, routes_of

FOLDER = Path(__file__).parent / "corpus"
APPLICATION = FOLDER / "application.py"
STARVED = "host-starved"
"""The entry without a route of its own: `/clean`, while others have the target's processor."""

GUILTY = guilty_lines_of(sorted(FOLDER.glob("*.py")))
ENTRIES = (*routes_of(APPLICATION.read_text("utf-8")), STARVED)


def route_of(entry: str) -> str:
    """The route that an entry asks."""
    return "clean" if entry == STARVED else entry


def kind_of(entry: str) -> str:
    """How an entry blocks; empty if nobody is guilty of it."""
    return next((line.kind for line in GUILTY if line.entry == entry), "")
