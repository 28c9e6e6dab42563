"""Compares the documented figures with the measured ones, as values and sentences.

Sentences use only valid figures. Missing or invalid ones are named as such, never guessed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.figures import Figures
from loopmark.harness.vocabulary.loads.model import DELIVERY, REQUEST
from loopmark.harness.vocabulary.record import DocumentedPoint
from loopmark.harness.vocabulary.result import CellResult, Invalid, RunResults
from loopmark.reports import agreement, formatting, measured, pitfalls, wording
from loopmark.reports.formatting import Bounds
from loopmark.reports.sections import sections, several_drivers

SCENARIO = "wait-timer"
"""The scenario that repeats the documented timing table."""

ONE_THREAD, SYNC, ASYNC = "sync-one-thread", "sync", "async"

PATTERNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"sync": (ONE_THREAD, SYNC), "async": (ASYNC,)}
)
"""By documented pattern, the targets that implement it."""

CLAIM = (10.0, 100.0)
"""The documentation: "10-100x improvement with async!"."""

_SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        ONE_THREAD: "sync code with one worker thread",
        SYNC: "sync code in the framework's default pool of 40 threads",
        ASYNC: "async code",
    }
)


@dataclass(frozen=True, slots=True)
class _Times:
    """How a ratio is told.

    Attributes:
        base: The denominator of a ratio that is above 1 where async is faster.
        words: The ratio in words.
    """

    base: str
    words: str


_TIMES: Mapping[str, _Times] = MappingProxyType(
    {
        "throughput_rps": _Times(SYNC, "{times} times the throughput"),
        "makespan_s": _Times(ASYNC, "{times} times as fast to the last response"),
    }
)
"""By metric that says how fast a target is."""

_MOST_ROWS = 8
"""Of more comparisons the tables tell more than sentences do."""


@dataclass(frozen=True, slots=True)
class TimingRow:
    """One concurrency of the documented timing table.

    Attributes:
        concurrency: Requests at once.
        documented: By pattern, the documented seconds.
        measured: By target, the cell.
    """

    concurrency: int
    documented: Mapping[str, float]
    measured: Mapping[str, CellResult]


@dataclass(frozen=True, slots=True)
class RatioRow:
    """How many times as fast async was as sync, under one load, by the load's main metric.

    Attributes:
        anchor: Id of the section in the page.
        title: Title of the scenario.
        load: The load in words.
        metric: Key of the metric: the throughput, or of a burst the time to the last response.
        ratio: None when inconclusive.
        bounds: Its interval.
        rounds: Number of pairs of rounds.
        documented: The ratio in the documented timing table, where it has one.
        reasons: Why there is no ratio.
    """

    anchor: str
    title: str
    load: str
    metric: str
    ratio: float | None
    bounds: Bounds | None
    rounds: int
    documented: float | None
    reasons: tuple[str, ...]


def timing_cells(results: RunResults) -> tuple[CellResult, ...]:
    """The cells that repeat the documented timing table, of one driver."""
    targets = [target for targets in PATTERNS.values() for target in targets]
    cells = [
        cell
        for cell in results.cells
        if cell.scenario == SCENARIO
        and cell.load.traits.ends_with_last_answer
        and cell.target in targets
    ]
    return tuple(cell for cell in cells if cell.driver == cells[0].driver)


def timing_rows(results: RunResults) -> tuple[TimingRow, ...]:
    """The documented timing table with the measured cells beside it."""
    cells = timing_cells(results)
    levels = {point.concurrency for point in results.run.documented}
    levels |= {cell.load.concurrency for cell in cells}
    return tuple(
        TimingRow(
            level,
            {p.pattern: p.makespan_s for p in results.run.documented if p.concurrency == level},
            {cell.target: cell for cell in cells if cell.load.concurrency == level},
        )
        for level in sorted(levels)
    )


def ratio_rows(results: RunResults) -> tuple[RatioRow, ...]:
    """Async against sync under every load that both were measured with, in reading order.

    Series are excluded: they compare their numbers instead.
    """
    documented = _documented_ratios(results.run.documented)
    several = several_drivers(results)
    found = []
    for section in sections(results):
        if section.places:
            continue
        for one in section.comparisons:
            if one.metric != one.load.traits.main or one.metric not in _TIMES:
                continue
            if {one.base.label, one.other.label} != {SYNC, ASYNC}:
                continue
            ratio, bounds = wording.oriented(one, _TIMES[one.metric].base)
            load = wording.at_once(one.load)
            found.append(
                RatioRow(
                    section.anchor,
                    section.title,
                    f"{load}, {one.driver}" if several else load,
                    one.metric,
                    ratio,
                    bounds,
                    one.rounds,
                    documented.get(one.load.concurrency) if one.scenario == SCENARIO else None,
                    one.reasons,
                )
            )
    return tuple(found)


def sentences(results: RunResults) -> tuple[str, ...]:
    """The evidence for the answer.

    Of a run with questions, only what their answers do not say: how the documented times agree.
    """
    if results.questions:
        found = []
        if results.run.documented and timing_cells(results):
            found = [_documented_sentence(results.run.documented), *_timing_sentences(results)]
        return tuple(f"{_capitalised(one)}." for one in found)
    # The drivers come first where there are several; what the plan compares is then one of the
    # things behind it.
    found = [_without_drivers(results)] if results.along("driver") else []
    if timing_cells(results):
        found += [
            _documented_sentence(results.run.documented),
            *_timing_sentences(results),
            _timing_ratio_sentence(results),
            _elsewhere_sentence(results),
        ]
    elif results.run.documented:
        found += _rows_told(ratio_rows(results))
    else:
        found += measured.sentences(results)
    return tuple(f"{_capitalised(one)}." for one in found if one)


def answer(results: RunResults) -> str:
    """The answer in one sentence: how often was async faster, or slower?

    Where the run repeated the documented table: does that reach the documented advantage? For a run
    with several drivers: do they agree? Without documented figures: the results of the targets.
    """
    return f"{_capitalised(_answer(results))}."


def _answer(results: RunResults) -> str:
    return agreement.summary(results) or _without_drivers(results)


def _without_drivers(results: RunResults, *, ranges: bool = True) -> str:
    if results.faults and not ratio_rows(results):
        return pitfalls.summary(pitfalls.rows(results))
    if results.run.documented:
        return _claim_sentence(results, ranges=ranges)
    return measured.answer(results)


def short(results: RunResults) -> tuple[str, ...]:
    """The answer in a few lines; without the documented table where the run did not repeat it."""
    has_times = bool(timing_cells(results))
    found = [_without_drivers(results, ranges=not has_times), agreement.summary(results)]
    if has_times:
        found = [_short_documented(results.run.documented), _short_measured(results), *found]
    return tuple(f"{_capitalised(one)}." for one in found if one)


def _documented_ratios(points: Iterable[DocumentedPoint]) -> dict[int, float]:
    of = {(point.pattern, point.concurrency): point.makespan_s for point in points}
    return {
        level: of["sync", level] / seconds
        for (pattern, level), seconds in of.items()
        if pattern == "async" and ("sync", level) in of
    }


def _documented_sentence(points: Sequence[DocumentedPoint]) -> str:
    low, high = (formatting.printed(bound) for bound in CLAIM)
    claim = f"the documentation promises a {low} to {high} times improvement with async"
    parts = [
        f"{sync} s against {async_} s for {formatting.count(level)} concurrent requests"
        for level, sync, async_ in _documented_pairs(points)
    ]
    return f"{claim}, and its timing table says {formatting.listed(parts)}" if parts else claim


def _timing_sentences(results: RunResults) -> list[str]:
    cells = timing_cells(results)
    if not cells:
        return ["this run did not repeat the documented timing table"]
    return [
        _target_sentence(target, pattern, cells, results.run.documented)
        for pattern, targets in PATTERNS.items()
        for target in targets
    ]


def _target_sentence(
    target: str,
    pattern: str,
    cells: Iterable[CellResult],
    points: Iterable[DocumentedPoint],
) -> str:
    of_target = sorted(
        (cell for cell in cells if cell.target == target),
        key=lambda cell: cell.load.concurrency,
    )
    if not of_target:
        return f"{_SUBJECTS[target]} was not measured in this run"
    valid = {
        cell.load.concurrency: figures.makespan_s
        for cell in of_target
        if isinstance(figures := cell.figures, Figures) and figures.makespan_s is not None
    }
    parts = []
    if valid:
        parts.append(f"{_SUBJECTS[target]} took {_times(valid)}")
        documented = {p.concurrency: p.makespan_s for p in points if p.pattern == pattern}
        parts.append(_agreement(valid, documented, pattern))
    else:
        parts.append(f"no valid result of {_SUBJECTS[target]}")
    states = [
        f"at {formatting.count(cell.load.concurrency)} invalid: {wording.states(cell.validity)}"
        for cell in of_target
        if cell.load.concurrency not in valid
    ]
    return "; ".join(filter(None, [*parts, *states]))


def _agreement(measured: Mapping[int, float], documented: Mapping[int, float], pattern: str) -> str:
    both = [level for level in measured if level in documented]
    agreeing = [
        level for level in both if formatting.same_as_printed(measured[level], documented[level])
    ]
    if not both:
        return ""
    line = f"the documented {pattern} line"
    if not agreeing:
        return f"it does not match {line}"
    if len(agreeing) == len(measured):
        return f"it matches {line}"
    levels = formatting.listed(formatting.count(level) for level in agreeing)
    rest = "" if agreeing == both else " and no other level does"
    return f"it matches {line} at {levels}{rest}"


def _times(measured: Mapping[int, float]) -> str:
    first, *others = (
        (formatting.seconds(seconds), formatting.count(level))
        for level, seconds in measured.items()
    )
    start = f"{first[0]} for {first[1]} concurrent requests"
    return formatting.listed([start, *(f"{time} for {level}" for time, level in others)])


def _timing_ratio_sentence(results: RunResults) -> str:
    cells = timing_cells(results)
    found = sorted(
        (
            one
            for one in results.along("target")
            if cells
            and one.scenario == SCENARIO
            and one.metric == "makespan_s"
            and one.driver == cells[0].driver
            and {one.base.label, one.other.label} == {SYNC, ASYNC}
        ),
        key=lambda one: one.load.concurrency,
    )
    if not found:
        return ""
    parts = [_timing_ratio(one) for one in found]
    return f"compared with the default pool, async was {formatting.listed(parts)}"


def _timing_ratio(comparison: Comparison) -> str:
    level = formatting.count(comparison.load.concurrency)
    ratio, bounds = wording.oriented(comparison, ASYNC)
    if ratio is None:
        return f"not comparable at {level} ({'; '.join(comparison.reasons)})"
    note = wording.interval_note(bounds, comparison.rounds)
    times = formatting.number(ratio)
    if bounds is not None and not wording.is_clear(bounds):
        return f"not significantly faster or slower at {level} (ratio {times}, {note})"
    return f"{times} times as fast at {level} ({note})"


def _elsewhere_sentence(results: RunResults) -> str:
    anchors = {one.anchor for one in sections(results) if one.name == SCENARIO}
    rows = [row for row in ratio_rows(results) if row.anchor not in anchors]
    if len(rows) == 1:
        return next(iter(_rows_told(rows)))
    return f"in the other scenarios async {_counted(rows)}" if rows else ""


def _rows_told(rows: Sequence[RatioRow]) -> list[str]:
    """A sentence for each comparison, if there are few."""
    return [f"{row.title}, {row.load}: {_told(row)}" for row in rows if len(rows) <= _MOST_ROWS]


def _told(row: RatioRow) -> str:
    if row.ratio is None:
        return f"not comparable ({'; '.join(row.reasons)})"
    note = wording.interval_note(row.bounds, row.rounds)
    times = _TIMES[row.metric].words.format(times=formatting.number(row.ratio))
    if row.bounds is None:
        return f"async {times} ({note})"
    if not wording.is_clear(row.bounds):
        return f"no clear difference (async {times}, {note})"
    return f"async was {'faster' if row.ratio > 1 else 'slower'}, {times} ({note})"


def _counted(rows: Sequence[RatioRow], *, ranges: bool = True) -> str:
    """How often async was faster, slower, or neither; ranges of what is clear only."""
    clear = [row for row in rows if wording.is_clear(row.bounds)]
    faster = [row for row in clear if (row.ratio or 0) > 1]
    slower = [row for row in clear if row not in faster]
    alone = [row for row in rows if row.ratio is not None and row.bounds is None]
    without = [row for row in rows if row.ratio is None]
    unclear = len(rows) - len(clear) - len(alone) - len(without)
    named = (("faster", faster), ("slower", slower))
    parts = [
        f"was {word} in {len(of)}" + (f" ({_range(of)})" if ranges else "")
        for word, of in named
        if of
    ]
    if unclear:
        parts.append(f"showed no clear difference in {unclear}")
    if alone:
        parts.append(f"was measured in one round only in {len(alone)}")
    if without:
        parts.append(f"was not comparable in {len(without)}")
    return formatting.listed(parts)


def _range(rows: Sequence[RatioRow]) -> str:
    """The smallest and the largest ratio in each metric."""
    parts = []
    for metric, times in _TIMES.items():
        if ratios := [row.ratio for row in rows if row.metric == metric and row.ratio is not None]:
            ends = dict.fromkeys(formatting.number(end) for end in (min(ratios), max(ratios)))
            parts.append(times.words.format(times=" to ".join(ends)))
    return ", ".join(parts)


def _claim_sentence(results: RunResults, *, ranges: bool) -> str:
    rows = ratio_rows(results)
    if not rows:
        return _why_without_rows(results)
    if not any(row.ratio is not None for row in rows):
        return (
            f"no comparison of async with the default sync pool is conclusive ({len(rows)} tried)"
        )
    if len(rows) == 1:
        return f"compared with the default sync pool, {_told(rows[0])}"
    said = _counted(rows, ranges=ranges)
    sentence = f"of {len(rows)} comparisons with the default sync pool, async {said}"
    return sentence + (_reached(rows) if timing_cells(results) else "")


def _why_without_rows(results: RunResults) -> str:
    same = {(cell.target, cell.scenario, cell.load.label) for cell in results.cells}
    both = [
        cell
        for cell in results.cells
        if cell.target == ASYNC and (SYNC, cell.scenario, cell.load.label) in same
    ]
    scheduled = [cell.load.traits.unit for cell in both if cell.load.traits.is_scheduled]
    if REQUEST in scheduled:
        return (
            "async and sync were compared at fixed arrival rates; their maximum throughput was "
            "not measured"
        )
    if DELIVERY in scheduled:
        return (
            "async and sync published the same events to the same clients at fixed rates; "
            "throughput is not compared"
        )
    series = {fact.name for fact in results.run.scenarios if fact.sweep is not None}
    if any(cell.scenario in series for cell in both):
        return (
            "async and sync were compared within parameter series only, which the documented "
            "claim does not cover"
        )
    return "async and sync were not measured under the same load"


def _reached(rows: Sequence[RatioRow]) -> str:
    """How many reach what the documentation promises; empty where that is open."""
    verdicts = [_reaches(row.bounds, CLAIM[0]) for row in rows]
    least = formatting.printed(CLAIM[0])
    if reached := verdicts.count(True):
        return f"; {reached} reached the documented {least} times"
    return "" if None in verdicts else f"; none reached the documented {least} times"


def _reaches(bounds: Bounds | None, least: float) -> bool | None:
    """Whether a ratio is at least this large; None if its interval includes the limit."""
    if bounds is None or bounds[0] < least <= bounds[1]:
        return None
    return bounds[0] >= least


def _short_documented(points: Sequence[DocumentedPoint]) -> str:
    parts = [
        f"{formatting.count(level)} concurrent requests take {sync} s sync, {async_} s async"
        for level, sync, async_ in _documented_pairs(points)
    ]
    return f"documented: {'; '.join(parts)}" if parts else ""


def _documented_pairs(points: Iterable[DocumentedPoint]) -> list[tuple[int, str, str]]:
    of = {(point.pattern, point.concurrency): point.makespan_s for point in points}
    return [
        (level, formatting.printed(of["sync", level]), formatting.printed(seconds))
        for (pattern, level), seconds in of.items()
        if pattern == "async" and ("sync", level) in of
    ]


def _short_measured(results: RunResults) -> str:
    parts = []
    for row in timing_rows(results):
        figures = [f"{_short_time(cell)} {target}" for target, cell in row.measured.items()]
        if figures:
            parts.append(f"{formatting.count(row.concurrency)} take {', '.join(figures)}")
    return f"measured: {'; '.join(parts)}"


def _short_time(cell: CellResult) -> str:
    figures = cell.figures
    if isinstance(figures, Invalid):
        return wording.states(figures.validity)
    return formatting.seconds(figures.makespan_s)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
