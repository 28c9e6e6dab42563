"""Questions that are answered in one line, where there is no room for a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from loopmark.reports import formatting, questions
from loopmark.reports.questions import Row

Group: TypeAlias = tuple[Row, ...]

_BETTER, _WORSE, _ALIKE, _OPEN = range(4)


def details(found: Sequence[Row]) -> Iterator[tuple[Group, ...]]:
    """Groups for ever less room, from a line for each question on."""
    yield tuple((row,) for row in found)
    by_cells = _grouped(found, _of_cells)
    yield by_cells
    yield _grouped_again(by_cells, same=True)
    yield _grouped_again(_grouped(found, _of_figure), same=False)


def label(group: Group) -> str:
    """What a group is about: `create-fresh 10, 100`."""
    first = group[0]
    if len({row.topic for row in group}) > 1:
        return first.metric.heading
    if first.in_series:
        return " ".join([first.topic, *first.beside])
    return f"{first.topic} {', '.join(dict.fromkeys(row.size for row in group))}"


def leading(found: Sequence[Row]) -> tuple[Row, ...]:
    """Of each comparison the main figure, or the first that is asked about."""
    groups = _grouped(found, _of_cells)
    return tuple(next((row for row in of if row.is_main), of[0]) for of in groups)


def _grouped(
    found: Sequence[Row], key: Callable[[Row, Sequence[Row]], object]
) -> tuple[Group, ...]:
    groups: dict[object, list[Row]] = {}
    for row in found:
        groups.setdefault(key(row, found), []).append(row)
    return tuple(map(tuple, groups.values()))


def _of_cells(row: Row, _: Sequence[Row]) -> object:
    """What is asked about the same cells, or along the same series."""
    if row.in_series:
        return row.topic, row.cell.target, row.cell.driver, row.size, row.question.metric
    return row.question.base, row.question.other


def _of_figure(row: Row, found: Sequence[Row]) -> object:
    """The leading figure alone, and each figure beside it with those of other cells."""
    if row.in_series or row in leading(found):
        return _of_cells(row, found)
    return row.base, row.other, row.metric.subject


def _grouped_again(groups: Iterable[Group], *, same: bool) -> tuple[Group, ...]:
    """The same groups, but those of different loads as one; claims are for each load.

    Args:
        groups: The groups.
        same: Only those with the same answer: no better, or not settled.
    """
    merged: dict[object, list[Row]] = {}
    for group in groups:
        first, kind = group[0], _kind(group[0])
        key: object = first.question
        if len(group) == 1 and not first.claims and (not same or kind in {_ALIKE, _OPEN}):
            key = first.topic, first.base, first.other, first.question.metric, same and kind
        merged.setdefault(key, []).extend(group)
    return tuple(map(tuple, merged.values()))


def text(group: Group, *, named: bool = True) -> str:
    """What the questions of a group say together.

    Args:
        group: The questions.
        named: Whether both sides are named; otherwise somebody else has to.
    """
    first = group[0]
    if len(group) == 1:
        return questions.verdict(first, named=named)
    if first.in_series:
        return ", ".join(map(questions.short_verdict, group))
    if len({(row.question.base, row.question.other) for row in group}) == 1:
        # There is no room for more than a word on the figures beside the main one.
        beside = [questions.short_verdict(row, named=False) for row in group[1:]]
        return ", ".join([questions.verdict(first, named=named), *beside])
    kinds = [_kind(row) for row in group]
    if len(set(kinds)) == 1 and len({row.question.metric for row in group}) == 1:
        return _same(group, kinds[0], named=named)
    gain = first.metric.gain
    words = (gain, "slower" if gain == "faster" else "worse", f"no {gain}", "not settled")
    each = [
        f"{words[kind]} in {kinds.count(kind)}"
        for kind in (_BETTER, _WORSE, _ALIKE, _OPEN)
        if kind in kinds
    ]
    said = f"{formatting.listed(each)} of {len(group)}"
    return f"{first.other} against {first.base}: {said}" if named else said


def _same(group: Group, kind: int, *, named: bool) -> str:
    """The same answer to several questions, with an interval that covers all of theirs."""
    first = group[0]
    found = [row.comparison for row in group if row.comparison is not None]
    bounds = [one.ratio_ci for one in found if one.ratio_ci is not None]
    interval = ""
    if bounds:
        widest = min(low for low, _ in bounds), max(high for _, high in bounds)
        interval = f" ({formatting.factors(questions.spoken(first, widest))})"
    if kind == _OPEN or not bounds:
        return f"{questions.short_verdict(first, named=named)}{interval}"
    if kind == _ALIKE:
        least_sure = max(group, key=lambda row: row.gain_ci[1] if row.gain_ci else 0.0)
        return f"{questions.no_gain(least_sure, named=named)}{interval}"
    ratios = [one.ratio for one in found if one.ratio is not None]
    return f"{questions.multiple(first, *ratios, named=named)}{interval}"


def _kind(row: Row) -> int:
    bounds = row.gain_ci
    if row.result is None or not row.is_settled or bounds is None:
        return _OPEN
    if row.result.verdict in {"more", "less"}:
        return _BETTER if bounds[0] > 1 else _WORSE
    return _ALIKE
