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
    """The throughput of async divided by that of sync, under one load.

    Attributes:
        anchor: Id of the section in the page.
        title: Title of the scenario.
        load: The load in words.
        ratio: None when inconclusive.
        bounds: Its interval.
        rounds: Number of pairs of rounds.
        documented: The ratio in the documented timing table, where it has one.
        reasons: Why there is no ratio.
    """

    anchor: str
    title: str
    load: str
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
            if one.metric != "throughput_rps" or {one.base.label, one.other.label} != {SYNC, ASYNC}:
                continue
            ratio, bounds = wording.oriented(one, SYNC)
            load = wording.at_once(one.load)
            found.append(
                RatioRow(
                    section.anchor,
                    section.title,
                    f"{load}, {one.driver}" if several else load,
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
    if results.run.documented:
        found += [
            _documented_sentence(results.run.documented),
            *_timing_sentences(results),
            _timing_ratio_sentence(results),
            _elsewhere_sentence(results),
        ]
    else:
        found += measured.sentences(results)
    return tuple(f"{_capitalised(one)}." for one in found if one)


def answer(results: RunResults) -> str:
    """The answer in one sentence: does the measured advantage reach the documented one?

    For a run with several drivers: do they agree? Without documented figures: the results of the
    targets.
    """
    return f"{_capitalised(_answer(results))}."


def _answer(results: RunResults) -> str:
    return agreement.summary(results) or _without_drivers(results)


def _without_drivers(results: RunResults) -> str:
    if results.faults and not ratio_rows(results):
        return pitfalls.summary(pitfalls.rows(results))
    return _claim_sentence(results) if results.run.documented else measured.answer(results)


def short(results: RunResults) -> tuple[str, ...]:
    """The answer in a few lines; without the documented table where the run did not repeat it."""
    found = [_without_drivers(results), agreement.summary(results)]
    if timing_cells(results):
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
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if not ratios:
        return ""
    low, high = (formatting.number(bound) for bound in (min(ratios), max(ratios)))
    between = f"{low} times" if low == high else f"between {low} and {high} times"
    single = sum(row.ratio is not None and row.bounds is None for row in rows)
    unclear = sum(row.bounds is not None and not wording.is_clear(row.bounds) for row in rows)
    notes = []
    if unclear:
        notes.append(f"no significant difference in {unclear} of {len(ratios)} comparisons")
    if single:
        notes.append(f"{single} of {len(ratios)} rest on one round and may be chance")
    sentence = f"in the other scenarios async had {between} the throughput of sync"
    return "; ".join([sentence, *notes])


def _claim_sentence(results: RunResults) -> str:
    rows = ratio_rows(results)
    ratios = [row.ratio for row in rows if row.ratio is not None]
    least = formatting.printed(CLAIM[0])
    if not rows:
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
    if not ratios:
        return (
            f"no comparison of async with the default sync pool is conclusive ({len(rows)} tried)"
        )
    verdicts = [_reaches(row.bounds, CLAIM[0]) for row in rows if row.ratio is not None]
    parts = []
    if reached := verdicts.count(True):
        parts.append(f"reached {least} times the throughput in {reached}")
    if missed := verdicts.count(False):
        mark = "that" if reached else f"{least} times the throughput"
        parts.append(f"stayed below {mark} in {missed}")
    if inconclusive := verdicts.count(None) + len(rows) - len(ratios):
        parts.append(f"was inconclusive in {inconclusive}")
    many = "the one comparison" if len(rows) == 1 else f"{len(rows)} comparisons"
    return f"of {many} with the default sync pool, async {formatting.listed(parts)}"


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
