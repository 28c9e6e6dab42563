"""The conditions of a cell, over its rounds; and which of them are set aside."""

from __future__ import annotations

from collections.abc import Sequence

from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.conditions import Conditions, Pressure, Taken
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, RoundRecord
from loopmark.harness.vocabulary.thresholds import Thresholds


def set_aside(cell: Cell, records: Sequence[RoundRecord], thresholds: Thresholds) -> frozenset[int]:
    """The disturbed rounds of a cell, if as many others as were planned ran to their end."""
    ended = [one for one in records if one.driver and one.state in RAN_TO_THEIR_END]
    disturbed = frozenset(one.round for one in ended if one.is_disturbed(thresholds))
    return disturbed if len(ended) - len(disturbed) >= cell.rounds else frozenset()


def over_rounds(records: Sequence[RoundRecord]) -> Conditions | None:
    """The sums; None where a round does not have them."""
    found = [one.conditions for one in records if one.conditions is not None]
    if not found:
        return None
    groups = dict.fromkeys(taken.cpus for one in found for taken in one.taken)
    pressures = [one.pressure for one in found]
    return Conditions(
        seconds=sum(one.seconds for one in found),
        taken=tuple(
            _taken_of(cpus, [taken for one in found for taken in one.taken if taken.cpus == cpus])
            for cpus in groups
        ),
        pressure=Pressure(
            cpu_s=_sum([one.cpu_s for one in pressures]),
            memory_s=_sum([one.memory_s for one in pressures]),
            io_s=_sum([one.io_s for one in pressures]),
        ),
        throttled_s=_sum([one.throttled_s for one in found]),
        target_waited_s=_sum([one.target_waited_s for one in found]),
    )


def _taken_of(cpus: tuple[int, ...], found: Sequence[Taken]) -> Taken:
    return Taken(cpus, _sum([one.steal_s for one in found]), _sum([one.outside_s for one in found]))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
