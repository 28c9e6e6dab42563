"""What a tool of the comparison is, and what their outputs have in common."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.probe.trial import Accusation, Frame

THRESHOLD_MS = 50
"""What every tool is told to take for a block, where it can be told."""

PLACE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')


@dataclass(frozen=True, slots=True)
class Record:
    """What a tool said, as it said it.

    Attributes:
        at_ns: When; CLOCK_MONOTONIC.
        text: Its own words.
    """

    at_ns: int
    text: str


Parse = Callable[[Record, str], Accusation | None]
"""Turns a record and the application's folder into an accusation, or None if it is none."""


def traceback_frames(text: str) -> list[Frame]:
    """The frames of the last stack that Python printed, innermost first."""
    places = [Frame(p["file"], int(p["line"]), p["function"]) for p in PLACE.finditer(text)]
    return places[::-1]
