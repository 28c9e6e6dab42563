"""The questions of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from loopmark.harness.planning.plan import Ask, Plan
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.question import Question


def questions_of(
    plan: Plan, cells: Iterable[Cell], places: Mapping[str, float]
) -> tuple[Question, ...]:
    """The questions of a plan, in its order.

    Args:
        plan: The plan.
        cells: Those that are measured: a question about any other is left out.
        places: By scenario of a series: the number in which it differs from the others.
    """
    names = {cell.name for cell in cells}
    found = (
        question
        for ask in plan.question
        for question in (_along(ask, places) if ask.series else _between_targets(ask))
        if {question.base, question.other} <= names
    )
    return tuple(dict.fromkeys(found))


def _between_targets(ask: Ask) -> Iterator[Question]:
    base, *others = ask.targets
    for scenario in ask.scenarios:
        for load in ask.loads:
            for driver in ask.drivers:
                for other in others:
                    yield from _questions(
                        ask,
                        load,
                        _name(scenario, base, load, driver),
                        _name(scenario, other, load, driver),
                    )


def _along(ask: Ask, places: Mapping[str, float]) -> Iterator[Question]:
    """Each scenario of a series against the one before it: is more better still?"""
    ordered = sorted(ask.scenarios, key=lambda name: places[name])
    for load in ask.loads:
        for target in ask.targets:
            for driver in ask.drivers:
                for before, after in pairwise(ordered):
                    yield from _questions(
                        ask,
                        load,
                        _name(before, target, load, driver),
                        _name(after, target, load, driver),
                    )


def _questions(ask: Ask, load: Load, base: str, other: str) -> Iterator[Question]:
    for metric in ask.metrics or (load.traits.main,):
        yield Question(
            metric=metric,
            base=base,
            other=other,
            axis="place" if ask.series else "target",
            thresholds=tuple(sorted({1.0, *ask.thresholds})),
            pairs=ask.pairs,
            within=ask.within,
            family=len(ask.scenarios) - 1 if ask.series else 1,
        )


def _name(scenario: str, target: str, load: Load, driver: str) -> str:
    return Cell(scenario=scenario, target=target, load=load, driver=driver, rounds=1).name
