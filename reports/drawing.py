"""Charts as inline SVG that takes its colours and its font from the page around it."""

import io
import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from loopmark.reports import formatting
from loopmark.reports.charts import Chart, Line, Point
from loopmark.reports.series_styles import SERIES_STYLES

# Colours that stand for variables of the style sheet until the SVG is written.
_TEXT, _GRID, _DOCUMENTED, _PAGE = "#010101", "#010102", "#010103", "#010104"
_VARIABLES = {_TEXT: "--muted", _GRID: "--rule", _DOCUMENTED: "--documented", _PAGE: "--page"}


def _series(colour: int) -> str:
    return f"#0102{colour:02x}"


_VARIABLES |= {_series(style.colour): f"--series-{style.colour}" for style in SERIES_STYLES}

_POINTS_PER_INCH = 72
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "path.simplify": False,
    "font.size": 11.0,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _GRID,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 1.0,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _TEXT,
    "ytick.labelcolor": _TEXT,
    "ytick.left": False,
    "xtick.major.size": 4.0,
    "lines.linewidth": 2.0,
    "lines.markersize": 7.0,
}

_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_LEFT, _RIGHT, _BOTTOM, _TOP = 52, 8, 44, 10
"""Margins around the axes, in the chart's own coordinates."""
_ROOM = 1.35
"""Factor between the outermost point and the edge of a logarithmic axis."""
_WHISKER_ROOM = 2.0
"""A whisker may widen a logarithmic axis by this factor beyond the points; a longer one is cut:
with two rounds an interval can span decades and would flatten everything else."""
_DODGE = 0.035
"""Share of a decade between two targets at the same concurrency, so that whiskers lie apart."""
_LINEAR_DODGE, _LINEAR_ROOM = 0.012, 0.08
"""The same, and the room at both ends, of a linear axis: shares of its length."""
_CROWDED = 5
_LABEL = 0.1
"""Share of a horizontal axis that a label needs; more labels are thinned out."""
_NARROW = 4.0


def svg(chart: Chart, *, name: str, width: int = 360, height: int = 250) -> Markup:
    """Draw a chart.

    Args:
        chart: What it shows.
        name: Unique among the charts of the page.
        width: In its own coordinates; on the page it is as wide as its container.
        height: In the same coordinates.
    """
    # A context and the object-oriented API: nothing outside of this call is changed.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width / _POINTS_PER_INCH, height / _POINTS_PER_INCH))
        # Fixed margins: a layout engine draws everything twice to find them.
        figure.subplots_adjust(
            left=_LEFT / width,
            right=1 - _RIGHT / width,
            bottom=_BOTTOM / height,
            top=1 - _TOP / height,
        )
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        _draw(axes, chart)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    return _inlined(text.getvalue(), name, chart)


def _draw(axes: Axes, chart: Chart) -> None:
    measured = [line for line in chart.lines if line.style is not None]
    labels = list(dict.fromkeys(line.label for line in measured))

    def at(line: Line) -> Callable[[float], float]:
        return _dodge(chart, labels.index(line.label) - (len(labels) - 1) / 2)

    for line in chart.lines:
        if line.style is None:
            _draw_documented(axes, line)
        else:
            _draw_measured(axes, line, at(line))
    _horizontal_axis(axes, chart)
    _vertical_axis(axes, chart)
    for line in measured:
        _mark_cut_whiskers(axes, line, at(line))


def _draw_documented(axes: Axes, line: Line) -> None:
    xs, ys = [p.x for p in line.points], [p.y for p in line.points]
    axes.plot(
        xs,
        ys,
        color=_DOCUMENTED,
        linewidth=1.5,
        linestyle=(0, (4.0, 3.0)),
        marker="D",
        markersize=10,
        markerfacecolor="none",
        clip_on=False,
        zorder=4,
    )
    # Beside the line and not at its end, where measured points are to be expected.
    rises = ys[-1] > 2 * ys[0]
    axes.annotate(
        line.label,
        (xs[-1], ys[-1]),
        xytext=(-12, 4) if rises else (8, -12),
        textcoords="offset points",
        ha="right",
        va="bottom" if rises else "top",
        color=_DOCUMENTED,
    )


def _dodge(chart: Chart, place: float) -> Callable[[float], float]:
    """A point's position at a level, shifted so that the targets' whiskers do not overlap."""
    if chart.log_x:
        return lambda x: x * 10 ** (place * _DODGE)
    levels = _levels(chart)
    return lambda x: x + place * _LINEAR_DODGE * ((levels[-1] - levels[0]) or 1.0)


def _levels(chart: Chart) -> list[float]:
    return sorted({point.x for line in chart.lines for point in line.points})


def _draw_measured(axes: Axes, line: Line, at: Callable[[float], float]) -> None:
    assert line.style is not None
    colour = _series(line.style.colour)
    alpha = 0.5 if line.faint else 1.0
    valid_points = [point for point in line.points if point.valid]
    # Only valid points are joined: a line through a doubtful one would vouch for it.
    axes.plot(
        [at(p.x) for p in valid_points],
        [p.y for p in valid_points],
        color=colour,
        linestyle=line.style.line,
        linewidth=1.5 if line.faint else 2.0,
        alpha=alpha,
    )
    if line.knee:
        axes.axvline(at(line.knee), color=colour, linewidth=1.2, linestyle=line.style.line)
    whiskers = [(at(p.x), *p.bounds) for p in line.points if p.bounds is not None]
    if whiskers:
        xs, lows, highs = zip(*whiskers, strict=True)
        axes.vlines(xs, lows, highs, color=colour, linewidth=1.2, alpha=alpha)
        axes.plot(
            [*xs, *xs],
            [*lows, *highs],
            color=colour,
            linestyle="none",
            marker="_",
            markersize=6,
            alpha=alpha,
        )
    for valid in (True, False):
        points = [point for point in line.points if point.valid is valid]
        if not points:
            continue
        axes.plot(
            [at(p.x) for p in points],
            [p.y for p in points],
            linestyle="none",
            marker=line.style.marker,
            markersize=5 if line.faint else 7,
            color=colour,
            markerfacecolor=colour if valid else _PAGE,
            alpha=alpha if valid else 1.0,
            clip_on=False,
            zorder=3,
        )


def _mark_cut_whiskers(axes: Axes, line: Line, at: Callable[[float], float]) -> None:
    """An arrow at the edge of the chart, where an interval goes on."""
    assert line.style is not None
    low, high = axes.get_ylim()
    whiskers = [(at(p.x), *p.bounds) for p in line.points if p.bounds is not None]
    for edge, marker, xs in (
        (high, "^", [x for x, _, top in whiskers if top > high]),
        (low, "v", [x for x, bottom, _ in whiskers if bottom < low]),
    ):
        axes.plot(
            xs,
            [edge] * len(xs),
            linestyle="none",
            marker=marker,
            markersize=5,
            color=_series(line.style.colour),
            clip_on=False,
        )


def _nearest(levels: Sequence[float], *, log: bool) -> float:
    """How far the two closest levels lie apart, as a share of the axis."""
    places = [math.log(level) for level in levels] if log else levels
    return min(b - a for a, b in pairwise(places)) / (places[-1] - places[0])


def _horizontal_axis(axes: Axes, chart: Chart) -> None:
    levels = _levels(chart)
    labelled = levels
    if len(levels) > _CROWDED and _nearest(levels, log=chart.log_x) < _LABEL:
        decades = [x for x in levels if x > 0 and math.log10(x).is_integer()]
        # From the end: it is the one that one looks for.
        labelled = decades if chart.log_x and len(decades) > 1 else levels[::-2][::-1]
    low, high = levels[0], levels[-1]
    if chart.log_x:
        axes.set_xscale("log")
        # A single level, or two that lie close, would otherwise fill the axis.
        missing = max(1.0, _NARROW / (high / low)) ** 0.5
        axes.set_xlim(low / missing / _ROOM, high * missing * _ROOM)
    else:
        room = _LINEAR_ROOM * ((high - low) or 1.0)
        axes.set_xlim(low - room, high + room)
    axes.xaxis.set_major_locator(FixedLocator(labelled))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: formatting.level(x)))
    axes.set_xlabel(chart.x_label)


def _vertical_axis(axes: Axes, chart: Chart) -> None:
    points = [point for line in chart.lines for point in line.points]
    if chart.log:
        low, high = _log_limits(points)
        if any(line.style is None for line in chart.lines):
            low /= _ROOM  # a label hangs below the lowest documented point
        # First: a scale without limits looks for them, and complains where no value is positive.
        axes.set_ylim(low, high)
        axes.set_yscale("log")
        subs = (1.0,) if high / low > 30 else (1.0, 2.0, 5.0)  # noqa: PLR2004 - 1.5 decades
        axes.yaxis.set_major_locator(LogLocator(subs=subs))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        top = max(point.y for point in points)
        whiskers = [point.bounds[1] for point in points if point.bounds is not None]
        axes.set_ylim(0, max(1.1 * top, min(1.05 * max(whiskers, default=0.0), 1.6 * top)) or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _tick(y, chart)))


def _log_limits(points: Sequence[Point]) -> tuple[float, float]:
    positive = [point.y for point in points if point.y > 0] or [1.0]
    low, high = min(positive), max(positive)
    lows = [p.bounds[0] for p in points if p.bounds is not None and p.bounds[0] > 0]
    highs = [p.bounds[1] for p in points if p.bounds is not None]
    bottom = max(min([*lows, low]), low / _WHISKER_ROOM)
    top = min(max([*highs, high]), high * _WHISKER_ROOM)
    if top / bottom < _NARROW:
        widen = (_NARROW / (top / bottom)) ** 0.5
        bottom, top = bottom / widen, top * widen
    return bottom / _ROOM, top * _ROOM


def _tick(value: float, chart: Chart) -> str:
    # Ticks are round: their trailing zeros say nothing.
    text, space, unit = chart.text(value).partition(" ")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return f"{text}{space}{unit}"


def _inlined(text: str, name: str, chart: Chart) -> Markup:
    body = text[text.index("<svg") :]
    opening, body = body.split(">", 1)
    view_box = re.search(r'viewBox="[^"]*"', opening)
    assert view_box is not None
    body = re.sub(
        r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL
    )
    body = body.replace("xlink:href", "href")
    body = re.sub(r"font(-family)?: [^;\"]*'[^\";]*(?=[;\"])", _without_family, body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = _with_own_ids(body, name)
    body = re.sub(r"\s*\n\s*", "\n", body).strip()
    label, desc = f"{name}-title", f"{name}-desc"
    return Markup(  # noqa: S704 - matplotlib escapes its texts, and ours are escaped here
        f'<svg class="chart" role="img" aria-labelledby="{escape(label)} {escape(desc)}" '
        f'{view_box.group()}>\n<title id="{escape(label)}">{escape(chart.title)}</title>\n'
        f'<desc id="{escape(desc)}">{escape(chart.in_words)}</desc>\n{body}'
    )


def _without_family(match: re.Match[str]) -> str:
    size = re.search(r"[\d.]+px", match.group())
    return f"font-size: {size.group()}" if size else ""


def _with_own_ids(body: str, name: str) -> str:
    """Remove unused ids, and make the others unique among the charts of the page."""
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))

    def renamed(match: re.Match[str]) -> str:
        return f' id="{name}-{match.group(1)}"' if match.group(1) in referred else ""

    body = re.sub(r'\s+id="([^"]+)"', renamed, body)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
