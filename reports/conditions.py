"""In words: what others took of the processors, and which rounds that cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from loopmark.harness.vocabulary.conditions import Conditions
from loopmark.harness.vocabulary.figures import RoundResult
from loopmark.harness.vocabulary.record import Pinning, ProcessorFacts, RunRecord
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import formatting

_ENOUGH_PROCESSORS = 2
"""One for the driver, one for the target."""

_MATERIAL_SHARE = 0.01
"""Of time: less is not worth a line."""

_BUSY = 0.85
"""Share of its processors from which the database may be what limits a target."""

_LOCKED = 0.25
"""Share of statements that wait for a lock, from which locks may be it."""


def disturbed(results: RunResults) -> str:
    """How many rounds were disturbed, on which side, and what became of them; empty without any."""
    rounds = [(cell.target, one) for cell in results.cells for one in _rounds(cell)]
    found = [(target, one) for target, one in rounds if one.disturbed]
    if not found:
        return ""
    sides = Counter(target for target, _ in found)
    by_side = ", ".join(f"{target} {count}" for target, count in sorted(sides.items()))
    aside = sum(one.set_aside for _, one in found)
    left = len(found) - aside
    became = [f"{aside} {_was(aside)} set aside, as others were measured instead"] if aside else []
    if left:
        counting = "counts" if left == 1 else "count"
        became.append(f"{left} {counting}, as too few undisturbed ones were measured")
    return (
        f"others took the processors during {len(found)} of {_many(len(rounds))} ({by_side}): "
        f"{'; '.join(became)}"
    )


def holds_while(results: RunResults) -> str:
    """Under which conditions the answers hold, if others took processors in most of the rounds.

    What others take does not cost all targets the same (docs/conclusions.md), so a ratio holds for
    what was taken.
    """
    rounds = [one for cell in results.cells for one in _rounds(cell) if one.counts]
    disturbed = [one.conditions for one in rounds if one.disturbed and one.conditions is not None]
    shares = [one.outside_share for one in disturbed if one.outside_share is not None]
    if not shares or 2 * len(disturbed) <= len(rounds):
        return ""
    return f"this holds while others take about {formatting.share(median(shares))} of a processor"


def shared(run: RunRecord) -> str:
    """What driver and target have to share; empty if each has a core and no quota stops both."""
    facts = run.machine.processors
    if facts is None or not run.has_launched:
        return ""
    parts = []
    if facts.quota is not None and facts.quota < _ENOUGH_PROCESSORS:
        parts.append(f"a quota of {facts.quota:g} processors")
    if len(facts.cores) == 1:
        parts.append("one processor" if len(facts.cores[0]) == 1 else "the threads of one core")
    return f"driver and target share {formatting.listed(parts)}" if parts else ""


def said(results: RunResults) -> tuple[str, ...]:
    """All that is said of a run's conditions, as sentences."""
    found = (shared(results.run), disturbed(results), not_reported(results))
    return tuple(f"{one[:1].upper()}{one[1:]}." for one in found if one)


def not_reported(results: RunResults) -> str:
    """What this machine does not tell of the conditions, once; empty if it tells everything."""
    missing = dict.fromkeys(
        what
        for cell in results.cells
        for one in _rounds(cell)
        if one.conditions is not None
        for what in one.conditions.missing
    )
    return f"not reported on this machine: {', '.join(missing)}" if missing else ""


def of_cell(cell: CellResult, pinning: Pinning | None = None) -> str:
    """The conditions of a cell, where they matter; else empty.

    Args:
        cell: The cell.
        pinning: Of the run: whether the database has processors of its own.
    """
    rounds = _rounds(cell)
    parts = []
    if aside := sum(one.set_aside for one in rounds):
        parts.append(f"{aside} disturbed {'round' if aside == 1 else 'rounds'} set aside")
    if left := sum(one.disturbed and not one.set_aside for one in rounds):
        parts.append(f"{left} of {_many(len(rounds) - aside)} disturbed")
    found = cell.figures_despite(cell.validity).conditions
    if found is not None:
        parts += _losses(found, was_disturbed=left > 0)
    return "; ".join([*parts, *_ceilings(cell, pinning)])


def of_cells(
    cells: Sequence[CellResult], pinning: Pinning | None = None
) -> tuple[tuple[CellResult, str], ...]:
    """The cells whose conditions matter; the arguments are those of `of_cell`."""
    return tuple((cell, text) for cell in cells if (text := of_cell(cell, pinning)))


def processors(facts: ProcessorFacts) -> str:
    """What limits the processors of a machine; empty without a limit."""
    parts = []
    if facts.quota is not None:
        parts.append(f"a quota of {facts.quota:g} processors")
    siblings = [core for core in facts.cores if len(core) > 1]
    if siblings:
        parts.append(f"SMT siblings {' '.join('+'.join(map(str, core)) for core in siblings)}")
    if facts.steal_share:
        parts.append(f"steal {formatting.share(facts.steal_share)} since the system started")
    if facts.governor:
        parts.append(f"frequency governor {facts.governor}")
    return ", ".join(parts)


def _losses(found: Conditions, *, was_disturbed: bool) -> Iterator[str]:
    if found.outside_share is not None and was_disturbed:
        yield (
            f"processes outside the run took {formatting.share(found.outside_share)} of the "
            "processors of one side"
        )
    if found.steal_share is not None and found.steal_share > _MATERIAL_SHARE:
        yield f"the hypervisor took {formatting.share(found.steal_share)} of the processors"
    throttled_s = found.throttled_s or 0.0
    if throttled_s > _MATERIAL_SHARE * found.seconds:
        yield (
            f"a quota stopped processes for {formatting.seconds(throttled_s)} in "
            f"{formatting.seconds(found.seconds)}"
        )


def _ceilings(cell: CellResult, pinning: Pinning | None) -> Iterator[str]:
    """Where the database may be what is measured, and not the target.

    Of its processors only if it has some of its own, as on three or more.
    """
    use = cell.figures_despite(cell.validity).database_use
    own = set(pinning.database) - set(pinning.target) if pinning is not None else set()
    if own and use.cpu_fraction is not None and use.cpu_fraction > _BUSY * len(own):
        busy = formatting.share(use.cpu_fraction / len(own))
        yield f"the database used {busy} of its processors, and may be the limit"
    # Less than one at a time is a few readings of a short round.
    if use.waiting is not None and use.active and use.waiting > max(1.0, _LOCKED * use.active):
        locked = formatting.share(use.waiting / use.active)
        yield f"{locked} of the statements waited for a lock, which may be the limit"


def _rounds(cell: CellResult) -> tuple[RoundResult, ...]:
    return cell.figures_despite(cell.validity).per_round


def _many(rounds: int) -> str:
    return f"{formatting.count(rounds)} {'round' if rounds == 1 else 'rounds'}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
