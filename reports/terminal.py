"""Results for a terminal, printed after a run. Fits in eighty columns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from itertools import accumulate, compress
from typing import Literal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.question import QuestionResult
from loopmark.harness.vocabulary.record import RunRecord
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import (
    agreement,
    answer,
    columns,
    conditions,
    formatting,
    headline,
    objections,
    pitfalls,
    question_groups,
    questions,
    wording,
)
from loopmark.reports.agreement import DriverPair
from loopmark.reports.formatting import MISSING
from loopmark.reports.sections import Section, sections, several_drivers, with_bad_rounds


def render(results: RunResults, *, verbose: bool = False, below: int = 0) -> RenderableType:
    """The answers to the questions, or the headline, and a table per scenario as far as they fit.

    Those of a locustfile are all shown: nothing else says what its requests took.

    Args:
        results: Of the run.
        verbose: Whether all tables are shown, those of what answers questions as well.
        below: How many lines are printed below it.
    """
    parts: list[RenderableType] = []
    if results.run.interrupted:
        line = f"Interrupted: {wording.interrupted(results.run)}."
        parts.append(Text(line, style="bold yellow"))
    asked = {name for one in results.run.questions for name in (one.base, one.other)}
    cells = tuple(cell for cell in results.cells if verbose or cell.name not in asked)
    tables = _tables(replace(results, cells=cells)) if cells else []
    seen = [Text(row.line) for row in pitfalls.rows(results)]
    lines = MOST_LINES - below - sum(map(_height, seen))
    most = lines - bool(tables)
    said = _answers(results, most) if results.questions else _headline(results)
    if not (verbose or results.run.locustfiles):
        # A line for the empty one before the headline, and one for the tables that are left out.
        room = lines - 2 - sum(map(_height, [*parts, *said]))
        fitting = sum(height <= room for height in accumulate(map(_height, tables)))
        if left := len(tables) - fitting:
            tables = tables[:fitting]
            more = formatting.many(left, "more table")
            said.append(
                Text(f"{more} in the report; loopmark report --format text prints all", "dim")
            )
    said += seen
    between = [Text()] if tables and not results.questions else []
    return Group(*parts, *tables, *between, *said)


def _tables(results: RunResults) -> list[RenderableType]:
    several = several_drivers(results)
    return [
        *(Group(*_section(one, several_drivers=several)) for one in sections(results)),
        *(_agreement(pair) for pair in agreement.driver_pairs(results)),
    ]


def _headline(results: RunResults) -> list[RenderableType]:
    """The answer of a run without questions, and how far it goes."""
    doubts = (f"{one[:1].upper()}{one[1:]}." for one in _doubts(results))
    lines = [*headline.short(results), *doubts, *conditions.said(results)]
    return [Text(line) for line in lines]


MOST_LINES = 24
"""Maximum lines of what is shown: with one about the run itself they fill a terminal."""

WIDTH = 80
"""Columns of the terminal that they are laid out for."""


def _answers(results: RunResults, most_lines: int) -> list[RenderableType]:
    """The answer, a line for each question as far as there is room, and how much is settled."""
    rows = questions.rows(results.run, results.questions)
    head = [Text(" ".join(answer.sentences(results)), style="bold")]
    accounts = (f"{one[:1].upper()}{one[1:]}." for one in _accounts(results, rows))
    foot = [Text(" ".join([*accounts, *conditions.said(results)]))]
    room = most_lines - sum(map(_height, [*head, *foot]))
    return [*head, _fitting(rows, room), *foot]


def _accounts(results: RunResults, rows: Sequence[questions.Row]) -> list[str]:
    """How far the answers go."""
    lines = [one for one in (questions.settled(rows), questions.by_chance(rows)) if one]
    if any(row.has_one_pair for row in rows):
        lines.append(questions.ONE_PAIR)
    return [*lines, *_doubts(results)]


def _doubts(results: RunResults) -> list[str]:
    """How much is invalid, or does not count."""
    lines = [invalid] if (invalid := wording.invalid_by_state(results.unexpected)) else []
    if cells := with_bad_rounds(results):
        lines.append(wording.bad_rounds(cells))
    return lines


def settling(
    run: RunRecord, answers: Sequence[QuestionResult], most_lines: int = MOST_LINES
) -> RenderableType:
    """The questions of a run that is under way.

    Args:
        run: As far as it is.
        answers: Of its questions, as far as there are any.
        most_lines: How many lines there is room for.
    """
    rounds = {name: len(states) for name, states in run.round_states.items()}
    return _fitting(questions.rows(run, answers), min(most_lines, MOST_LINES), rounds)


def _fitting(
    rows: Sequence[questions.Row], room: int, pairs: Mapping[str, int] | None = None
) -> RenderableType:
    """The questions with as many lines as there is room for: one each, or several in one."""
    lines = list[Text]()
    for groups in question_groups.details(rows):
        lines = _lines(groups, pairs)
        if sum(map(_height, lines)) <= room:
            return Group(*lines)
    while len(lines) > 1 and sum(map(_height, lines)) >= room:
        lines.pop()
    return Group(*lines, Text("and more questions, in the report", "dim"))


def _lines(groups: Sequence[question_groups.Group], pairs: Mapping[str, int] | None) -> list[Text]:
    """A line for each group, below one that names both sides where several have the same."""
    by_sides: dict[tuple[str, str] | None, list[question_groups.Group]] = {}
    for group in groups:
        first = group[0]
        sides = None if first.in_series else (first.base, first.other)
        by_sides.setdefault(sides, []).append(group)
    lines = []
    for sides, of_sides in by_sides.items():
        named = sides is None or len(of_sides) == 1
        if sides is not None and not named:
            lines.append(Text(f"{sides[1]} against {sides[0]}", "bold"))
        for group in of_sides:
            said = _progress(group, pairs, named=named)
            said = said or question_groups.text(group, named=named)
            line = Text(f"{'' if named else '  '}{question_groups.label(group)}: ")
            lines.append(line.append(said, "" if _is_settled(group) else "yellow"))
    return lines


def _is_settled(group: question_groups.Group) -> bool:
    return all(row.is_settled for row in group)


def _progress(group: question_groups.Group, pairs: Mapping[str, int] | None, *, named: bool) -> str:
    """How many pairs there are, until there are as many as the questions get first."""
    if pairs is None:
        return ""
    done = min(
        min(pairs.get(row.question.base, 0), pairs.get(row.question.other, 0)) for row in group
    )
    needed = max(row.question.pairs for row in group)
    if done >= needed and all(row.result is not None for row in group):
        return ""
    sides = f"{group[0].other} against {group[0].base}, " if named and len(group) == 1 else ""
    return f"{sides}{min(done, needed)} of {formatting.many(needed, 'pair')}"


def _height(one: RenderableType) -> int:
    console = Console(width=WIDTH, file=StringIO())
    return len(console.render_lines(one, console.options))


MOST_REQUESTS = 20
"""Maximum rows of a locustfile's requests, the most frequent first: a file that puts an id into
each name would fill the terminal."""


def _section(section: Section, *, several_drivers: bool) -> list[RenderableType]:
    heading = Text(f"\n{section.title}", style="bold")
    heading.append(f"  {section.name}", style="dim")
    cost, primary = columns.cost(section.load), columns.headline(section.load)
    cpu = bool(columns.present((cost,), section.cells))
    within = ["95%"] * (not section.fans_out)
    names = ["target", *["driver"] * several_drivers]
    # No column for errors: a cell with any is invalid, and says so in words beneath.
    numbers = [*[section.swept] * bool(section.places), "at", primary.short, *within]
    numbers += ["p50", "p99", *[cost.short] * cpu, "valid"]
    groups = [
        [_row(section, cell, several_drivers=several_drivers, cpu=cpu) for cell in group]
        for group in section.groups
    ]
    rows = [row for group in groups for row in group]
    filled = [any(row[n].plain not in {"", MISSING} for row in rows) for n in range(len(rows[0]))]
    table = _table()
    for name in compress([*names, *numbers], filled):
        justify: Literal["left", "right"] = "left" if name in names else "right"
        table.add_column(name, justify=justify, no_wrap=name != section.swept)
    for group in groups:
        table.add_section()
        for row in group:
            table.add_row(*compress(row, filled))
    found: list[RenderableType] = [heading, table]
    found += [
        _doubt(section, cell, several_drivers=several_drivers)
        for cell in section.cells
        if not cell.validity.is_valid
    ]
    found += [
        _bad_rounds(cell, several_drivers=several_drivers)
        for cell in section.cells
        if cell.validity.is_valid and cell.validity.rounds
    ]
    found += [
        Padding(Text(f"{wording.series_sentence(one, section.swept)}."), (0, 0, 0, 2))
        for one in section.series
    ]
    if section.is_step_by_step:
        found.append(_steps(section, several_drivers=several_drivers))
    if not section.load.traits.has_dues:
        found += [_requests(cell) for cell in section.cells if columns.shown(cell).steps]
        found += [_errors(cell) for cell in section.cells if columns.errors(cell)]
    else:
        found += [
            _several_errors(cell, told, several_drivers=several_drivers)
            for cell in section.cells
            if (told := columns.several_errors(cell))
        ]
    return found


def _steps(section: Section, *, several_drivers: bool) -> RenderableType:
    """The times of every step, where these are the main figures."""
    table = _table()
    for name in ("target", *["driver"] * several_drivers, "at", "step"):
        table.add_column(name, no_wrap=True)
    for name in ("requests", "p50", "p95", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    for cell in section.cells:
        of = [cell.target, *[cell.driver] * several_drivers, _size(cell.load)]
        for step in columns.shown(cell).steps:
            found = step.latency_ms
            texts = map(formatting.milliseconds, (found.p50, found.p95, found.p99))
            style = "" if cell.validity.is_valid else "dim"
            row = [*of, step.step, formatting.count(step.requests), *texts]
            table.add_row(*(Text(text) for text in row), style=style)
    return Padding(Group(table, Text(section.steps_note, "dim")), (1, 0, 0, 0))


def _requests(cell: CellResult) -> RenderableType:
    """The requests of a locustfile's users, by name."""
    table = _table()
    table.add_column("request", overflow="fold")
    for name in ("requests", "errors", "p50", "p95", "p99"):
        table.add_column(name, justify="right", no_wrap=True)
    steps = columns.shown(cell).steps
    busiest = sorted(steps, key=lambda step: -step.requests)[:MOST_REQUESTS]
    for step in [step for step in steps if step in busiest]:
        found = step.latency_ms
        texts = map(formatting.milliseconds, (found.p50, found.p95, found.p99))
        counts = formatting.count(step.requests), formatting.count(step.errors)
        table.add_row(*(Text(text) for text in (step.step, *counts, *texts)))
    notes = [Text(f"{note}.", "dim") for note in columns.client_notes(cell)]
    if left_out := len(steps) - len(busiest):
        more = f"and {formatting.count(left_out)} more kinds of request, in the report"
        notes.insert(0, Text(more, "dim"))
    return Padding(Group(table, *notes), (1, 0, 0, 0))


def _errors(cell: CellResult) -> RenderableType:
    """Errors by kind, with one example; the page has more."""
    table = _table()
    table.add_column("kind of error", no_wrap=True)
    table.add_column("how many", justify="right", no_wrap=True)
    table.add_column("for example", overflow="fold")
    for kind, many, examples in columns.errors(cell):
        table.add_row(*map(Text, (kind, many, next(iter(examples), ""))))
    return Padding(table, (1, 0, 0, 0))


def _agreement(pair: DriverPair) -> RenderableType:
    """Two drivers in the main figure; the page has the others."""
    table = _table()
    for name in ("scenario", "target"):
        table.add_column(name, no_wrap=True)
    for name in ("at", pair.base, pair.other, "ratio", "95%"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in pair.groups:
        one = group.main
        suffix = "/s" if one.metric == "throughput_rps" else ""
        figures = [text if text == MISSING else text + suffix for text in agreement.figures(one)]
        texts = [one.scenario, one.target, _size(one.load), *figures, formatting.number(one.ratio)]
        interval = formatting.ratio_interval(one.ratio_ci).replace(" to ", MISSING)
        style = "bold yellow" if one.is_clear else ""
        table.add_row(*map(Text, texts), Text(interval, style=style))
    heading = Text(f"\n{agreement.TITLE}", style="bold")
    heading.append(f"  {pair.other} / {pair.base}", style="dim")
    return Group(heading, table)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _row(section: Section, cell: CellResult, *, several_drivers: bool, cpu: bool) -> list[Text]:
    valid = cell.validity.is_valid
    figures = columns.shown(cell)
    column = columns.headline(cell.load)
    at = section.at(cell)
    # How far the reach and the knee of a fan-out scatter is not known, and room is scarce.
    within = (
        [] if section.fans_out else [columns.interval(column, figures).replace(" to ", MISSING)]
    )
    cost = columns.text(columns.cost(cell.load), figures)
    texts = [
        cell.target,
        *([cell.driver] if several_drivers else []),
        *([] if at is None else [formatting.level(at)]),
        _size(cell.load),
        columns.text(column, figures),
        *within,
        formatting.milliseconds(figures.latency_ms.p50),
        formatting.milliseconds(figures.latency_ms.p99),
        *([cost] if cpu else []),
    ]
    style = "" if valid else "dim"
    row = [Text(text, style=style) for text in texts]
    row.append(Text("yes", style="green") if valid else Text("no", style="bold yellow"))
    return row


def _doubt(section: Section, cell: CellResult, *, several_drivers: bool) -> RenderableType:
    driver = f", {cell.driver}" if several_drivers else ""
    at = section.at(cell)
    swept = "" if at is None else f"{section.swept} = {formatting.level(at)}, "
    text = Text(f"{cell.target} at {swept}{_size(cell.load)}{driver}: ")
    text.append(wording.states(cell.validity), style="bold yellow")
    if reasons := objections.sentences(cell.validity):
        text.append(f", {reasons[0]}")
        if more := len(reasons) - 1:
            text.append(f" (and {more} more)", style="dim")
    return Padding(text, (0, 0, 0, 2))


def _bad_rounds(cell: CellResult, *, several_drivers: bool) -> RenderableType:
    text = Text(f"{wording.cell_label(cell, driver=several_drivers)}: ")
    text.append("; ".join(objections.of_rounds(cell.validity)))
    return Padding(text, (0, 0, 0, 2))


def _several_errors(cell: CellResult, told: str, *, several_drivers: bool) -> RenderableType:
    text = Text(f"{wording.cell_label(cell, driver=several_drivers)} failed: {told}")
    return Padding(text, (0, 0, 0, 2))


def _size(load: Load) -> str:
    """As a short text."""
    return formatting.filled(load.words.short or load.words.size, load).replace(" to ", MISSING)
