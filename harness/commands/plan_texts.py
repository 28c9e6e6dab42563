"""Finds the text of the plan that the command line names."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from loopmark.harness.errors import UserError, require_known

DEFAULT_PROFILE = "quick"

_PLANS = files("loopmark.scenarios") / "plans"


class PlanText(NamedTuple):
    """A plan that has not been parsed.

    Attributes:
        text: TOML.
        source: The file's name, for messages.
        folder: Base folder of its targets' folders.
    """

    text: str
    source: str
    folder: Path


def plan_text(path: Path | None, profile: str | None) -> PlanText:
    """Read the named plan, or the default profile.

    Raises:
        UserError: It does not exist or is not text.
    """
    if path is None:
        return profile_text(DEFAULT_PROFILE if profile is None else profile)
    if profile is not None:
        raise UserError("name a plan file or a --profile, not both")
    try:
        # Reading from a pipe would wait for whoever writes into it.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"cannot read the plan {path}: not a regular file")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        hint = f"; for the shipped plan: --profile {path}" if str(path) in profiles() else ""
        raise UserError(f"cannot read the plan {path}: {reason}{hint}") from None
    if path.suffix == ".py":
        raise UserError(f"{path} is not a plan (TOML); for a locustfile: --locustfile {path}")
    return PlanText(text, str(path), path.parent)


def profile_text(name: str) -> PlanText:
    """Read a shipped plan.

    Raises:
        UserError: There is no shipped plan of that name.
    """
    require_known("profile", (name,), profiles())
    text = (_PLANS / f"{name}.toml").read_text(encoding="utf-8")
    return PlanText(text, f"{name}.toml", Path())


def profiles() -> list[str]:
    """Names of the shipped plans, the shortest runs first."""
    files_ = (plan.name for plan in _PLANS.iterdir())
    names = {name.removesuffix(".toml") for name in files_ if name.endswith(".toml")}
    order = ["smoke", "quick", "full", "drivers", "events"]
    return sorted(names, key=lambda name: (order.index(name) if name in order else 9, name))
