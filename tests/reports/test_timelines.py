import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.vocabulary.figures import TimelinePoint
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.reports import html, timelines
from loopmark.reports.timelines import CellTimelines
from tests.reports.conftest import cell_result, page_of, with_figures

LEFT, RIGHT = timelines.LEFT, timelines.WIDTH - timelines.RIGHT
TOP, BOTTOM = timelines.TOP, timelines.HEIGHT - timelines.BOTTOM


def cell(*timeline_points: TimelinePoint, target: str = "async") -> CellResult:
    found = cell_result("crud", target, Closed(users=10, duration_s=3.0), figure=100.0)
    return with_figures(found, over_time=timeline_points)


def only(*timeline_points: TimelinePoint) -> CellTimelines:
    (found,) = timelines.timelines([cell(*timeline_points)])
    return found


def test_places_of_the_values() -> None:
    cpu, connections = only(
        TimelinePoint(0.5, cpu_fraction=0.0, connections=30, active=0, waiting=0),
        TimelinePoint(1.5, cpu_fraction=1.0, connections=30, active=15, waiting=0),
    ).charts
    (target,) = cpu.curves
    quarter, three_quarters = LEFT + (RIGHT - LEFT) / 4, RIGHT - (RIGHT - LEFT) / 4
    assert target.paths == (f"{quarter:g},{BOTTOM:g} {three_quarters:g},{TOP:g}",)
    assert [tick.text for tick in cpu.x_ticks] == ["0 s", "0.5 s", "1 s", "1.5 s", "2 s"]
    assert [tick.text for tick in cpu.y_ticks] == ["0%", "25%", "50%", "75%", "100%"]
    assert [curve.label for curve in connections.curves] == ["held", "active", "waiting for a lock"]
    assert connections.y_ticks[-1].text == "30"
    assert cpu.in_words == "target: 0% to 100%"
    assert connections.in_words == (
        "held: 30 throughout. active: 0 to 15. waiting for a lock: 0 throughout"
    )


def test_where_nobody_looked_there_is_a_gap() -> None:
    timeline_points = [
        TimelinePoint(0.5 + n, cpu_fraction=None if n == 2 else 0.5) for n in range(4)
    ]
    (chart,) = only(*timeline_points).charts
    first, last = chart.curves[0].paths
    assert len(first.split()) == 2
    assert len(set(last.split())) == 1, "a point alone is drawn as a dot"
    assert len(last.split()) == 2


def test_cells_share_their_vertical_scale() -> None:
    small, large = timelines.timelines(
        [
            cell(TimelinePoint(0.5, cpu_fraction=0.2)),
            cell(TimelinePoint(0.5, cpu_fraction=1.8), target="sync"),
        ]
    )
    assert small.charts[0].y_ticks == large.charts[0].y_ticks


def test_cells_without_moments_have_no_charts(results: RunResults) -> None:
    assert timelines.timelines([cell(), cell(TimelinePoint(0.5))]) == ()
    bare = [with_figures(one, over_time=()) for one in results.cells]
    text = html.render(replace(results, cells=tuple(bare)))
    assert "Over time" not in text
    assert 'class="timeline' not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)


def test_every_cell_with_moments_has_its_charts(many: RunResults) -> None:
    text = page_of(many)
    charts = re.findall(r'<svg class="timeline .*?</svg>', text, re.DOTALL)
    assert len(charts) == 2 * len(many.cells)
    assert sum(map(len, charts)) < 300_000
    for chart in charts:
        assert "<desc" in chart
        assert "None" not in chart


values = st.none() | st.floats(0, 1e6)


@given(
    figures=st.lists(st.tuples(values, values, values), min_size=1, max_size=60),
    window_s=st.floats(0.1, 1e5),
)
def test_everything_lies_within_the_drawing(
    figures: list[tuple[float | None, float | None, float | None]], window_s: float
) -> None:
    timeline_points = [
        TimelinePoint(
            t_s=window_s * (place + 0.5) / len(figures),
            cpu_fraction=cpu,
            database_cpu_fraction=other,
            connections=held,
        )
        for place, (cpu, other, held) in enumerate(figures)
    ]
    for one in timelines.timelines([cell(*timeline_points)]):
        for chart in one.charts:
            assert 2 <= len(chart.x_ticks) <= 5
            assert 2 <= len(chart.y_ticks) <= 5
            assert all(LEFT <= tick.at <= RIGHT for tick in chart.x_ticks)
            assert all(TOP <= tick.at <= BOTTOM for tick in chart.y_ticks)
            assert chart.y_ticks[-1].at == pytest.approx(TOP)
            for curve in chart.curves:
                for point in " ".join(curve.paths).split():
                    x, y = map(float, point.split(","))
                    assert math.isfinite(x)
                    assert LEFT - 0.1 <= x <= RIGHT + 0.1
                    assert TOP - 0.1 <= y <= BOTTOM + 0.1
