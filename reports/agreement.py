"""Do the drivers agree? Both side by side in reading order, and all of it in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.comparison import Agreement
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import columns, formatting, wording
from loopmark.reports.sections import sections

TITLE = "Do the drivers agree?"

_LEAST_PERCENT = 0.1
_WHOLE_PERCENT = 10


@dataclass(frozen=True, slots=True)
class SideBySide:
    """What two drivers measured of one scenario, target and load.

    Attributes:
        anchor: Id of the section in the page.
        title: Title of the scenario.
        rows: Metric by metric; never empty.
    """

    anchor: str
    title: str
    rows: tuple[Agreement, ...]

    @property
    def one(self) -> Agreement:
        """Any of them: the scenario, the target and the load are the same in all."""
        return self.rows[0]

    @property
    def is_inconclusive(self) -> bool:
        """Whether there is no ratio at all."""
        return all(row.ratio is None for row in self.rows)

    @property
    def main(self) -> Agreement:
        """The one in the metric that counts."""
        metric = columns.METRICS.get(self.one.load.model)
        return next((row for row in self.rows if row.metric == metric), self.one)


@dataclass(frozen=True, slots=True)
class DriverPair:
    """Two drivers, and everything that both measured."""

    base: str
    other: str
    groups: tuple[SideBySide, ...]


def driver_pairs(results: RunResults) -> tuple[DriverPair, ...]:
    """The agreements of a run by pair of drivers, each in the order of the report's sections."""
    pairs = dict.fromkeys((one.base, one.other) for one in results.agreements)
    return tuple(DriverPair(*pair, _groups(results, pair)) for pair in pairs)


def _groups(results: RunResults, pair: tuple[str, str]) -> tuple[SideBySide, ...]:
    found = []
    for section in sections(results):
        keys = dict.fromkeys((cell.load.label, cell.target) for cell in section.cells)
        for label, target in keys:
            rows = tuple(
                one
                for one in results.agreements
                if (one.base, one.other) == pair
                and (one.scenario, one.load.model) == (section.name, section.model)
                and (one.load.label, one.target) == (label, target)
            )
            if rows:
                found.append(SideBySide(section.anchor, section.title, rows))
    return tuple(found)


def figure(metric: str, value: float | None) -> str:
    """The value of a metric, in its unit."""
    if metric == "makespan_s":
        return formatting.seconds(value)
    if metric == "throughput_rps":
        return formatting.number(value)
    return formatting.milliseconds(value)


def words(found: Agreement) -> str:
    """Whether two drivers differ in a figure, and by how much."""
    if found.ratio is None:
        if found.base_figure is not None and found.other_figure is not None:
            return "cannot be said: no single round has enough samples of both"
        return f"cannot be said ({'; '.join(found.reasons) or 'no reason was stored'})"
    if found.ratio_ci is not None and not wording.is_clear(found.ratio_ci):
        return "no difference that these rounds could show: the interval includes 1"
    more = "more" if found.ratio >= 1 else "less"
    apart = f"{found.other} measures {_percent(found.ratio)} {more} than {found.base}"
    if found.ratio_ci is None:
        return f"{apart}; one round only, it may be chance"
    return f"{apart}: the interval leaves 1 out"


def _percent(ratio: float) -> str:
    """How far a ratio is from 1: `4.2%`, `39%`."""
    apart = 100 * abs(ratio - 1)
    if apart < _LEAST_PERCENT:
        return f"less than {_LEAST_PERCENT}%"
    return f"{apart:.1f}%" if apart < _WHOLE_PERCENT else f"{apart:,.0f}%"


def summary(results: RunResults) -> str:
    """How many figures agree, in one sentence; empty where nothing was measured by two drivers."""
    if not results.agreements:
        return ""
    pairs = driver_pairs(results)
    rows = [row for pair in pairs for group in pair.groups for row in group.rows]
    drivers = formatting.listed(
        dict.fromkeys(name for pair in pairs for name in (pair.base, pair.other))
    )
    ratios = [(row.ratio, row.ratio_ci) for row in rows if row.ratio is not None]
    if not ratios:
        return f"none of the figures that {drivers} both measured can be held side by side"
    alone = [ratio for ratio, bounds in ratios if bounds is None]
    apart = [ratio for ratio, bounds in ratios if wording.is_clear(bounds)]
    same = len(ratios) - len(alone) - len(apart)
    parts = []
    if same:
        parts.append(f"{same} {'shows' if same == 1 else 'show'} no difference")
    if apart:
        parts.append(f"{len(apart)} {'differs' if len(apart) == 1 else 'differ'} by {_far(apart)}")
    if alone:
        rest = "rests" if len(alone) == 1 else "rest"
        parts.append(f"{len(alone)} {rest} on one round and cannot tell")
    many = formatting.count(len(ratios))
    sentence = f"of {many} figures that {drivers} both measured, {formatting.listed(parts)}"
    missing = len(rows) - len(ratios)
    return f"{sentence}; {missing} more cannot be held side by side" if missing else sentence


def _far(ratios: Sequence[float]) -> str:
    """How far apart, from the closest to the farthest."""
    nearest, farthest = (
        _percent(pick(ratios, key=lambda ratio: abs(ratio - 1))) for pick in (min, max)
    )
    return nearest if nearest == farthest else f"{nearest} to {farthest}"
