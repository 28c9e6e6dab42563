"""Results as Markdown: for a pull request, a wiki or a terminal."""

import re
from collections.abc import Iterable, Sequence

from harness.vocabulary.result import CellResult, RunResults
from reports import columns, headline, quantities, wording
from reports.columns import Column
from reports.sections import Section, doubtful, sections

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&])")


def render(results: RunResults) -> str:
    """The results as GitHub-flavoured Markdown."""
    run = results.run
    blocks = [
        f"# {_escaped(run.title)}",
        _escaped(
            f"Run {run.run_id}, plan {run.plan}, {quantities.moment(run.started)}, "
            f"{run.machine.cpu}, {run.machine.cores} cores."
        ),
        *_warnings(results),
        f"**{_escaped(headline.answer(results))}**",
        _bullets(headline.sentences(results)),
    ]
    several = len({cell.driver for cell in results.cells}) > 1
    for section in sections(results):
        blocks += _section(section, several_drivers=several)
    return "\n\n".join(blocks) + "\n"


def _warnings(results: RunResults) -> list[str]:
    blocks = []
    if results.run.interrupted:
        blocks.append("**This run was interrupted: it ended before its plan was done.**")
    if cells := doubtful(results):
        blocks.append(f"**{len(cells)} of {len(results.cells)} cells may not be believed:**")
        blocks.append(
            _bullets(
                f"{cell.name}: {'; '.join([cell.validity.state, *cell.validity.reasons])}"
                for cell in cells
            )
        )
    return blocks


def _section(section: Section, *, several_drivers: bool) -> list[str]:
    blocks = [f"## {_escaped(section.title)}"]
    if section.description:
        blocks.append(_escaped(section.description))
    shown = (*columns.answers(burst=section.burst), columns.CPU)
    headings = ["Target", "At once", *(column.heading for column in shown), "Validity"]
    if several_drivers:
        headings.insert(2, "Driver")
    rows = [_row(cell, shown, several_drivers=several_drivers) for cell in section.cells]
    blocks.append(_table(headings, rows))
    metric = "makespan_s" if section.burst else "throughput_rps"
    main = [one for one in section.comparisons if one.metric == metric]
    if main:
        blocks.append(
            _bullets(
                f"{wording.at_once(one.load)}{f', {one.driver}' if several_drivers else ''}: "
                f"{wording.comparison_sentence(one)}"
                for one in main
            )
        )
    return blocks


def _row(cell: CellResult, shown: Sequence[Column], *, several_drivers: bool) -> list[str]:
    figures = [
        f"{column.text(cell)} ({within})"
        if (within := column.interval(cell))
        else column.text(cell)
        for column in shown
    ]
    found = [cell.target, quantities.count(cell.load.concurrency), *figures, wording.state(cell)]
    if several_drivers:
        found.insert(2, cell.driver)
    return found


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    # Figures to the right, words to the left.
    rule = ["---" if name in {"Target", "Driver", "Validity"} else "---:" for name in headings]
    lines = [_line(headings), f"| {' | '.join(rule)} |", *map(_line, rows)]
    return "\n".join(lines)


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(map(_escaped, texts))} |"


def _bullets(texts: Iterable[str]) -> str:
    return "\n".join(f"- {_escaped(text)}" for text in texts)


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
