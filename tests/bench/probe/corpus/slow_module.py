"""A module that computes while it is imported."""

import time

from tests.bench.probe.corpus import slow_module_duration

ends = time.monotonic() + slow_module_duration.seconds
rounds = 0
while time.monotonic() < ends:  # guilty of import: computing
    rounds += 1  # guilty of import: computing
