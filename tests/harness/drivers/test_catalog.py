"""Which driver can drive what."""

from __future__ import annotations

import pytest

from loopmark.harness.drivers.catalog import DISTRIBUTED, DRIVERS, WITH_EVENTS, drivers_for
from loopmark.harness.vocabulary.flow import ClientJourney, EventFlow, Flow
from loopmark.harness.vocabulary.scenario import EventEndpoint, Scenario, is_plain_flow
from loopmark.scenarios.event_scenarios import SOCKETIO, WEBSOCKET
from tests.harness.drivers.driving import WARM
from tests.harness.drivers.test_native_driver import journey
from tests.harness.drivers.tried_flows import creating, one_step


@pytest.mark.parametrize(
    ("flow", "events", "drivers"),
    [
        (one_step, None, {"native", "httpx", "locust"}),
        (journey, None, {"httpx"}),
        (creating, WEBSOCKET, {"websocket"}),
        (creating, SOCKETIO, {"websocket"}),
        (one_step, WEBSOCKET, {"websocket"}),
    ],
)
def test_a_scenario_has_the_drivers_that_can(
    flow: Flow | ClientJourney | EventFlow, events: EventEndpoint | None, drivers: set[str]
) -> None:
    scenario = Scenario("tried", "t", "d", flow, WARM, events=events)
    assert drivers_for(scenario) == drivers
    assert is_plain_flow(flow, scenario) == (drivers == {"native", "httpx", "locust"})


def test_the_websocket_driver_is_one_process() -> None:
    assert not WITH_EVENTS & DISTRIBUTED
    assert set(DRIVERS) >= WITH_EVENTS
