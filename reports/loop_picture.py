"""A picture of an event loop over time: its lag, and the stretches in which it stood still."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.blocking import LoopTimeline
from loopmark.harness.vocabulary.probe_result import Asked
from loopmark.reports import probe_wording

WIDTH, HEIGHT = 1000, 260
LEFT, RIGHT, TOP, BOTTOM = 60, 10, 26, 26
"""Margins around the plot of the lag."""
LEAST_TOP_MS = 50.0
_LABEL_CHARACTER = 6.5
"""Width of one, for labels that must fit."""
_THINNEST = 2.0
_SHOWN_GROWING_MS = 20.0
_STEPS = (1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that took a time: a route that was asked, or a loop that stood still."""

    x: float
    width: float
    y: float
    height: float
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class LagPicture:
    """The lag of the event loop over time.

    Attributes:
        points: Of a polyline.
        routes: What was asked when.
        still: When the loop stood still.
        x_ticks: Seconds.
        y_ticks: Milliseconds.
    """

    points: str
    routes: tuple[Bar, ...]
    still: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def highest_ms(timeline: LoopTimeline) -> float:
    """The top of the axis of a picture."""
    lags, stretches = timeline.lags, timeline.stood_still
    highest = max([LEAST_TOP_MS, *(ms for _, ms in lags)])
    return max([highest, *(one.duration_ms for one in stretches)])


def drawn(
    timeline: LoopTimeline, asked: Sequence[Asked] = (), highest: float | None = None
) -> LagPicture | None:
    """The lag over time, as coordinates; None without any heartbeat.

    Args:
        timeline: Of the loops.
        asked: What was asked when.
        highest: Top of the axis in milliseconds, that of another picture; None: its own.
    """
    if not timeline.lags:
        return None
    end_s = max([timeline.lags[-1][0], *(one.end_s for one in asked)]) or 1.0
    highest = highest_ms(timeline) if highest is None else highest

    def x(at_s: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * max(0.0, min(1.0, at_s / end_s)), 1)

    def y(ms: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * ms / highest, 1)

    routes = []
    for one in asked:
        width = round(x(one.end_s) - x(one.start_s), 1)
        name = one.route or "all mixed"
        fits = len(name) * _LABEL_CHARACTER <= width
        shown = name if fits else ""
        routes.append(Bar(x(one.start_s), width, TOP, HEIGHT - TOP - BOTTOM, shown, name))
    still = [
        Bar(
            x(one.at_s),
            max(_THINNEST, round(x(one.at_s + one.duration_ms / 1e3) - x(one.at_s), 1)),
            y(one.duration_ms),
            round(HEIGHT - BOTTOM - y(one.duration_ms), 1),
            "",
            f"{probe_wording.time(one.duration_ms)}: {one.kind.words}",
        )
        for one in timeline.stood_still
    ]
    return LagPicture(
        points=" ".join(f"{x(at_s):g},{y(ms):g}" for at_s, ms in _saw(timeline.lags)),
        routes=tuple(routes),
        still=tuple(still),
        x_ticks=tuple(Tick(x(at), f"{at:g} s") for at in _ticks(end_s, 10)),
        y_ticks=tuple(
            Tick(y(at), probe_wording.time(at) if at else "0") for at in _ticks(highest, 4)
        ),
    )


def _saw(lags: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Each lag as it grew: from nothing, when the heartbeat was due, to what it was at last."""
    last_s = 0.0
    for at_s, ms in lags:
        due_s = at_s - ms / 1e3
        if ms > _SHOWN_GROWING_MS:
            yield max(due_s, last_s), 0.0
            yield at_s, ms
            yield at_s, 0.0
        else:
            yield at_s, ms
        last_s = at_s


def _ticks(end: float, most: int) -> Sequence[float]:
    """From 0 in round steps, up to the end."""
    power = 10.0 ** math.floor(math.log10(end / most))
    steps = [step * power * scale for scale in (1, 10) for step in _STEPS]
    step = next(step for step in steps if end / step <= most)
    return [round(number * step, 9) for number in range(math.floor(end / step) + 1)]
