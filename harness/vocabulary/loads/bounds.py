"""What the numbers of a load may be."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field, PositiveInt

MAX_CONCURRENCY = 10_000
MAX_SECONDS = 86_400
MAX_RATE = 1_000_000
MAX_STEPS = 100
Concurrency: TypeAlias = Annotated[PositiveInt, Field(le=MAX_CONCURRENCY)]
Few: TypeAlias = Annotated[int, Field(ge=0, le=MAX_CONCURRENCY)]
"""Clients or users of a kind that there need not be."""

Seconds: TypeAlias = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
PositiveSeconds: TypeAlias = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
Rate: TypeAlias = Annotated[float, Field(gt=0, le=MAX_RATE)]
"""Arrivals per second."""

Rates: TypeAlias = Annotated[tuple[Rate, ...], Field(min_length=2, max_length=MAX_STEPS)]
Spacing: TypeAlias = Literal["constant", "poisson"]
"""Evenly spaced, or independent of each other as those of many strangers are."""
