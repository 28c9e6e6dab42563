"""All load models, as plans name them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from loopmark.harness.vocabulary.loads.arriving import Open, Ramp, Steps
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.loads.population import Population

Arriving: TypeAlias = Open | Steps | Ramp
"""The open loads: flows arrive on a schedule, independent of the target."""

FlowLoad: TypeAlias = Burst | Closed | Arriving
"""How the flows of a plan arrive."""

EventLoad: TypeAlias = FanOut | FanOutSteps
"""How events are published."""

PlanLoad: TypeAlias = Annotated[FlowLoad | EventLoad, Field(discriminator="model")]
Load: TypeAlias = Annotated[FlowLoad | EventLoad | Population, Field(discriminator="model")]
