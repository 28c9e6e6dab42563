"""Inspects a locustfile in a process of its own, before the run.

Run with the file of a `LocustfileChoice` and a file for the `Inspection`, both JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path

from locust import User
from locust.env import Environment
from pydantic import TypeAdapter

from loopmark.harness.drivers.locust_driver.locustfile.environment import hosts, load
from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.locustfile import Inspection, LocustfileChoice

_CHOICE = TypeAdapter(LocustfileChoice)
_INSPECTION = TypeAdapter(Inspection)


def main(choice: Path, found: Path) -> None:
    """Inspect, and write the result."""
    try:
        inspection = inspect(_CHOICE.validate_json(choice.read_bytes()))
    except UserError as problem:
        inspection = Inspection(problem=str(problem))
    found.write_bytes(_INSPECTION.dump_json(inspection))


def inspect(choice: LocustfileChoice) -> Inspection:
    """Import the file and list what would be run.

    Raises:
        UserError: It cannot be run.
    """
    loaded = load(choice)
    environment = loaded.environment()
    _require_tasks(environment)
    shape = loaded.shape
    return Inspection(
        user_classes=tuple(one.__name__ for one in environment.user_classes),
        hosts=hosts(environment.user_classes, choice.host),
        shape=None if shape is None else type(shape).__name__,
        shape_takes_options=shape is not None and bool(shape.use_common_options),
    )


def _require_tasks(environment: Environment) -> None:
    for one in environment.user_classes:
        # One without tasks may do everything when it starts, and stop itself then.
        if not one.tasks and one.on_start is User.on_start:
            raise UserError(f"{one.__name__} has no task: mark a method of it with @task")
    before = {one for one in environment.user_classes if one.tasks}
    environment._filter_tasks_by_tags()  # noqa: SLF001 - as the runner does at its start
    for one in environment.user_classes:
        if one in before and not one.tasks:
            raise UserError(
                f"no task of {one.__name__} matches the tags; choose other tags, or other classes "
                "with --class"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
