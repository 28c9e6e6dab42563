"""Locust's environment for flows: its users and connections, without its statistics."""

from __future__ import annotations

from typing import Any

from locust.env import Environment
from locust.event import EventHook

from harness.drivers.locust_driver.flow_user import FlowUser


def flow_environment() -> Environment:
    """An environment whose users do flows; it has no runner yet."""
    return Environment(user_classes=[FlowUser])


def only_listen(environment: Environment) -> None:
    """Let nobody but the flow's own user hear of a request.

    Locust's rounded tables would be kept for nobody, for some microseconds of each request.
    """
    hook: Any = EventHook  # Without types.
    environment.events.request = hook()
    listen: Any = environment.events.request.add_listener
    listen(_timed)


def _timed(
    response_time: float,
    context: dict[str, Any],
    exception: BaseException | None,
    **_: object,
) -> None:
    context["loopmark"].timed(response_time, exception)
