"""Times on the command line, in Locust's notation."""

from __future__ import annotations

import re

from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.loads.bounds import MAX_SECONDS

_UNITS = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


def seconds(text: str, option: str = "--run-time") -> float:
    """Seconds of a time such as "90", "30s", "1m30s" or "1h".

    Args:
        text: The time.
        option: Whose it is, for the message.

    Raises:
        UserError: The text is not a time, or the time is zero or too long.
    """
    found = 0.0
    if _SECONDS.fullmatch(text):
        found = float(text)
    elif text and (parts := _UNITS.fullmatch(text)):
        hours, minutes, rest = (float(part or 0) for part in parts.groups())
        found = 3600 * hours + 60 * minutes + rest
    if not found:
        raise UserError(f"{option} {text!r} is not a time; for example 30s, 1m30s or 90")
    if found > MAX_SECONDS:
        raise UserError(f"{option} {text}: at most {MAX_SECONDS} s")
    return found


def minutes(seconds: float) -> str:
    """A time as `seconds` reads it, such as "6m20s", to the whole second."""
    whole = round(seconds)
    return f"{whole // 60}m{whole % 60:02d}s"
