"""What the charts show: cells in, points and words out. How it is drawn is in `drawing`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.vocabulary.load import Population, Ramp, Steps
from harness.vocabulary.result import (
    CellResult,
    DocumentedPoint,
    Figures,
    Interval,
    StageResult,
)
from reports import quantities
from reports.columns import shown
from reports.marks import Mark
from reports.sections import Section, size


@dataclass(frozen=True, slots=True)
class Point:
    """One figure at one concurrency or rate; `valid` says whether it may be believed."""

    x: float
    y: float
    bounds: Interval | None = None
    valid: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """The points of one target, or of one documented pattern.

    Attributes:
        label: What it is called.
        points: By concurrency.
        mark: How it is drawn; None for what was documented and not measured.
        faint: Whether it is the second line of its target.
        knee: The rate up to which the target kept up, where that is known.
    """

    label: str
    points: tuple[Point, ...]
    mark: Mark | None
    faint: bool = False
    knee: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        title: Its heading.
        note: What must be known to read it.
        text: A value of its vertical axis as text.
        log: Whether the vertical axis is logarithmic.
        lines: What it shows.
        x_label: What the horizontal axis counts.
    """

    title: str
    note: str
    text: Callable[[float], str]
    log: bool
    lines: tuple[Line, ...]
    x_label: str

    @property
    def in_words(self) -> str:
        """The values, for those who do not see the chart."""
        return ". ".join(
            f"{line.label}{' p99' * line.faint}: "
            + quantities.listed(_in_words(p, self.text) for p in line.points)
            + (f", and it kept up to {quantities.level(line.knee)}" if line.knee else "")
            for line in self.lines
            if line.points
        )

    @property
    def has_doubtful(self) -> bool:
        """Whether a point may not be believed."""
        return any(not point.valid for line in self.lines for point in line.points)


def timing_chart(
    cells: Sequence[CellResult], documented: Iterable[DocumentedPoint], marks: Mapping[str, Mark]
) -> Chart:
    """The documented timing table and what was measured."""
    by_pattern: dict[str, list[Point]] = {}
    for point in documented:
        found = by_pattern.setdefault(point.pattern, [])
        found.append(Point(point.concurrency, point.makespan_s))
    lines = [
        Line(f"documented {pattern}", tuple(points), None) for pattern, points in by_pattern.items()
    ]
    lines += _lines(cells, marks, _MAKESPAN)
    return Chart(
        title="Time until the last of N requests is answered",
        note="",
        text=quantities.seconds,
        log=True,
        lines=tuple(lines),
        x_label="requests at once",
    )


def section_charts(section: Section, marks: Mapping[str, Mark]) -> tuple[Chart, ...]:
    """The charts of one scenario."""
    if isinstance(section.load, Steps | Ramp):
        return stage_charts(section, marks)
    if isinstance(section.load, Population):
        return ()  # A locustfile has one crowd: a chart would be of one point.
    x_label = _X_LABELS[section.model]
    if section.model == "burst":
        primary = Chart(
            title="Time to the last answer",
            note="lower is better",
            text=quantities.seconds,
            log=True,
            lines=_lines(section.cells, marks, _MAKESPAN),
            x_label=x_label,
        )
    else:
        primary = Chart(
            title="Answers per second",
            note="within the window" if section.model == "open" else "higher is better",
            text=quantities.number,
            log=False,
            lines=_lines(section.cells, marks, _THROUGHPUT),
            x_label=x_label,
        )
    p50 = _lines(section.cells, marks, _P50)
    p99 = _lines(section.cells, marks, _P99)
    latency = Chart(
        title="Latency of a request",
        note="p50, and fainter above it p99; lower is better" if p99 else "p50; lower is better",
        text=quantities.milliseconds,
        log=True,
        lines=(*p99, *p50),
        x_label=x_label,
    )
    cost = Chart(
        title="CPU of the target per request",
        note="lower is better",
        text=quantities.milliseconds,
        log=False,
        lines=_lines(section.cells, marks, _CPU),
        x_label=x_label,
    )
    return tuple(chart for chart in (primary, latency, cost) if chart.lines)


def stage_charts(section: Section, marks: Mapping[str, Mark]) -> tuple[Chart, ...]:
    """What was answered, and how fast, by what was offered in each stage."""
    answered = Chart(
        title="Answers per second by what was offered",
        note="a vertical line: the rate up to which the target kept up",
        text=quantities.number,
        log=False,
        lines=_stage_lines(section, marks, lambda stage: stage.answered_rps),
        x_label=_X_LABELS["open"],
    )
    p50 = _stage_lines(section, marks, lambda stage: stage.p50_ms)
    p99 = _stage_lines(section, marks, lambda stage: stage.p99_ms, faint=True)
    latency = Chart(
        title="Response time by what was offered",
        note="p50, and fainter above it p99; from the moment a request was due",
        text=quantities.milliseconds,
        log=True,
        lines=(*p99, *p50),
        x_label=_X_LABELS["open"],
    )
    return tuple(chart for chart in (answered, latency) if chart.lines)


def _stage_lines(
    section: Section,
    marks: Mapping[str, Mark],
    value: Callable[[StageResult], float | None],
    *,
    faint: bool = False,
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
            found.append(Line(label, points, marks[cell.target], faint, knee))
    return tuple(found)


_X_LABELS = {
    "burst": "requests at once",
    "closed": "users, each with one request in flight",
    "open": "arrivals per second",
}


@dataclass(frozen=True, slots=True)
class _Figure:
    """What is drawn of a cell."""

    value: Callable[[Figures], float | None]
    bounds: Callable[[Figures], Interval | None]
    faint: bool = False


_MAKESPAN = _Figure(lambda figures: figures.makespan_s, lambda figures: figures.makespan_s_ci)
_THROUGHPUT = _Figure(
    lambda figures: figures.throughput_rps, lambda figures: figures.throughput_rps_ci
)
_P50 = _Figure(lambda figures: figures.latency_ms.p50, lambda figures: figures.latency_ms_ci.p50)
_P99 = _Figure(
    lambda figures: figures.latency_ms.p99, lambda figures: figures.latency_ms_ci.p99, faint=True
)
_CPU = _Figure(
    lambda figures: figures.target_use.cpu_ms_per_request,
    lambda figures: figures.target_use.cpu_ms_per_request_ci,
)


def _lines(
    cells: Sequence[CellResult], marks: Mapping[str, Mark], figure: _Figure
) -> tuple[Line, ...]:
    several = len({cell.driver for cell in cells}) > 1
    found: dict[tuple[str, str], list[Point]] = {}
    for cell in sorted(cells, key=lambda cell: size(cell.load)):
        figures = shown(cell)
        if (y := figure.value(figures)) is not None:
            point = Point(size(cell.load), y, figure.bounds(figures), cell.validity.is_valid)
            found.setdefault((cell.target, cell.driver), []).append(point)
    return tuple(
        Line(
            label=f"{target} ({driver})" if several else target,
            points=tuple(points),
            mark=marks[target],
            faint=figure.faint,
        )
        for (target, driver), points in found.items()
    )


def _in_words(point: Point, text: Callable[[float], str]) -> str:
    words = f"{text(point.y)} at {quantities.level(point.x)}"
    if point.bounds is not None:
        words += f" (95% interval {quantities.interval(point.bounds, text)})"
    return words if point.valid else f"{words}, which may not be believed"
