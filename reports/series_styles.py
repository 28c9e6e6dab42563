"""Colour, marker and line of each target: the same in every chart, table and legend of a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class SeriesStyle:
    """How a target is drawn. Each differs in colour, marker and line: one of them is enough.

    Attributes:
        colour: Number of the colour in the style sheet, `--series-1` and on.
        marker: Matplotlib's name of the marker.
        path: The same marker as an SVG path in a box of 16 by 16.
        line: Matplotlib's line style.
    """

    colour: int
    marker: str
    path: str
    line: str | tuple[int, tuple[float, ...]]


_CIRCLE = "M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10z"
_SQUARE = "M3.5 3.5h9v9h-9z"
_TRIANGLE = "M8 2.5L14 13H2z"
_DIAMOND = "M8 1.5L14 8L8 14.5L2 8z"
_TRIANGLE_DOWN = "M8 13.5L2 3h12z"
_PLUS = "M6 2h4v4h4v4h-4v4h-4v-4h-4v-4h4z"

SERIES_STYLES = (
    SeriesStyle(1, "o", _CIRCLE, "solid"),
    SeriesStyle(2, "s", _SQUARE, (0, (5.0, 1.5))),
    SeriesStyle(3, "^", _TRIANGLE, (0, (1.5, 1.5))),
    SeriesStyle(4, "D", _DIAMOND, (0, (6.0, 1.5, 1.5, 1.5))),
    SeriesStyle(5, "v", _TRIANGLE_DOWN, (0, (3.0, 3.0))),
    SeriesStyle(6, "P", _PLUS, (0, (8.0, 2.0))),
)

_FIXED = {"async": 0, "sync": 1, "sync-one-thread": 2}
"""These three look the same in every report, so that two reports can be held side by side."""


def styles(
    targets: Sequence[str], drivers: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> Mapping[str, SeriesStyle]:
    """A style for each target, and for each target under each driver; beyond six they repeat.

    Args:
        targets: Their names.
        drivers: By target: the drivers that drove it. The first has the style of the target, the
            others its colour.
    """
    others = [target for target in targets if target not in _FIXED]
    places = {target: place + len(_FIXED) for place, target in enumerate(others)} | _FIXED
    found = {target: SERIES_STYLES[places[target] % len(SERIES_STYLES)] for target in targets}
    unused = [one for one in SERIES_STYLES if one not in found.values()] or SERIES_STYLES
    next_one = cycle(unused)
    for target, names in drivers.items():
        for place, driver in enumerate(names):
            look = replace(next(next_one), colour=found[target].colour) if place else found[target]
            found[series(target, driver)] = look
    return found


def series(target: str, driver: str) -> str:
    """The name of a target under one of several drivers."""
    return f"{target} ({driver})"


def of(styles: Mapping[str, SeriesStyle], target: str, driver: str) -> SeriesStyle:
    """The style of a target under a driver."""
    return styles.get(series(target, driver), styles[target])
