"""Locust's environment for flows: its users and connections, without its statistics."""

from __future__ import annotations

from typing import Any

import locust
from locust.env import Environment
from locust.event import EventHook
from locust.runners import Runner

from loopmark.harness.drivers.locust_driver.flows.flow_user import GeventFlowUser


def flow_environment() -> Environment:
    """An environment whose users run flows; it has no runner yet."""
    return Environment(user_classes=[GeventFlowUser])


def connected_environment() -> Environment:
    """An environment for a runner that connects before its job is known.

    Its events are those to which a locustfile adds listeners.
    """
    return Environment(events=locust.events)


def take_over(environment: Environment, runner: Runner) -> None:
    """Let a connected runner use another environment.

    Args:
        environment: With the events that the runner listens to, and no runner yet.
        runner: Of another environment.
    """
    environment.stats = runner.environment.stats
    environment.runner = runner
    runner.environment = environment
    if environment.shape_class is not None:
        environment.shape_class.runner = runner


def only_listen(environment: Environment) -> None:
    """Remove all listeners for requests except the flow's own user.

    Locust's statistics are not used, and would cost some microseconds per request.
    """
    hook: Any = EventHook  # Without types.
    environment.events.request = hook()
    listen: Any = environment.events.request.add_listener
    listen(_timed)


def _timed(response_time: float, context: dict[str, Any], **_: object) -> None:
    context["loopmark"].timed(response_time)
