"""A locustfile and its options, and the result of inspecting it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocustfileChoice:
    """A locustfile and the user's options for it.

    Attributes:
        path: Of the file.
        host: The URL of the target, instead of each user class's own; None keeps those.
        user_classes: Names of the classes to be run; empty means all.
        tags: Only tasks with one of these; empty means all.
        exclude_tags: Tasks with one of these are left out.
        users: Number of users; None for the default.
        spawn_rate: Users started per second; None for the default.
        run_time_s: Seconds from the first user's start to the end; None for the default.
        arguments: For options that the file itself adds to Locust's command line.
    """

    path: str
    host: str | None = None
    user_classes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    exclude_tags: tuple[str, ...] = ()
    users: int | None = None
    spawn_rate: float | None = None
    run_time_s: float | None = None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of inspecting a locustfile before the run.

    Attributes:
        problem: Why it cannot be run, for the user; empty if it can.
        user_classes: Names of the classes of users that will be run.
        hosts: Where they send their requests, each once.
        shape: Name of its LoadTestShape; None when it has none.
        shape_takes_options: Whether the shape takes the number of users and similar options.
    """

    problem: str = ""
    user_classes: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    shape: str | None = None
    shape_takes_options: bool = False
