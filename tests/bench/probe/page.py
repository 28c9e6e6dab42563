"""What a document says of an outcome: a section of its own. Pure, but for its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.bench.probe.corpus_entries import ENTRIES, GUILTY, STARVED, kind_of
from tests.bench.probe.cost import Cost
from tests.bench.probe.outcome import Outcome
from tests.bench.probe.scoring import Score, score, total
from tests.bench.ratios import ratio_over_rounds

NOTHING = "-"
MARKDOWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True)
class Row:
    """A tool on a loop.

    Attributes:
        name: With the loop.
        total: Over all entries.
        by_entry: For each entry of the corpus; None where it was not measured.
        cost: CPU per request with it over that without it, with its interval.
    """

    name: str
    total: Score
    by_entry: dict[str, Score | None]
    cost: str


def with_section(document: str, section: str) -> str:
    """A document with this section: in the place of the one with its heading, or at the end."""
    heading, _, _ = section.partition("\n")
    before, old, rest = document.partition(f"{heading}\n")
    _, mark, after = rest.partition("\n## ")
    return (
        f"{before.rstrip()}\n\n{section.rstrip()}\n{mark}{after}"
        if old
        else (f"{document.rstrip()}\n\n{section.rstrip()}\n")
    )


def section(outcome: Outcome) -> str:
    """Everything, as a section of `docs/probe.md`."""
    text = MARKDOWN.get_template("page.md.jinja").render(
        outcome=outcome,
        rows=rows(outcome),
        entries=[(entry, kind_of(entry)) for entry in ENTRIES],
        share=share,
        kinds=kinds,
        entry_cell=entry_cell,
        starved=starved(outcome),
    )
    return f"{text.rstrip()}\n"


def starved(outcome: Outcome) -> str:
    """How long requests took while the host was starved."""
    took_ms = [
        (block.ended_ns - block.began_ns) / 1e6
        for trial in outcome.trials
        if trial.entry == STARVED
        for block in trial.blocks
    ]
    return f"{median(took_ms):.0f} ms, up to {max(took_ms):.0f} ms" if took_ms else NOTHING


def rows(outcome: Outcome) -> list[Row]:
    """The tools in the order in which they were tried."""
    pairs = dict.fromkeys((one.tool, one.loop) for one in outcome.trials)
    return [_row(outcome, tool, loop) for tool, loop in pairs]


def _row(outcome: Outcome, tool: str, loop: str) -> Row:
    scores = {
        trial.entry: score(trial, GUILTY)
        for trial in outcome.trials
        if (trial.tool, trial.loop) == (tool, loop)
    }
    costs = [one for one in outcome.costs if (one.tool, one.loop) == (tool, loop)]
    return Row(
        name=f"{tool}, {loop}",
        total=total(list(scores.values())),
        by_entry={entry: scores.get(entry) for entry in ENTRIES},
        cost=_percent(costs),
    )


def _percent(costs: Sequence[Cost]) -> str:
    ratio = ratio_over_rounds(costs[0].with_it_us, costs[0].without_us) if costs else None
    if ratio is None:
        return NOTHING
    mean, interval = ratio
    text = f"{100 * (mean - 1):+.1f}%"
    if interval is None:
        return text
    low, high = interval
    return f"{text} ({100 * (low - 1):+.1f}% to {100 * (high - 1):+.1f}%)"


def share(count: int, of: int) -> str:
    """How many of how many, and in percent."""
    return f"{count} of {of} ({100 * count / of:.0f}%)" if of else NOTHING


def kinds(score: Score) -> str:
    """How often the kind was right; nothing for a tool that says none."""
    return NOTHING if score.right_kind is None else share(score.right_kind, score.blocks)


def entry_cell(score: Score | None) -> str:
    """One entry of one tool: lines and kinds that were right, or accusations that were false."""
    if score is None:
        return NOTHING
    if not score.blocks:
        return f"{score.false} accused"
    kind = NOTHING if score.right_kind is None else score.right_kind
    return f"{score.seen} / {score.right_line} / {kind}"
