"""Small charts of a cell's CPU and connections over time, as coordinates.

The template draws them, not matplotlib: two for each cell would take a megabyte and seconds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.figures import TimelinePoint
from loopmark.harness.vocabulary.result import CellResult
from loopmark.reports import formatting

WIDTH, HEIGHT = 360, 132
LEFT, RIGHT, TOP, BOTTOM = 40, 12, 10, 24
"""Margins around the plot, in the drawing's own coordinates."""

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_STEPS = 4
_LEAST_CPU = 0.1
_LEAST_CONNECTIONS = 4.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity over time.

    Attributes:
        label: Its name.
        style: How it is drawn: a class in the style sheet.
        paths: Its unbroken stretches, each as the points of an SVG polyline.
    """

    label: str
    style: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """One small chart.

    Attributes:
        title: Its title.
        curves: Its lines.
        x_ticks: Labelled seconds.
        y_ticks: Labelled values; the last one is the top.
        in_words: The range of each line as text, for screen readers.
    """

    title: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    in_words: str


@dataclass(frozen=True, slots=True)
class CellTimelines:
    """A cell and its charts."""

    cell: CellResult
    charts: tuple[Timeline, ...]


@dataclass(frozen=True, slots=True)
class _Quantity:
    label: str
    style: str
    value: Callable[[TimelinePoint], float | None]


@dataclass(frozen=True, slots=True)
class _Kind:
    """The content of one chart of each cell; the scale is the same in all cells."""

    title: str
    text: Callable[[float], str]
    least: float
    quantities: tuple[_Quantity, ...]


_KINDS = (
    _Kind(
        "CPU utilization",
        formatting.share,
        _LEAST_CPU,
        (
            _Quantity("target", "main", lambda point: point.cpu_fraction),
            _Quantity("database", "other", lambda point: point.database_cpu_fraction),
        ),
    ),
    _Kind(
        "Database connections",
        lambda value: formatting.printed(round(value, 2)),
        _LEAST_CONNECTIONS,
        (
            _Quantity("held", "faint", lambda point: point.connections),
            _Quantity("active", "main", lambda point: point.active),
            _Quantity("waiting for a lock", "warning", lambda point: point.waiting),
        ),
    ),
)


def timelines(cells: Sequence[CellResult]) -> tuple[CellTimelines, ...]:
    """The charts of all cells with readings over time, on common vertical scales."""
    found = []
    tops = [_top(kind, cells) for kind in _KINDS]
    for cell in cells:
        charts = tuple(
            _timeline(kind, top, _points(cell))
            for kind, top in zip(_KINDS, tops, strict=True)
            if any(_values(one, _points(cell)) for one in kind.quantities)
        )
        if charts:
            found.append(CellTimelines(cell, charts))
    return tuple(found)


def _points(cell: CellResult) -> tuple[TimelinePoint, ...]:
    """Shown for invalid cells, too: the page shows the validity beside the charts."""
    return cell.figures_despite(cell.validity).over_time


def _timeline(kind: _Kind, top: float, points: Sequence[TimelinePoint]) -> Timeline:
    # The last point lies half a stretch before the end of the window.
    end_s = points[-1].t_s + points[0].t_s
    shown = [one for one in kind.quantities if _values(one, points)]
    return Timeline(
        title=kind.title,
        curves=tuple(Curve(one.label, one.style, _paths(one, points, end_s, top)) for one in shown),
        x_ticks=tuple(
            Tick(_x(at, end_s), f"{formatting.printed(round(at, 6))} s") for at in _ticks(end_s)
        ),
        y_ticks=tuple(Tick(_y(at, top), kind.text(at)) for at in _ticks(top)),
        in_words=". ".join(_in_words(kind, one, points) for one in shown),
    )


def _paths(
    quantity: _Quantity, points: Sequence[TimelinePoint], end_s: float, top: float
) -> tuple[str, ...]:
    paths: list[list[str]] = [[]]
    for point in points:
        value = quantity.value(point)
        if value is None:
            paths.append([])  # Not sampled: the line has a gap.
        else:
            paths[-1].append(f"{_x(point.t_s, end_s):g},{_y(value, top):g}")
    # A point alone has no length: drawn twice, its round end makes it a dot.
    return tuple(" ".join(path if len(path) > 1 else path * 2) for path in paths if path)


def _in_words(kind: _Kind, quantity: _Quantity, points: Sequence[TimelinePoint]) -> str:
    values = _values(quantity, points)
    low, high = kind.text(min(values)), kind.text(max(values))
    return f"{quantity.label}: {low}" + (f" to {high}" if low != high else " throughout")


def _values(quantity: _Quantity, points: Sequence[TimelinePoint]) -> list[float]:
    return [value for point in points if (value := quantity.value(point)) is not None]


def _top(kind: _Kind, cells: Sequence[CellResult]) -> float:
    values = [
        value for cell in cells for one in kind.quantities for value in _values(one, _points(cell))
    ]
    highest = max([kind.least, *values])
    step = _step(highest)
    return step * math.ceil(highest / step - 1e-9)


def _ticks(end: float) -> tuple[float, ...]:
    """From 0 in round steps, up to the end."""
    step = _step(end)
    return tuple(step * number for number in range(math.floor(end / step + 1e-9) + 1))


def _step(end: float) -> float:
    """The smallest round step that fits at most four times."""
    if end <= 0:
        return 1.0
    least = end / _MOST_STEPS
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in _STEPS if step * power >= least * (1 - 1e-9))


def _x(at_s: float, end_s: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * at_s / end_s, 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top, 1)
