"""The allowed ranges of a load's numbers."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Len

MAX_CONCURRENCY = 10_000
MAX_SECONDS = 86_400
MAX_RATE = 1_000_000
MAX_STEPS = 100
MAX_ROUNDS = 1000
Concurrency: TypeAlias = Annotated[int, Gt(0), Le(MAX_CONCURRENCY)]
Few: TypeAlias = Annotated[int, Ge(0), Le(MAX_CONCURRENCY)]
"""Number of clients or users of a kind; zero is allowed."""

Seconds: TypeAlias = Annotated[float, Ge(0), Le(MAX_SECONDS)]
PositiveSeconds: TypeAlias = Annotated[float, Gt(0), Le(MAX_SECONDS)]
Milliseconds: TypeAlias = Annotated[float, Gt(0), Le(MAX_SECONDS * 1e3)]

Rate: TypeAlias = Annotated[float, Gt(0), Le(MAX_RATE)]
"""Arrivals per second."""

Rates: TypeAlias = Annotated[tuple[Rate, ...], Len(2, MAX_STEPS)]
Spacing: TypeAlias = Literal["constant", "poisson"]
"""Evenly spaced, or a Poisson process: independent of each other."""
