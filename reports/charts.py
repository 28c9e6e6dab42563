"""The content of the charts: cells in, points and texts out. `drawing` draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from loopmark.harness.vocabulary.figures import Figures, Interval, StageResult
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import DELIVERY
from loopmark.harness.vocabulary.metrics import METRICS, Metric
from loopmark.harness.vocabulary.record import DocumentedPoint
from loopmark.harness.vocabulary.result import CellResult
from loopmark.reports import formatting, series_styles, wording
from loopmark.reports.columns import shown
from loopmark.reports.sections import Section
from loopmark.reports.series_styles import SeriesStyle


@dataclass(frozen=True, slots=True)
class Point:
    """One figure at one concurrency or rate, and whether its cell is valid."""

    x: float
    y: float
    bounds: Interval | None = None
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """The points of one target, or of one documented pattern.

    Attributes:
        label: Its name in the legend.
        points: By concurrency.
        style: How it is drawn; None for documented values.
        faint: Whether it is the second line of its target.
        what: The figure it shows, if the chart has two.
        knee: The rate up to which the target kept up, if known.
    """

    label: str
    points: tuple[Point, ...]
    style: SeriesStyle | None
    faint: bool = False
    knee: float | None = None
    what: str = ""


_DECADE = 10.0


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        title: Its heading.
        note: How to read it.
        text: A value of its vertical axis as text.
        log: Whether the vertical axis is logarithmic.
        lines: Its lines.
        x_label: What the horizontal axis counts.
        log_x: Whether the horizontal axis is logarithmic.
    """

    title: str
    note: str
    text: Callable[[float], str]
    log: bool
    lines: tuple[Line, ...]
    x_label: str
    log_x: bool = True

    @property
    def in_words(self) -> str:
        """The values as text, for screen readers."""
        return ". ".join(
            f"{f'{line.label} {line.what}'.rstrip()}: "
            + formatting.listed(_in_words(p, self.text) for p in line.points)
            + (f", sustained up to {formatting.level(line.knee)}" if line.knee else "")
            for line in self.lines
            if line.points
        )

    @property
    def has_doubtful(self) -> bool:
        """Whether a point is invalid."""
        return any(not point.valid for line in self.lines for point in line.points)


def timing_chart(
    cells: Sequence[CellResult],
    documented: Iterable[DocumentedPoint],
    styles: Mapping[str, SeriesStyle],
) -> Chart:
    """The documented timing table and the measured values."""
    by_pattern: dict[str, list[Point]] = {}
    for point in documented:
        found = by_pattern.setdefault(point.pattern, [])
        found.append(Point(point.concurrency, point.makespan_s))
    lines = [
        Line(f"documented {pattern}", tuple(points), None) for pattern, points in by_pattern.items()
    ]
    lines += _lines(cells, styles, _MAKESPAN)
    return Chart(
        title="Time to the last of N responses",
        note="",
        text=formatting.seconds,
        log=True,
        lines=tuple(lines),
        x_label="concurrent requests",
    )


def section_charts(section: Section, styles: Mapping[str, SeriesStyle]) -> tuple[Chart, ...]:
    """The charts of one scenario."""
    if section.places:
        return series_charts(section, styles)
    traits = section.load.traits
    if traits.unit == DELIVERY:
        return (delivery_stage_charts if traits.is_staged else fan_out_charts)(section, styles)
    if traits.is_staged:
        return stage_charts(section, styles)
    return _model_charts(section.load, lambda figure: _lines(section.cells, styles, figure))


def series_charts(section: Section, styles: Mapping[str, SeriesStyle]) -> tuple[Chart, ...]:
    """The charts of a series, by the number that differs."""
    if section.load.traits.is_staged or section.fans_out:
        return ()  # Where rates rise there is not one figure for each number.

    def x(cell: CellResult) -> float:
        return section.at(cell) or 0.0

    numbers = [x(cell) for cell in section.cells]
    spans_decades = min(numbers) > 0 and max(numbers) >= _DECADE * min(numbers)
    charts = _model_charts(
        section.load,
        lambda figure: _lines(
            section.cells, styles, figure, x, lambda cell: wording.size(cell.load)
        ),
    )
    return tuple(replace(chart, x_label=section.swept, log_x=spans_decades) for chart in charts)


def fan_out_charts(section: Section, styles: Mapping[str, SeriesStyle]) -> tuple[Chart, ...]:
    """Latency, throughput and CPU of deliveries, by number of clients."""
    cells, aside = _alike(section.cells)

    def lines(figure: _Figure) -> tuple[Line, ...]:
        return _lines(cells, styles, figure)

    heard = Chart(
        title="Delivery latency",
        note=f"p99, below it p50 (faint); from emitted to received; lower is better{aside}",
        text=formatting.milliseconds,
        log=True,
        lines=(*lines(_FAINT_P50), *lines(replace(_P99, faint=False))),
        x_label=section.load.words.axis,
    )
    spread = Chart(
        title="Delivery spread",
        note=f"first to last client of each publication: p90, p50 (faint); lower is better{aside}",
        text=formatting.milliseconds,
        log=True,
        lines=(*lines(_FAINT_SPREAD_P50), *lines(_SPREAD_P90)),
        x_label=section.load.words.axis,
    )
    cost = Chart(
        title="Target CPU per delivery",
        note=f"lower is better{aside}",
        text=formatting.microseconds,
        log=False,
        lines=lines(_CPU_PER_DELIVERY),
        x_label=section.load.words.axis,
    )
    return tuple(chart for chart in (heard, spread, cost) if chart.lines)


def _alike(cells: Sequence[CellResult]) -> tuple[Sequence[CellResult], str]:
    """The cells that one line may join, and a note on the omitted ones.

    All their clients are active; if several cells have as many clients, the rate measured most
    often is used.
    """
    plain = [cell for cell in cells if not wording.others(cell.load)] or list(cells)
    crowds = Counter((cell.target, cell.driver, cell.load.magnitude) for cell in plain)
    if max(crowds.values()) == 1:
        return plain, "; other loads are in the table" if len(plain) < len(cells) else ""
    alike = Counter(_kind(cell) for cell in plain)
    pace, others = alike.most_common(1)[0][0]
    chosen = [cell for cell in plain if _kind(cell) == (pace, others)]
    also = "".join(f", {one}" for one in others)
    return chosen, f"; at {pace}{also}; other loads are in the table"


def _kind(cell: CellResult) -> tuple[str, tuple[str, ...]]:
    return wording.pace(cell.load), wording.others(cell.load)


def delivery_stage_charts(section: Section, styles: Mapping[str, SeriesStyle]) -> tuple[Chart, ...]:
    """Latency and share of deliveries, by rate of publications in each stage."""
    note = "vertical line: highest rate at which every client received every event in time"
    times = Chart(
        title="Delivery time from due",
        note=f"p99, below it p50 (faint); {note}",
        text=formatting.milliseconds,
        log=True,
        lines=(
            *_stage_lines(section, styles, lambda stage: stage.p50_ms, faint=True, what="p50"),
            *_stage_lines(section, styles, lambda stage: stage.p99_ms, what="p99"),
        ),
        x_label=section.load.words.axis,
    )
    deliveries = Chart(
        title="Deliveries/s",
        note=f"correct deliveries; {note}",
        text=formatting.number,
        log=False,
        lines=_stage_lines(section, styles, lambda stage: stage.answered_rps),
        x_label=section.load.words.axis,
    )
    reach = Chart(
        title="Reach",
        note="deliveries received / deliveries due; the goal is 100%",
        text=formatting.share,
        log=False,
        lines=_stage_lines(section, styles, wording.reached),
        x_label=section.load.words.axis,
    )
    # Where nothing was missed there is nothing to see.
    missed = any(point.y < 1 for line in reach.lines for point in line.points)
    found = (times, deliveries, reach) if missed else (times, deliveries)
    return tuple(chart for chart in found if chart.lines)


def _model_charts(load: Load, lines: Callable[[_Figure], tuple[Line, ...]]) -> tuple[Chart, ...]:
    """The main figure, latency and resource use under a load model."""
    x_label = load.words.axis
    if not x_label:
        return ()
    if load.traits.ends_with_last_answer:
        primary = Chart(
            title="Time to last response",
            note="lower is better",
            text=formatting.seconds,
            log=True,
            lines=lines(_MAKESPAN),
            x_label=x_label,
        )
    else:
        primary = Chart(
            title="Throughput, requests/s",
            note="within the window" if load.traits.is_scheduled else "higher is better",
            text=formatting.number,
            log=False,
            lines=lines(_THROUGHPUT),
            x_label=x_label,
        )
    p50 = lines(_P50)
    p99 = lines(_P99)
    latency = Chart(
        title="Request latency",
        note="p50, above it p99 (faint); lower is better" if p99 else "p50; lower is better",
        text=formatting.milliseconds,
        log=True,
        lines=(*p99, *p50),
        x_label=x_label,
    )
    cost = Chart(
        title="Target CPU per request",
        note="lower is better",
        text=formatting.milliseconds,
        log=False,
        lines=lines(_CPU),
        x_label=x_label,
    )
    return tuple(chart for chart in (primary, latency, cost) if chart.lines)


def stage_charts(section: Section, styles: Mapping[str, SeriesStyle]) -> tuple[Chart, ...]:
    """Throughput and latency, by offered rate in each stage."""
    answered = Chart(
        title="Throughput by offered rate, requests/s",
        note="vertical line: highest rate that the target sustained",
        text=formatting.number,
        log=False,
        lines=_stage_lines(section, styles, lambda stage: stage.answered_rps),
        x_label=section.load.words.axis,
    )
    p50 = _stage_lines(section, styles, lambda stage: stage.p50_ms)
    p99 = _stage_lines(section, styles, lambda stage: stage.p99_ms, faint=True, what="p99")
    latency = Chart(
        title="Response time by offered rate",
        note="p50, above it p99 (faint); from the time a request was due",
        text=formatting.milliseconds,
        log=True,
        lines=(*p99, *p50),
        x_label=section.load.words.axis,
    )
    return tuple(chart for chart in (answered, latency) if chart.lines)


def _stage_lines(
    section: Section,
    styles: Mapping[str, SeriesStyle],
    value: Callable[[StageResult], float | None],
    *,
    faint: bool = False,
    what: str = "",
) -> tuple[Line, ...]:
    several = len({(cell.load.label, cell.driver) for cell in section.cells}) > 1
    found = []
    for cell in section.cells:
        figures = shown(cell)
        points = tuple(
            Point(stage.rate, y, None, cell.validity.is_valid)
            for stage in sorted(figures.stages, key=lambda one: one.rate)
            if (y := value(stage)) is not None
        )
        label = f"{cell.target} ({cell.load.label}, {cell.driver})" if several else cell.target
        if points:
            knee = figures.knee_rps if cell.validity.is_valid else None
            look = series_styles.of(styles, cell.target, cell.driver)
            found.append(Line(label, points, look, faint, knee, what))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Figure:
    """The figure of a cell that is drawn; milliseconds may be drawn as microseconds."""

    metric: Metric
    faint: bool = False
    what: str = ""
    scale: float = 1.0

    def of(self, figures: Figures) -> float | None:
        """Its value."""
        value: float | None = self.metric.of(figures)
        return None if value is None else self.scale * value

    def bounds(self, figures: Figures) -> Interval | None:
        """Its interval."""
        bounds = self.metric.interval and self.metric.interval(figures)
        return (self.scale * bounds[0], self.scale * bounds[1]) if bounds else None


_MAKESPAN = _Figure(METRICS["makespan_s"])
_THROUGHPUT = _Figure(METRICS["throughput_rps"])
_P50 = _Figure(METRICS["latency_ms.p50"])
_P99 = _Figure(METRICS["latency_ms.p99"], faint=True, what="p99")
_FAINT_P50 = replace(_P50, faint=True, what="p50")
_FAINT_SPREAD_P50 = _Figure(METRICS["fan_out_spread_p50_ms"], faint=True, what="p50")
_SPREAD_P90 = _Figure(METRICS["fan_out_spread_p90_ms"], what="p90")
_CPU = _Figure(METRICS["cpu_ms_per_request"])
_CPU_PER_DELIVERY = replace(_CPU, scale=1e3)


def _lines(
    cells: Sequence[CellResult],
    styles: Mapping[str, SeriesStyle],
    figure: _Figure,
    x: Callable[[CellResult], float] = lambda cell: cell.load.magnitude,
    kind: Callable[[CellResult], str] = lambda _: "",
) -> tuple[Line, ...]:
    """A line for each target, and for each driver and each kind of load where there are several.

    Args:
        cells: The cells.
        styles: By target.
        figure: The figure of each cell.
        x: Its value on the horizontal axis.
        kind: What else must be equal in cells that a line joins.
    """
    several_drivers = len({cell.driver for cell in cells}) > 1
    several_kinds = len({kind(cell) for cell in cells}) > 1
    found: dict[tuple[str, str, str], list[Point]] = {}
    for cell in sorted(cells, key=x):
        figures = shown(cell)
        if (y := figure.of(figures)) is not None:
            point = Point(x(cell), y, figure.bounds(figures), cell.validity.is_valid)
            found.setdefault((cell.target, cell.driver, kind(cell)), []).append(point)
    return tuple(
        Line(
            label=(series_styles.series(target, driver) if several_drivers else target)
            + f" ({of_kind})" * several_kinds,
            points=tuple(points),
            style=series_styles.of(styles, target, driver),
            faint=figure.faint,
            what=figure.what,
        )
        for (target, driver, of_kind), points in found.items()
    )


def _in_words(point: Point, text: Callable[[float], str]) -> str:
    words = f"{text(point.y)} at {formatting.level(point.x)}"
    if point.bounds is not None:
        words += f" (95% interval {formatting.interval(point.bounds, text)})"
    return words if point.valid else f"{words}, invalid"
