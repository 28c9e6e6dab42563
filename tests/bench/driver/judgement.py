"""The figures that the driver is judged by. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.statistics import ratio_over_rounds
from harness.vocabulary.result import Interval
from tests.bench.driver.accuracy import STALL_TRUTH_MS, is_within
from tests.bench.driver.catalog import FAST, HEY, OURS
from tests.bench.driver.outcome import Outcome
from tests.bench.driver.task import PERCENTILES, Reading

AGAINST_FAST = 0.7
GROWTH = 1.25
AGAINST_HEY = 1.0

State = Literal["met", "missed", "not measured"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One of them.

    Attributes:
        what: In words.
        asked: The limit, in words.
        found: What was measured, in words.
        state: Whether it keeps the limit; decided by the estimate, the interval stands beside it.
        is_stretch: Whether it is a wish rather than a demand.
    """

    what: str
    asked: str
    found: str
    state: State
    is_stretch: bool = False


def figures(outcome: Outcome) -> Sequence[Figure]:
    """All of them, judged."""
    users = outcome.plan.users
    found = [_against(outcome, FAST, count, AGAINST_FAST) for count in users]
    if len(users) > 1:
        found.append(_growth(outcome, users[0], users[-1]))
    found += [_against(outcome, HEY, count, AGAINST_HEY, is_stretch=True) for count in users]
    return [*found, *_stall(outcome)]


def cost_ratio(
    base: Mapping[int, Reading], other: Mapping[int, Reading]
) -> tuple[float, Interval | None] | None:
    """Geometric mean over the rounds that both have of other's CPU per request over base's."""
    rounds = sorted(base.keys() & other.keys())
    return ratio_over_rounds(
        [other[number].cpu_us_per_request for number in rounds],
        [base[number].cpu_us_per_request for number in rounds],
    )


def in_words(ratio: tuple[float, Interval | None]) -> str:
    """Return a ratio with its interval."""
    value, interval = ratio
    return f"{value:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def _against(
    outcome: Outcome, peer: str, users: int, limit: float, *, is_stretch: bool = False
) -> Figure:
    ratio = cost_ratio(outcome.readings(peer, users), outcome.readings(OURS, users))
    what = f"CPU per request over that of {peer}, at {users}"
    asked = f"below {limit:g}" if is_stretch else f"at most {limit:g}"
    return _ratio_figure(what, asked, ratio, limit, is_stretch=is_stretch)


def _growth(outcome: Outcome, least: int, most: int) -> Figure:
    ratio = cost_ratio(outcome.readings(OURS, least), outcome.readings(OURS, most))
    what = f"CPU per request at {most} over that at {least}"
    return _ratio_figure(what, f"at most {GROWTH:g}", ratio, GROWTH)


def _ratio_figure(
    what: str,
    asked: str,
    ratio: tuple[float, Interval | None] | None,
    limit: float,
    *,
    is_stretch: bool = False,
) -> Figure:
    if ratio is None:
        return Figure(what, asked, "", "not measured", is_stretch)
    is_met = ratio[0] < limit if is_stretch else ratio[0] <= limit
    return Figure(what, asked, in_words(ratio), "met" if is_met else "missed", is_stretch)


def _stall(outcome: Outcome) -> Iterator[Figure]:
    reading = outcome.stall.get(OURS)
    for name in PERCENTILES:
        truth = STALL_TRUTH_MS[name]
        what = f"{percentile_name(name)} of the target that stalls"
        asked = f"{truth:.0f} ms, within 2% or 3 ms"
        value = reading.latency_ms.get(name) if isinstance(reading, Reading) else None
        if value is None:
            yield Figure(what, asked, "", "not measured")
        else:
            state: State = "met" if is_within(value, truth) else "missed"
            yield Figure(what, asked, f"{value:.1f} ms", state)


def percentile_name(name: str) -> str:
    """Return the name of a percentile as one writes it."""
    return "p99.9" if name == "p999" else name
