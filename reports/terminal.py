"""Results for a terminal: what is printed after a run. Eighty columns are enough."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from loopmark.harness.vocabulary.load import ARRIVING, FANNING_OUT, Load
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
"""Rows of a locustfile's requests, those that were asked most often: one that puts an id into each
name would fill the terminal."""

_PRIMARY = {
    "burst": "last",
    "steps": "kept up to",
    "ramp": "kept up to",
    "fan-out": "reach",
    "fan-out-steps": "kept up to",
}
"""What counts: the time to the last answer, the knee, the reach, else answers per second."""


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
    cpu = bool(columns.present((columns.CPU,), section.cells))
    per = "CPU/dlv" if section.fans_out else "CPU/req"
    within = ["95%"] * (not section.fans_out)
    figures = (_PRIMARY.get(section.model, "rate/s"), *within, "p50", "p99", *[per] * cpu)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    # No column for errors: a cell with any is not valid, and says so in words beneath.
    table.add_column("ok?", justify="right", no_wrap=True)
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
        Padding(Text(f"{wording.sweep_sentence(one, section.swept)}."), (0, 0, 0, 2))
        for one in section.sweeps
    ]
    if section.model == "population":
        found += [_requests(cell) for cell in section.cells if columns.shown(cell).steps]
        found += [_errors(cell) for cell in section.cells if columns.errors(cell)]
    return found


def _requests(cell: CellResult) -> RenderableType:
    """What the users of a locustfile asked, by name."""
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
    """What went wrong by kind, with one example; the page has more."""
    table = _table()
    table.add_column("kind of error", no_wrap=True)
    table.add_column("how many", justify="right", no_wrap=True)
    table.add_column("for example", overflow="fold")
    for kind, many, examples in columns.errors(cell):
        table.add_row(*map(Text, (kind, many, next(iter(examples), ""))))
    return Padding(table, (1, 0, 0, 0))


def _agreement(pair: DriverPair) -> RenderableType:
    """Both drivers in the figure that counts; the page has the others."""
    table = _table()
    for name in ("scenario", "target"):
        table.add_column(name, no_wrap=True)
    for name in ("at", pair.base, pair.other, "ratio", "95%"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in pair.groups:
        one = group.main
        suffix = "/s" if one.metric == "throughput_rps" else ""
        figures = [
            found + suffix if (found := agreement.figure(one.metric, value)) != MISSING else MISSING
            for value in (one.base_figure, one.other_figure)
        ]
        texts = [one.scenario, one.target, _size(one.load), *figures, formatting.number(one.ratio)]
        interval = formatting.interval(one.ratio_ci).replace(" to ", MISSING)
        clear = wording.is_clear(one.ratio_ci)
        table.add_row(*map(Text, texts), Text(interval, style="bold yellow" if clear else ""))
    return Group(Text(f"\n{agreement.TITLE}", style="bold"), table)


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def _row(section: Section, cell: CellResult, *, several_drivers: bool, cpu: bool) -> list[Text]:
    valid = cell.validity.is_valid
    figures = columns.shown(cell)
    column = columns.of(cell)
    at = section.at(cell)
    # How far the reach and the knee of a fan-out scatter is not known, and room is scarce.
    within = [] if section.fans_out else [column.interval(figures).replace(" to ", MISSING)]
    cost = columns.cost(cell.load).text(figures)
    texts = [
        cell.target,
        *([cell.driver] if several_drivers else []),
        *([] if at is None else [formatting.level(at)]),
        _size(cell.load),
        column.text(figures),
        *within,
        formatting.milliseconds(figures.latency_ms.p50),
        formatting.milliseconds(figures.latency_ms.p99),
        *([cost] if cpu else []),
    ]
    style = "" if valid else "dim"
    row = [Text(text, style=style) for text in texts]
    row.append(Text("yes", style="green") if valid else Text("NO", style="bold yellow"))
    return row


def _doubt(section: Section, cell: CellResult, *, several_drivers: bool) -> RenderableType:
    driver = f", {cell.driver}" if several_drivers else ""
    at = section.at(cell)
    swept = "" if at is None else f"{section.swept} = {formatting.level(at)}, "
    text = Text(f"{cell.target} at {swept}{_size(cell.load)}{driver}: ")
    text.append(str(cell.validity.state), style="bold yellow")
    if reasons := objections.sentences(cell.validity):
        text.append(f", {reasons[0]}")
        if more := len(reasons) - 1:
            text.append(f" (and {more} more)", style="dim")
    return Padding(text, (0, 0, 0, 2))


def _size(load: Load) -> str:
    if isinstance(load, ARRIVING):
        poisson = " Poisson" if load.arrivals == "poisson" else ""
        return wording.rates(load).replace(" to ", MISSING) + "/s" + poisson
    if isinstance(load, FANNING_OUT):
        others = "".join(f" +{one}" for one in wording.others(load)).replace("HTTP users", "HTTP")
        return f"{formatting.count(load.clients)}x{wording.rates(load)}/s{others}".replace(
            " to ", MISSING
        )
    return wording.size(load).replace(", thinking ", " +")
