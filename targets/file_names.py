"""Checks names of files from clients."""

import re
import unicodedata
from collections.abc import Callable

MAX_NAME_BYTES = 255
"""Maximum length of a name on Linux, macOS and Windows."""


def _holds_controls(name: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in name)


_FAULTS: tuple[tuple[Callable[[str], object], str], ...] = (
    (lambda name: not name.strip(), "it is empty"),
    (
        lambda name: len(name.encode(errors="replace")) > MAX_NAME_BYTES,
        f"it is longer than {MAX_NAME_BYTES} bytes",
    ),
    (_holds_controls, "it holds control characters"),
    (lambda name: name in {".", ".."}, "it names a folder"),
    (re.compile(r"[/\\]").search, "it holds a path separator; give the bare name"),
    (re.compile(r"[A-Za-z]:").match, "it begins with a drive letter; give the bare name"),
)


def fault(name: str) -> str:
    """Return the problem with a name, as the end of a sentence; empty if there is none.

    Neither a slash nor a backslash nor a drive is acceptable on any system: a name that is harmless
    here may not be on the machine where it is used next.
    """
    return next((words for is_faulty, words in _FAULTS if is_faulty(name)), "")
