"""The Markdown page about a run of the profile `events`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loopmark.harness.analysis.analyse import analyse
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.figures import FanOutFigures, Figures
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import formatting, objections, wording
from loopmark.scenarios.event_scenarios import EVENT_PROTOCOLS

MARKDOWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
MIB = 1024**2

PROTOCOLS = {f"fan-out-{protocol}": name for protocol, name in EVENT_PROTOCOLS.items()}


@dataclass(frozen=True)
class Row:
    """A cell of a fan-out, and its figures, which stand beside its validity."""

    cell: CellResult

    @property
    def protocol(self) -> str:
        return PROTOCOLS[self.cell.scenario]

    @property
    def figures(self) -> Figures:
        return self.cell.figures_despite(self.cell.validity)

    @property
    def fan_out(self) -> FanOutFigures:
        found = self.figures.fan_out
        assert found is not None
        return found

    @property
    def believed(self) -> str:
        return "" if self.cell.validity.is_valid else str(self.cell.validity.state)

    @property
    def knee_deliveries(self) -> float | None:
        """Deliveries per second at the highest rate that was kept up with."""
        load, knee = self.cell.load, self.figures.knee_rps
        assert isinstance(load, FanOutSteps)
        return None if knee is None else knee * load.clients


@dataclass(frozen=True)
class Memory:
    """What clients that have stopped reading do to the target's memory, in MiB."""

    row: Row
    at_start: float
    most: float


def page(folder: RunFolder) -> str:
    """Everything, as `docs/fan-out.md`."""
    results = analyse(folder)
    found = MARKDOWN.get_template("page.md.jinja").render(
        run=results.run,
        steady=steady(results),
        knees=knees(results),
        stalled=stalled(results),
        memory=tuple(memory(folder, results)),
        beside=beside(results),
        undriven=undriven(results),
        sweep=sweep(results),
        series=results.series,
        formatting=formatting,
        objections=objections,
        wording=wording,
    )
    return f"{found.rstrip()}\n"


def driven(results: RunResults) -> Sequence[CellResult]:
    """The cells of fan-outs that came as far as a window."""
    cells = [cell for cell in results.cells if isinstance(cell.load, FanOut | FanOutSteps)]
    return [cell for cell in cells if cell.figures_despite(cell.validity).fan_out is not None]


def undriven(results: RunResults) -> Sequence[CellResult]:
    """The cells of fan-outs that did not: nothing is known of them but why."""
    cells = [cell for cell in results.cells if isinstance(cell.load, FanOut | FanOutSteps)]
    return [cell for cell in cells if cell.figures_despite(cell.validity).fan_out is None]


def steady(results: RunResults) -> Sequence[Row]:
    """The cells in which everybody reads, by protocol, clients and target."""
    return _rows(results, lambda load: load.readers == load.clients and not load.http_users)


def beside(results: RunResults) -> Sequence[Row]:
    """Those with slow clients, or with other work."""
    return _rows(results, lambda load: bool(load.slow or load.http_users))


def knees(results: RunResults) -> Sequence[Row]:
    """The cells in which the rate was raised step by step."""
    cells = [cell for cell in driven(results) if isinstance(cell.load, FanOutSteps)]
    return sorted(map(Row, cells), key=_place)


def stalled(results: RunResults) -> Sequence[tuple[Comparison, Row]]:
    """What one stalled client does to the others' tail, and the cell in which it was stalled."""
    rows = {
        (row.cell.scenario, row.cell.target, row.cell.load): row
        for row in _rows(results, lambda load: load.stalled == 1)
    }
    return [
        (one, rows[one.scenario, one.target, one.load])
        for one in results.along("disturbance")
        if one.metric == "latency_ms.p99" and (one.scenario, one.target, one.load) in rows
    ]


def memory(folder: RunFolder, results: RunResults) -> Iterator[Memory]:
    """Of each cell with many stalled clients: the target's memory at first, and at most."""
    planned = {cell.name: cell for cell in results.run.cells}
    for row in _rows(results, lambda load: load.stalled > 1):
        for record in folder.read_rounds(planned[row.cell.name]):
            if record.has_figures:
                assert isinstance(row.cell.load, FanOut)
                yield Memory(row, *_memory(record, row.cell.load.warmup_s))


def sweep(results: RunResults) -> Sequence[CellResult]:
    """The cells of the series of `max_concurrent`, by number and target."""
    at = {one.name: one.sweep.at for one in results.run.scenarios if one.sweep is not None}
    cells = [cell for cell in results.cells if cell.scenario in at]
    return sorted(cells, key=lambda cell: (at[cell.scenario], cell.target != "sync"))


def _memory(record: RoundRecord, warmup_s: float) -> tuple[float, float]:
    """Resident memory when the first event was emitted, and the most until the window's end."""
    assert record.driver is not None
    began_ns = record.driver.window_start_ns - round(warmup_s * 1e9)
    until = [one for one in record.target if one.at_ns <= record.driver.window_end_ns]
    before = [one for one in until if one.at_ns <= began_ns] or until[:1]
    at_start = before[-1]
    most = max(one.rss_bytes for one in until if one.at_ns >= at_start.at_ns)
    return at_start.rss_bytes / MIB, most / MIB


def _rows(results: RunResults, chosen: Callable[[FanOut], bool]) -> Sequence[Row]:
    cells = [
        cell for cell in driven(results) if isinstance(cell.load, FanOut) and chosen(cell.load)
    ]
    return sorted(map(Row, cells), key=_place)


def _place(row: Row) -> tuple[int, int, bool]:
    load = row.cell.load
    assert isinstance(load, FanOut | FanOutSteps)
    return list(PROTOCOLS).index(row.cell.scenario), load.clients, row.cell.target != "sync"
