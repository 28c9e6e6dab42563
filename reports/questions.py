"""The questions of a run and their answers, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.metrics import Metric
from loopmark.harness.vocabulary.metrics import metric as metric_of
from loopmark.harness.vocabulary.question import Question, QuestionResult
from loopmark.harness.vocabulary.record import RunRecord
from loopmark.harness.vocabulary.scenario import Sweep
from loopmark.reports import formatting, wording
from loopmark.reports.formatting import Bounds

_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Row:
    """A question in words.

    Attributes:
        question: What was asked.
        result: Its answer; None before there is any.
        cell: The cell that is compared with the base.
        topic: Name of the scenario, or of the series.
        title: Its title.
        base: What the denominator is called: a target, or a number of the series.
        other: What the numerator is called.
        beside: What else tells it from other questions: of places that are compared, their target;
            of others within a series, their place; and the driver where a scenario has several.
    """

    question: Question
    result: QuestionResult | None
    cell: Cell
    topic: str
    title: str
    base: str
    other: str
    beside: tuple[str, ...] = ()

    @property
    def metric(self) -> Metric:
        """Its metric, as it is worded under this load."""
        return metric_of(self.question.metric, self.cell.load.traits)

    @property
    def is_main(self) -> bool:
        """Whether it is about the main figure of its load."""
        return self.question.metric == self.cell.load.traits.main

    @property
    def in_series(self) -> bool:
        """Whether it is about a place in a series, answered together with the others."""
        return self.question.axis == "place"

    @property
    def load(self) -> str:
        """The load and what else it is about, as part of a sentence."""
        return ", ".join([wording.at_once(self.cell.load), *self.beside])

    @property
    def size(self) -> str:
        """The same where there is little room."""
        words = self.cell.load.words
        size = formatting.filled(words.short or words.size, self.cell.load)
        return " ".join([size, *self.beside])

    @property
    def comparison(self) -> Comparison | None:
        """The two cells."""
        return None if self.result is None else self.result.comparison

    @property
    def is_settled(self) -> bool:
        """Whether there is an answer."""
        return self.result is not None and self.result.is_settled

    @property
    def gain(self) -> float | None:
        """How many times better the other one is; below 1 it is worse."""
        ratio = None if self.comparison is None else self.comparison.ratio
        return 1 / ratio if ratio is not None and self.metric.better == "less" else ratio

    @property
    def gain_ci(self) -> Bounds | None:
        """Its interval."""
        bounds = None if self.comparison is None else self.comparison.ratio_ci
        return _inverted(bounds) if bounds and self.metric.better == "less" else bounds

    @property
    def claims(self) -> tuple[float, ...]:
        """The gains that somebody claims."""
        claims = [claim for claim in self.question.thresholds if claim != 1]
        less = self.metric.better == "less"
        return tuple(sorted(1 / claim if less else claim for claim in claims))

    @property
    def has_one_pair(self) -> bool:
        """Whether its interval comes from the scatter of like comparisons alone."""
        found = self.comparison
        return found is not None and found.rounds == 1 and found.ratio_ci is not None


def rows(run: RunRecord, answers: Sequence[QuestionResult] = ()) -> tuple[Row, ...]:
    """The questions of a run in its order, with their answers as far as there are any."""
    cells = {cell.name: cell for cell in run.cells}
    titles = {fact.name: fact.title for fact in run.scenarios}
    places = {fact.name: fact.sweep for fact in run.scenarios if fact.sweep is not None}
    results = {result.question: result for result in answers}
    drivers: dict[str, set[str]] = {}
    for cell in run.cells:
        drivers.setdefault(cell.scenario, set()).add(cell.driver)
    found = []
    for question in run.questions:
        base, other = cells[question.base], cells[question.other]
        place = places.get(other.scenario)
        found.append(
            Row(
                question=question,
                result=results.get(question),
                cell=other,
                topic=place.series if place else other.scenario,
                title=place.title if place else titles.get(other.scenario, other.scenario),
                base=_called(question, base, places),
                other=_called(question, other, places),
                beside=(
                    *_beside(question, other, place),
                    *([other.driver] if len(drivers[other.scenario]) > 1 else []),
                ),
            )
        )
    return tuple(found)


def _beside(question: Question, cell: Cell, place: Sweep | None) -> Iterator[str]:
    if question.axis == "place":
        yield cell.target
    elif place is not None:
        yield f"{place.of} {formatting.level(place.at)}"


def _called(question: Question, cell: Cell, places: Mapping[str, Sweep]) -> str:
    if question.axis == "place" and cell.scenario in places:
        return formatting.level(places[cell.scenario].at)
    return {
        "target": cell.target,
        "driver": cell.driver,
        "disturbance": cell.load.label,
        "place": cell.scenario,
    }[question.axis]


def verdict(row: Row, *, named: bool = True) -> str:
    """The answer in a few words: `async is 8.7 times as fast as sync (8.1 to 9.3)`.

    Args:
        row: The question.
        named: Whether both sides are named; otherwise somebody else has to.
    """
    result = row.result
    if result is None:
        return "not measured yet"
    found = result.comparison
    if found.ratio is None or found.ratio_ci is None or result.verdict == "open":
        return f"{_unsettled(row, named=named)}: {_open(row, result)}"
    interval = f"({formatting.factors(spoken(row, found.ratio_ci))}{_pairs(row)})"
    return f"{short_verdict(row, named=named)} {interval}{_on_claims(row)}"


def short_verdict(row: Row, *, named: bool = True) -> str:
    """The answer without its interval."""
    found, result = row.comparison, row.result
    if found is None or found.ratio is None or result is None or result.verdict == "open":
        return _unsettled(row, named=named)
    if result.verdict in {"more", "less"}:
        return multiple(row, found.ratio, named=named)
    return no_gain(row, named=named)


def no_gain(row: Row, *, named: bool = True) -> str:
    """That the other one is not better, or that they hardly differ."""
    bounds = row.gain_ci
    if bounds is not None and bounds[1] < 1 + row.question.within:
        said = f"no {row.metric.gain}"
        return f"{row.other} is {said} than {row.base}" if named else said
    said = "no clear difference" + ("" if row.is_main else f" in {row.metric.subject}")
    return f"{said} between {row.other} and {row.base}" if named else said


def multiple(row: Row, *ratios: float, named: bool = True) -> str:
    """One ratio as a multiple, or several from the least to the most."""
    low, high = spoken(row, (min(ratios), max(ratios)))
    times = " to ".join(dict.fromkeys([formatting.factor(low), formatting.factor(high)]))
    said = _brief(row).format(times=times, speed=times)
    if not named:
        return said
    verb, of = ("is", "as") if _is_speed(row) else ("has", "of")
    return f"{row.other} {verb} {said} {of} {row.base}"


def _brief(row: Row) -> str:
    return row.metric.brief or f"{{times}} times {row.metric.subject}"


def _is_speed(row: Row) -> bool:
    return "{speed}" in _brief(row)


def settled(found: Sequence[Row]) -> str:
    """How many of the questions are settled."""
    many = sum(row.is_settled for row in found)
    # Questions about the same cells share their rounds.
    needs: dict[tuple[str, str], float] = {}
    for row in found:
        if row.result is not None and row.result.needs_s is not None:
            cells = row.question.base, row.question.other
            needs[cells] = max(needs.get(cells, 0.0), row.result.needs_s)
    needed_s = sum(needs.values())
    if len(found) == 1:
        sentence, rest = f"the question is{'' if many else ' not'} settled", "it"
    else:
        sentence = f"{many} of {len(found)} questions are settled"
        rest = "others" if many else "some of them"
    if many == len(found) or not needed_s:
        return sentence
    return f"{sentence}; about {_time(needed_s)} more would settle {rest}"


def by_chance(found: Iterable[Row]) -> str:
    """How many differences are expected where there are none; empty without intervals."""
    alone = [row for row in found if row.gain_ci is not None and row.question.family == 1]
    if not alone:
        return ""
    expected = f"{_MISSES * len(alone):.1f}"
    return f"expected false differences: {expected} of {len(alone)}"


_MISSES = 0.05
"""Of 95% intervals, those that exclude the true value."""

ONE_PAIR = "one pair: the interval comes from the scatter of like comparisons"
"""The note on a ratio of a single pair of rounds."""


def _open(row: Row, result: QuestionResult) -> str:
    found = result.comparison
    if found.ratio is None:
        return "; ".join(found.reasons) or "no figures"
    if found.ratio_ci is None:
        return f"{formatting.factor(spoken(row, (found.ratio, found.ratio))[0])} in one pair"
    parts = [f"{formatting.factors(spoken(row, found.ratio_ci))}{_pairs(row)}"]
    if result.needs_s:
        parts.append(f"about {_time(result.needs_s)} more")
    return ", ".join(parts)


def _unsettled(row: Row, *, named: bool) -> str:
    about = [] if row.is_main else [row.metric.subject]
    sides = [f"{row.other} against {row.base}"] if named else []
    return " ".join(filter(None, (" of ".join([*about, *sides]), "not settled")))


def _pairs(row: Row) -> str:
    return "; one pair" if row.has_one_pair else ""


def _on_claims(row: Row) -> str:
    """What the interval says of the claims: `, at least 10 times, below 100 times`."""
    bounds = row.gain_ci
    assert bounds is not None
    reached = [claim for claim in row.claims if claim <= bounds[0]]
    missed = [claim for claim in row.claims if claim > bounds[1]]
    if bounds[0] <= 1:
        missed = []  # Which goes without saying.
    parts = [f"at least {formatting.level(claim)} times" for claim in reached[-1:]]
    parts += [f"below {formatting.level(claim)} times" for claim in missed[:1]]
    parts += [
        f"{formatting.level(claim)} times not settled"
        for claim in row.claims
        if bounds[0] < claim <= bounds[1]
    ]
    return "".join(f", {part}" for part in parts)


def spoken(row: Row, bounds: Bounds) -> Bounds:
    """Ratios as the metric's sentence takes them."""
    return _inverted(bounds) if _is_speed(row) else bounds


def _inverted(bounds: Bounds) -> Bounds:
    return 1 / bounds[1], 1 / bounds[0]


def _time(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return formatting.many(max(1, round(seconds)), "second")
    return formatting.many(round(seconds / _MINUTE_S), "minute")
