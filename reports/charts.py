"""What the charts show: cells in, points and words out. How it is drawn is in `drawing`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.vocabulary.result import CellResult, DocumentedPoint, Interval
from reports import quantities
from reports.marks import Mark
from reports.sections import Section


@dataclass(frozen=True, slots=True)
class Point:
    """One figure at one concurrency; `valid` says whether it may be believed."""

    x: int
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
    """

    label: str
    points: tuple[Point, ...]
    mark: Mark | None
    faint: bool = False


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
    x_label = "requests at once" if section.burst else "users, each with one request in flight"
    primary = (
        Chart(
            title="Time to the last answer",
            note="lower is better",
            text=quantities.seconds,
            log=True,
            lines=_lines(section.cells, marks, _MAKESPAN),
            x_label=x_label,
        )
        if section.burst
        else Chart(
            title="Answers per second",
            note="higher is better",
            text=quantities.number,
            log=False,
            lines=_lines(section.cells, marks, _THROUGHPUT),
            x_label=x_label,
        )
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


@dataclass(frozen=True, slots=True)
class _Figure:
    """What is drawn of a cell."""

    value: Callable[[CellResult], float | None]
    bounds: Callable[[CellResult], Interval | None]
    faint: bool = False


_MAKESPAN = _Figure(lambda cell: cell.makespan_s, lambda cell: cell.makespan_s_ci)
_THROUGHPUT = _Figure(lambda cell: cell.throughput_rps, lambda cell: cell.throughput_rps_ci)
_P50 = _Figure(lambda cell: cell.latency_ms.p50, lambda cell: cell.latency_ms_ci.p50)
_P99 = _Figure(lambda cell: cell.latency_ms.p99, lambda cell: cell.latency_ms_ci.p99, faint=True)
_CPU = _Figure(
    lambda cell: cell.target_use.cpu_ms_per_request,
    lambda cell: cell.target_use.cpu_ms_per_request_ci,
)


def _lines(
    cells: Sequence[CellResult], marks: Mapping[str, Mark], figure: _Figure
) -> tuple[Line, ...]:
    several = len({cell.driver for cell in cells}) > 1
    found: dict[tuple[str, str], list[Point]] = {}
    for cell in sorted(cells, key=lambda cell: cell.load.concurrency):
        if (y := figure.value(cell)) is not None:
            x = cell.load.concurrency
            point = Point(x, y, figure.bounds(cell), cell.validity.is_valid)
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
    words = f"{text(point.y)} at {quantities.count(point.x)}"
    if point.bounds is not None:
        words += f" (95% interval {quantities.interval(point.bounds, text)})"
    return words if point.valid else f"{words}, which may not be believed"
