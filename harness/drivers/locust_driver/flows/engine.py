"""Locust's environment for flows: its users and connections, without its statistics."""

from __future__ import annotations

from typing import Any

import locust
from locust.env import Environment
from locust.event import EventHook
from locust.runners import Runner

from loopmark.harness.drivers.locust_driver.flows.flow_user import GeventFlowUser


def flow_environment() -> Environment:
    """An environment whose users do flows; it has no runner yet."""
    return Environment(user_classes=[GeventFlowUser])


def connected_environment() -> Environment:
    """One for a runner that connects before it is known what it will run.

    Its events are those that a locustfile puts its listeners on.
    """
    return Environment(events=locust.events)


def take_over(environment: Environment, runner: Runner) -> None:
    """Let a runner that is connected already run what another environment has.

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
    """Let nobody but the flow's own user hear of a request.

    Locust's rounded tables would be kept for nobody, for some microseconds of each request.
    """
    hook: Any = EventHook  # Without types.
    environment.events.request = hook()
    listen: Any = environment.events.request.add_listener
    listen(_timed)


def _timed(response_time: float, context: dict[str, Any], **_: object) -> None:
    context["loopmark"].timed(response_time)
