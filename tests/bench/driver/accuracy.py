"""What the known target makes true, and how far from it a reported figure may be. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.driver.known_behaviour import DELAY, ERRORS, STALL
from tests.bench.driver.task import PERCENTILES

RELATIVE = 0.02
ABSOLUTE_MS = 3.0

STALL_TRUTH_MS: Mapping[str, float] = {
    name: STALL.percentile_ms(p) for name, p in PERCENTILES.items()
}
"""Of requests at a constant rate to the target that stalls, over whole periods, in ms."""

DELAY_TRUTH_MS: Mapping[str, float] = {
    name: DELAY.percentile_ms(p) for name, p in PERCENTILES.items()
}
"""Of any requests to the target that delays, in ms."""

HELD_PERCENTILES = ("p50", "p90", "p99")
"""Those at which our drivers are compared with the truth and with each other."""

ERROR_TRUTH = ERRORS.share


def is_within(reported_ms: float, truth_ms: float) -> bool:
    """Whether a reported latency is within 2% or 3 ms of the truth, whichever is more."""
    return abs(reported_ms - truth_ms) <= max(RELATIVE * truth_ms, ABSOLUTE_MS)
