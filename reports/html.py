"""Results as one self-contained page, without scripts or external requests."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from loopmark.harness.vocabulary.cell import Cell, ValidityState
from loopmark.harness.vocabulary.figures import WorkerUse
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.fan_out import IN_TIME
from loopmark.harness.vocabulary.loads.model import DELIVERY
from loopmark.harness.vocabulary.metrics import METRICS, Metric
from loopmark.harness.vocabulary.record import RAN_TO_THEIR_END, RunRecord
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import (
    agreement,
    answer,
    blocking,
    charts,
    clocks,
    columns,
    conditions,
    drawing,
    formatting,
    headline,
    loop_picture,
    measured,
    objections,
    pitfalls,
    questions,
    sections,
    series_styles,
    timelines,
    wording,
)
from loopmark.reports.sections import Section

_STYLE_SHEET = files("loopmark.reports") / "templates" / "page.css"
_ENVIRONMENT = Environment(
    loader=PackageLoader("loopmark.reports"),
    # Messages of a target are in the page: everything is escaped unless it says otherwise.
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_LEAST_RATIO, _MOST_RATIO, _MARGIN = 0.5, 2.0, 1.5
_TICKS = (0.1, 1.0, 10.0, 100.0)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chart and its texts."""

    chart: charts.Chart
    svg: Markup


@dataclass(frozen=True, slots=True)
class SectionView:
    """A section and its charts.

    Attributes:
        section: The section.
        charts: Drawn.
        answers: Columns of the first table.
        knees: Of steps and ramps: the knee of each target, in sentences.
        series: The best value of a series, in sentences.
        disturbances: The effect of slow and stalled clients on active ones, in sentences.
        over_time: The small charts of each cell.
        costs: Columns of resource use.
        cost: The one of them that each round has; None if it was not sampled.
        database: Columns of the database; none if it was not sampled.
        times: Columns of the phases.
        clients: Columns of the connections of a fan-out.
    """

    section: Section
    charts: tuple[Drawn, ...]
    answers: tuple[Metric, ...]
    knees: tuple[str, ...]
    series: tuple[str, ...]
    disturbances: tuple[str, ...]
    over_time: tuple[timelines.CellTimelines, ...]
    costs: tuple[Metric, ...]
    cost: Metric | None
    database: tuple[Metric, ...]
    times: tuple[Metric, ...]
    clients: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic axis of ratios, in per cent of its width."""

    low: float
    high: float

    def at(self, ratio: float) -> float:
        """The position of a ratio, clipped to the axis."""
        span = math.log(self.high / self.low)
        place = math.log(ratio / self.low) / span if ratio > 0 else 0.0
        return round(100 * min(1.0, max(0.0, place)), 2)

    @property
    def ticks(self) -> tuple[float, ...]:
        """The ratios with a tick."""
        return tuple(tick for tick in _TICKS if self.low <= tick <= self.high)


def render(results: RunResults, *, data_root: str = "..") -> str:
    """The results as an HTML page.

    Args:
        results: The results.
        data_root: The run folder as seen from the page, for the links to the data.
    """
    drivers = sections.side_by_side(results)
    styles = series_styles.styles(list(sections.target_order(results)), drivers)
    ratios = headline.ratio_rows(results)
    asked = questions.rows(results.run, results.questions)
    cell_ids = sections.unique_ids(f"cell-{cell.name}" for cell in results.cells)
    return _ENVIRONMENT.get_template("page.html").render(
        results=results,
        run=results.run,
        style=Markup(_STYLE_SHEET.read_text(encoding="utf-8")),  # noqa: S704 - our own file
        styles=styles,
        series_styles=series_styles,
        timing=headline.timing_rows(results),
        timing_targets=_timing_targets(results),
        timing_chart=_timing_chart(results, styles),
        patterns=headline.PATTERNS,
        sentences=headline.sentences(results),
        answer=answer.text(results),
        asked=asked,
        anchors=_anchors(results),
        settled=_sentence(questions.settled(asked)),
        by_chance=questions.by_chance(asked),
        has_one_pair=any(row.has_one_pair for row in asked),
        gains=_scale([row.gain for row in asked], [claim for row in asked for claim in row.claims]),
        questions=questions,
        ratios=ratios,
        scale=_scale([row.ratio for row in ratios], headline.CLAIM),
        claim=headline.CLAIM,
        doubtful=sections.doubtful(results),
        with_bad_rounds=sections.with_bad_rounds(results),
        conditions=conditions,
        fans_out=any(cell.load.traits.unit == DELIVERY for cell in results.cells),
        views=tuple(_view(section, styles) for section in sections.sections(results)),
        several_drivers=sections.several_drivers(results),
        cell_ids={cell.name: anchor for cell, anchor in zip(results.cells, cell_ids, strict=True)},
        by_name={cell.name: cell for cell in results.cells},
        link=lambda *parts: "/".join([data_root, *(quote(part) for part in parts)]),
        loads=_steady_loads(results.run.cells),
        rounds_done={
            name: sum(state in RAN_TO_THEIR_END for state in states)
            for name, states in results.run.round_states.items()
        },
        clock_notes=clocks.notes(_workers(results)),
        blocking=blocking,
        blocking_rows=blocking.rows(results),
        blocking_sentences=blocking.sentences(results),
        pitfalls=pitfalls,
        pitfall_rows=pitfalls.rows(results),
        pitfall_pictures=tuple(pitfalls.pictures(results)),
        loop_picture=loop_picture,
        pairs=agreement.driver_pairs(results),
        agreement=agreement,
        database_statements=_database_statements(results.run),
        locustfile_facts=measured.facts(results.run),
        has_dues=any(cell.load.traits.has_dues for cell in results.run.cells),
        is_at_most=any(cell.load.traits.is_at_most for cell in results.run.cells),
        states=[(state, wording.VALIDITY[state]) for state in ValidityState],
        columns=columns,
        objections=objections,
        metrics=METRICS,
        in_time=IN_TIME,
        timelines=timelines,
        formatting=formatting,
        wording=wording,
    )


def _database_statements(run: RunRecord) -> Sequence[tuple[str, str]]:
    """What each kind of request asks of it, each once; nothing where no target is one of ours."""
    if not any(target.is_ours for target in run.targets):
        return []
    found: dict[tuple[str, str], list[str]] = {}
    for scenario in run.scenarios:
        for step, statements in scenario.statements.items():
            found.setdefault((step, statements), []).append(scenario.name)
    return [
        (f"{step} ({formatting.listed(names)})", statements)
        for (step, statements), names in found.items()
    ]


def _workers(results: RunResults) -> Sequence[WorkerUse]:
    return [one for cell in results.cells for one in columns.shown(cell).workers]


def _view(section: Section, styles: Mapping[str, series_styles.SeriesStyle]) -> SectionView:
    drawn = [
        Drawn(chart, drawing.svg(chart, name=f"{section.anchor}-chart-{number}"))
        for number, chart in enumerate(charts.section_charts(section, styles), start=1)
    ]
    return SectionView(
        section=section,
        charts=tuple(drawn),
        answers=columns.shown_answers(section.cells),
        knees=tuple(
            wording.knee_sentence(cell) for cell in section.cells if cell.load.traits.is_staged
        ),
        series=tuple(wording.series_sentence(one, section.swept) for one in section.series),
        disturbances=tuple(map(wording.disturbance_sentence, section.main_disturbances)),
        over_time=timelines.timelines(section.cells),
        costs=columns.table("costs", section.cells),
        cost=next(iter(columns.present((columns.cost(section.load),), section.cells)), None),
        database=columns.table("database", section.cells),
        times=columns.table("times", section.cells),
        clients=columns.table("clients", section.cells),
    )


def _timing_chart(
    results: RunResults, styles: Mapping[str, series_styles.SeriesStyle]
) -> Drawn | None:
    cells = headline.timing_cells(results)
    if not cells:
        return None
    chart = charts.timing_chart(cells, results.run.documented, styles)
    return Drawn(chart, drawing.svg(chart, name="timing-chart", width=400, height=300))


def _timing_targets(results: RunResults) -> Sequence[str]:
    measured = {cell.target for cell in headline.timing_cells(results)}
    return [
        target for targets in headline.PATTERNS.values() for target in targets if target in measured
    ]


def _scale(ratios: Iterable[float | None], claims: Iterable[float]) -> Scale:
    # Intervals may run off the axis: the claims must stay in view beside the ratios.
    shown = [ratio for ratio in (*ratios, *claims) if ratio is not None and ratio > 0]
    return Scale(
        low=min([_LEAST_RATIO, *(ratio / _MARGIN for ratio in shown)]),
        high=max([_MOST_RATIO, *(ratio * _MARGIN for ratio in shown)]),
    )


def _anchors(results: RunResults) -> Mapping[str, str]:
    """By scenario or series: the first section about it."""
    found: dict[str, str] = {}
    for section in sections.sections(results):
        found.setdefault(section.name, section.anchor)
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _steady_loads(cells: Sequence[Cell]) -> Sequence[Load]:
    """All loads with a window, each once, by model and size."""
    loads = [cell.load for cell in cells if not cell.load.traits.ends_with_last_answer]
    each_once = {load.label: load for load in loads}.values()
    return sorted(each_once, key=lambda load: (load.model, load.magnitude))
