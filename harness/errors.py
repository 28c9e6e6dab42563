"""Errors for users: one line with what was wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


class UserError(Exception):
    """An error that the user can fix; the CLI prints it and exits with 2, without a traceback."""


class UnwritableError(UserError):
    """A file cannot be written, such as on a full disk."""

    def __init__(self, path: object, error: OSError) -> None:
        super().__init__(
            f"cannot write {path}: {error.strerror}; make room there, or name another folder with "
            "--out"
        )


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for an unknown name, with the closest valid one."""
    names = sorted(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"known: {', '.join(names)}"
    return f"unknown {kind} '{name}'; {hint}"


def require_known(kind: str, names: Iterable[str], known: Collection[str]) -> None:
    """Check names that the user gave.

    Raises:
        UserError: One of them does not exist.
    """
    for name in names:
        if name not in known:
            raise UserError(unknown_name(kind, name, known))
