"""The figures that the driver is judged by. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loopmark.harness.vocabulary.figures import Interval
from tests.bench.driver.accuracy import HELD_PERCENTILES, RELATIVE, STALL_TRUTH_MS, is_within
from tests.bench.driver.catalog import DRIVERS, FAST, HEY, OURS, OURS_HTTPX, OURS_LOCUST, WRK
from tests.bench.driver.outcome import Held, Outcome
from tests.bench.driver.task import PERCENTILES, Reading
from tests.bench.ratios import ratio_over_rounds

DEMANDS = (
    (OURS, WRK, 1.5),
    (OURS, FAST, 0.7),
    (OURS_HTTPX, FAST, 1.1),
    (OURS_LOCUST, FAST, 1.0),
)
"""What a request may cost a driver of ours at most: times its cost in the other."""

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
    found = [
        _against(outcome, ours, peer, count, limit)
        for ours, peer, limit in DEMANDS
        for count in users
    ]
    if len(users) > 1:
        found.append(_growth(outcome, users[0], users[-1]))
    found += [_against(outcome, OURS, HEY, count, AGAINST_HEY, is_stretch=True) for count in users]
    return [*found, *_stall(outcome), *_held(outcome)]


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


def _against(  # noqa: PLR0913 - what is compared with what
    outcome: Outcome,
    ours: str,
    peer: str,
    users: int,
    limit: float,
    *,
    is_stretch: bool = False,
) -> Figure:
    ratio = cost_ratio(outcome.readings(peer, users), outcome.readings(ours, users))
    what = f"{ours}: CPU per request over that of {peer}, at {users}"
    asked = f"below {limit:g}" if is_stretch else f"at most {limit:g}"
    return _ratio_figure(what, asked, ratio, limit, is_stretch=is_stretch)


def _growth(outcome: Outcome, least: int, most: int) -> Figure:
    ratio = cost_ratio(outcome.readings(OURS, least), outcome.readings(OURS, most))
    what = f"{OURS}: CPU per request at {most} over that at {least}"
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


def _held(outcome: Outcome) -> Iterator[Figure]:
    """Our drivers against the known delays, and against the native one."""
    for users in outcome.plan.agreement_users:
        for ours in DRIVERS:
            what = f"{ours}: {_HELD} of the known delays, at {users}"
            deviations = [truth_ratio(outcome, ours, users, name) for name in HELD_PERCENTILES]
            yield _deviation_figure(what, "the truth", deviations)
            if ours != OURS:
                apart = [driver_ratio(outcome, ours, users, name) for name in HELD_PERCENTILES]
                yield _deviation_figure(what, f"{OURS}'s", apart)


_Ratio: TypeAlias = "tuple[float, Interval | None] | None"


def truth_ratio(outcome: Outcome, generator: str, users: int, name: str) -> _Ratio:
    """Geometric mean over the rounds of a reported percentile of the known delays over the true."""
    turns = outcome.held_against(generator, users).values()
    pairs = [(_reported(turn, name), turn.true_ms[name]) for turn in turns]
    return _ratio_of([(found, true) for found, true in pairs if found is not None])


def driver_ratio(outcome: Outcome, driver: str, users: int, name: str) -> _Ratio:
    """The same of what a driver reports over what the native driver does."""
    ours, other = (outcome.held_against(one, users) for one in (driver, OURS))
    rounds = sorted(ours.keys() & other.keys())
    pairs = [(_reported(ours[one], name), _reported(other[one], name)) for one in rounds]
    return _ratio_of([(found, base) for found, base in pairs if found and base])


def in_percent(ratio: tuple[float, Interval | None]) -> str:
    """Return a ratio near 1 as a deviation with its interval."""
    value, interval = ratio
    ends = f" ({_percent(interval[0])} to {_percent(interval[1])})" if interval else ""
    return f"{_percent(value)}{ends}"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}%"


def _reported(turn: Held, name: str) -> float | None:
    return turn.found.latency_ms.get(name) if isinstance(turn.found, Reading) else None


def _ratio_of(pairs: Sequence[tuple[float, float]]) -> _Ratio:
    return ratio_over_rounds([one for one, _ in pairs], [other for _, other in pairs])


def _deviation_figure(what: str, of: str, deviations: Sequence[_Ratio]) -> Figure:
    asked = f"within {100 * RELATIVE:g}% of {of}"
    measured = [one[0] for one in deviations if one is not None]
    if len(measured) < len(deviations):
        return Figure(what, asked, "", "not measured")
    is_met = all(abs(value - 1) <= RELATIVE for value in measured)
    return Figure(what, asked, ", ".join(map(_percent, measured)), "met" if is_met else "missed")


_HELD = "p50, p90, p99"


def percentile_name(name: str) -> str:
    """Return the name of a percentile as one writes it."""
    return "p99.9" if name == "p999" else name
