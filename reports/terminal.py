"""Results for a terminal: what is printed after a run. Eighty columns are enough."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.vocabulary.load import ARRIVING, Load
from harness.vocabulary.result import CellResult, RunResults
from reports import columns, headline, quantities, wording
from reports.sections import Section, sections


def render(results: RunResults) -> RenderableType:
    """The headline, and a table per scenario."""
    several = len({cell.driver for cell in results.cells}) > 1
    parts: list[RenderableType] = []
    if results.run.interrupted:
        parts.append(Text("Interrupted: the plan was not done to its end.", style="bold yellow"))
    for section in sections(results):
        parts += _section(section, several_drivers=several)
    parts.append(Text())
    parts += [Text(line) for line in headline.short(results)]
    return Group(*parts)


_PRIMARY = {"burst": "last", "steps": "kept up to", "ramp": "kept up to"}
"""What counts: the time to the last answer, the knee, else answers per second."""


def _section(section: Section, *, several_drivers: bool) -> list[RenderableType]:
    heading = Text(f"\n{section.title}", style="bold")
    heading.append(f"  {section.name}", style="dim")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column("target", no_wrap=True)
    if several_drivers:
        table.add_column("driver", no_wrap=True)
    table.add_column("at", justify="right", no_wrap=True)
    for name in (_PRIMARY.get(section.model, "rate/s"), "95%", "p50", "p99", "CPU/req"):
        table.add_column(name, justify="right", no_wrap=True)
    # No column for errors: a cell with any is not valid, and says so in words beneath.
    table.add_column("ok?", justify="right", no_wrap=True)
    load = None
    for cell in section.cells:
        if load is not None and cell.load.label != load:
            table.add_section()
        load = cell.load.label
        table.add_row(*_row(cell, several_drivers=several_drivers))
    found: list[RenderableType] = [heading, table]
    found += [_doubt(cell) for cell in section.cells if not cell.validity.is_valid]
    return found


def _row(cell: CellResult, *, several_drivers: bool) -> list[Text]:
    valid = cell.validity.is_valid
    figures = columns.shown(cell)
    column = columns.of(cell)
    texts = [
        cell.target,
        *([cell.driver] if several_drivers else []),
        _size(cell.load),
        column.text(figures),
        column.interval(figures).replace(" to ", quantities.MISSING),
        quantities.milliseconds(figures.latency_ms.p50),
        quantities.milliseconds(figures.latency_ms.p99),
        quantities.milliseconds(figures.target_use.cpu_ms_per_request),
    ]
    style = "" if valid else "dim"
    row = [Text(text, style=style) for text in texts]
    row.append(Text("yes", style="green") if valid else Text("NO", style="bold yellow"))
    return row


def _doubt(cell: CellResult) -> RenderableType:
    text = Text(f"{cell.target} at {_size(cell.load)}: ")
    text.append(str(cell.validity.state), style="bold yellow")
    if cell.validity.reasons:
        text.append(f", {cell.validity.reasons[0]}")
        if more := len(cell.validity.reasons) - 1:
            text.append(f" (and {more} more)", style="dim")
    return Padding(text, (0, 0, 0, 2))


def _size(load: Load) -> str:
    if isinstance(load, ARRIVING):
        poisson = " Poisson" if load.arrivals == "poisson" else ""
        return wording.rates(load).replace(" to ", quantities.MISSING) + "/s" + poisson
    return wording.size(load).replace(", thinking ", " +")
