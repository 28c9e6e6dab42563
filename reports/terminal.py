"""Results for a terminal, printed after a run. Fits in eighty columns."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import agreement, columns, formatting, headline, objections, wording
from loopmark.reports.agreement import DriverPair
from loopmark.reports.formatting import MISSING
from loopmark.reports.sections import Section, sections, several_drivers


def render(results: RunResults) -> RenderableType:
    """The headline, and a table per scenario."""
    several = several_drivers(results)
    parts: list[RenderableType] = []
    if results.run.interrupted:
        line = f"Interrupted: {wording.interrupted(results.run)}."
        parts.append(Text(line, style="bold yellow"))
    for section in sections(results):
        parts += _section(section, several_drivers=several)
    parts += [_agreement(pair) for pair in agreement.driver_pairs(results)]
    parts.append(Text())
    parts += [Text(line) for line in headline.short(results)]
    return Group(*parts)


MOST_REQUESTS = 20
"""Maximum rows of a locustfile's requests, the most frequent first: a file that puts an id into
each name would fill the terminal."""


def _section(section: Section, *, several_drivers: bool) -> list[RenderableType]:
    heading = Text(f"\n{section.title}", style="bold")
    heading.append(f"  {section.name}", style="dim")
    table = _table()
    table.add_column("target", no_wrap=True)
    if several_drivers:
        table.add_column("driver", no_wrap=True)
    if section.places:
        table.add_column(section.swept, justify="right")
    table.add_column("at", justify="right", no_wrap=True)
    cost, primary = columns.cost(section.load), columns.headline(section.load)
    cpu = bool(columns.present((cost,), section.cells))
    within = ["95%"] * (not section.fans_out)
    figures = (primary.short, *within, "p50", "p99", *[cost.short] * cpu)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    # No column for errors: a cell with any is invalid, and says so in words beneath.
    table.add_column("valid", justify="right", no_wrap=True)
    for group in section.groups:
        table.add_section()
        for cell in group:
            table.add_row(*_row(section, cell, several_drivers=several_drivers, cpu=cpu))
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
    if not section.load.traits.has_dues:
        found += [_requests(cell) for cell in section.cells if columns.shown(cell).steps]
        found += [_errors(cell) for cell in section.cells if columns.errors(cell)]
    return found


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
    if not (left_out := len(steps) - len(busiest)):
        return Padding(table, (1, 0, 0, 0))
    more = Text(f"and {formatting.count(left_out)} more kinds of request, in the report", "dim")
    return Padding(Group(table, more), (1, 0, 0, 0))


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
        interval = formatting.interval(one.ratio_ci).replace(" to ", MISSING)
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


def _size(load: Load) -> str:
    """As a short text."""
    return formatting.filled(load.words.short or load.words.size, load).replace(" to ", MISSING)
