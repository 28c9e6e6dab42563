"""What `loopmark doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: what was checked, the result, and what to do about it."""

    level: Level
    what: str
    advice: str = ""
