"""Compares the drivers: their figures side by side, and a summary sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import columns, formatting, wording
from loopmark.reports.sections import sections

TITLE = "Do the drivers agree?"

_LEAST_PERCENT = 0.1
_WHOLE_PERCENT = 10


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Two drivers' figures for one scenario, target and load.

    Attributes:
        anchor: Id of the section in the page.
        title: Title of the scenario.
        rows: Metric by metric; never empty.
    """

    anchor: str
    title: str
    rows: tuple[Comparison, ...]

    @property
    def is_inconclusive(self) -> bool:
        """Whether none of the rows has a ratio."""
        return all(row.ratio is None for row in self.rows)

    @property
    def main(self) -> Comparison:
        """The row of the main metric."""
        first = self.rows[0]
        return next((row for row in self.rows if row.metric == first.load.traits.main), first)


@dataclass(frozen=True, slots=True)
class DriverPair:
    """Two drivers, and all that both measured."""

    base: str
    other: str
    groups: tuple[SideBySide, ...]


def driver_pairs(results: RunResults) -> tuple[DriverPair, ...]:
    """The comparisons by pair of drivers, in the order of the report's sections."""
    pairs = dict.fromkeys(_drivers(one) for one in results.along("driver"))
    return tuple(DriverPair(*pair, _groups(results, pair)) for pair in pairs)


def _drivers(comparison: Comparison) -> tuple[str, str]:
    return comparison.base.label, comparison.other.label


def _groups(results: RunResults, pair: tuple[str, str]) -> tuple[SideBySide, ...]:
    rows: dict[tuple[str, str, str], list[Comparison]] = {}
    for one in results.along("driver"):
        if _drivers(one) == pair:
            rows.setdefault((one.scenario, one.load.label, one.target), []).append(one)
    return tuple(
        SideBySide(section.anchor, section.title, tuple(rows[key]))
        for section in sections(results)
        for key in dict.fromkeys((c.scenario, c.load.label, c.target) for c in section.cells)
        if key in rows
    )


def figures(comparison: Comparison) -> tuple[str, str]:
    """The figures of both sides, each with its unit."""
    metric = columns.metric(comparison.metric, comparison.load)
    base, other = comparison.base.figure, comparison.other.figure
    return columns.printed(metric, base), columns.printed(metric, other)


def words(found: Comparison) -> str:
    """Whether two drivers differ in a figure, and by how much."""
    if found.ratio is None:
        if found.base.figure is not None and found.other.figure is not None:
            return "not comparable: too few samples in every round"
        return f"inconclusive: {wording.why(found)}"
    if found.ratio_ci is not None and not found.is_clear:
        return "no significant difference: the interval includes 1"
    more = "more" if found.ratio >= 1 else "less"
    apart = f"{found.other.label} measures {_percent(found.ratio)} {more} than {found.base.label}"
    if found.ratio_ci is None:
        return f"{apart}; one round only, it may be chance"
    return f"{apart}: the interval excludes 1"


def _percent(ratio: float) -> str:
    """How far a ratio is from 1: `4.2%`, `39%`."""
    apart = 100 * abs(ratio - 1)
    if apart < _LEAST_PERCENT:
        return f"less than {_LEAST_PERCENT}%"
    return f"{apart:.1f}%" if apart < _WHOLE_PERCENT else f"{apart:,.0f}%"


def summary(results: RunResults) -> str:
    """The number of figures that agree, in a sentence; empty without two drivers."""
    rows = results.along("driver")
    if not rows:
        return ""
    drivers = formatting.listed(dict.fromkeys(name for row in rows for name in _drivers(row)))
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if not ratios:
        return f"no figure is comparable between {drivers}"
    alone = [row for row in rows if row.ratio is not None and row.ratio_ci is None]
    apart = [row.ratio for row in rows if row.ratio is not None and row.is_clear]
    same = len(ratios) - len(alone) - len(apart)
    parts = []
    if same:
        parts.append(f"{same} {'shows' if same == 1 else 'show'} no significant difference")
    if apart:
        parts.append(f"{len(apart)} {'differs' if len(apart) == 1 else 'differ'} by {_far(apart)}")
    if alone:
        rest = "rests on one round and is" if len(alone) == 1 else "rest on one round and are"
        parts.append(f"{len(alone)} {rest} inconclusive")
    many = formatting.count(len(ratios))
    sentence = f"of {many} figures compared between {drivers}, {formatting.listed(parts)}"
    missing = len(rows) - len(ratios)
    return f"{sentence}; {missing} not comparable" if missing else sentence


def _far(ratios: Sequence[float]) -> str:
    """The differences, from the smallest to the largest."""
    nearest, farthest = (
        _percent(pick(ratios, key=lambda ratio: abs(ratio - 1))) for pick in (min, max)
    )
    return nearest if nearest == farthest else f"{nearest} to {farthest}"
