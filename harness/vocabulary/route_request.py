"""What is asked of the routes of somebody's application, and what it answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RouteRequest:
    """A request to one route.

    Attributes:
        route: Method and path of the route, with its parameters in braces.
        method: HTTP method, upper case.
        path: With values in place of the parameters, percent-encoded.
        query: Percent-encoded, without the question mark.
        headers: Names and values.
        body: As text; empty without one.
        content_type: Of the body.
    """

    route: str
    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    content_type: str = ""

    @property
    def address(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class SkippedRoute:
    """A route that is not asked.

    Attributes:
        route: Method and path.
        reason: Why, for people.
    """

    route: str
    reason: str


@dataclass(frozen=True, slots=True)
class RouteJob:
    """What the driver of routes is to do.

    Attributes:
        base_url: Where the target listens.
        requests: What to ask; those of one route follow each other.
        users: How many ask at once.
        seconds: For how long each route is asked.
        mixed_seconds: For how long all of them are asked mixed, after that; 0: not at all.
        timeout_s: After how long a request has failed.
        seed: Of the order of the mixed requests.
        authorization_from: Name of the environment variable with the Authorization header.
    """

    base_url: str
    requests: tuple[RouteRequest, ...]
    users: int
    seconds: float
    mixed_seconds: float
    timeout_s: float
    seed: int
    authorization_from: str


@dataclass(frozen=True, slots=True)
class RouteAnswers:
    """What came back in the stretch in which one route, or a mixture, was asked.

    Attributes:
        route: Method and path; empty for the mixture of all.
        requests: How many were sent.
        statuses: How many answers had a status, by status.
        errors: How many requests got no answer, by the kind of error.
        p50_ms: Median time from sending to the end of the answer; None without answers.
        max_ms: The longest time; None without answers.
        start_ns: Of the stretch (CLOCK_MONOTONIC).
        end_ns: Of the stretch.
    """

    route: str
    requests: int
    statuses: Mapping[int, int]
    errors: Mapping[str, int]
    p50_ms: float | None
    max_ms: float | None
    start_ns: int
    end_ns: int


def is_same_path(path: str, route: str) -> bool:
    """Whether the path of an application's route is that of a route that was asked.

    Args:
        path: As the application has it, such as `/files/{name:path}`.
        route: Method and path that was asked: as a document has it, or with values in it.
    """
    asked = route.partition(" ")[2].partition("?")[0]
    if "{" in asked:
        return re.sub(r":\w+\}", "}", path) == asked
    parts = re.split(r"(\{[^{}]*\})", path)
    pattern = "".join(
        (".+" if part.endswith(":path}") else "[^/]+") if part.startswith("{") else re.escape(part)
        for part in parts
    )
    return re.fullmatch(pattern, asked) is not None
