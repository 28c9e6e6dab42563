"""How charts are drawn."""

from __future__ import annotations

import pytest

from loopmark.reports import drawing
from loopmark.reports.charts import Chart, Line, Point
from loopmark.reports.series_styles import SERIES_STYLES


def test_a_logarithmic_chart_of_nothing_but_zeros_is_drawn_without_complaint() -> None:
    line = Line("mine", (Point(3, 0.0),), SERIES_STYLES[0])
    chart = Chart(
        title="", note="", text="{:g} s".format, log=True, lines=(line,), x_label="at once"
    )
    assert "<svg" in drawing.svg(chart, name="zeros")


def marks(*bounds: tuple[float, float], log: bool) -> int:
    """How many markers a chart of ten has, with these intervals."""
    points = tuple(Point(3 * n, 10.0, one) for n, one in enumerate(bounds, start=1))
    line = Line("mine", points, SERIES_STYLES[0])
    chart = Chart(
        title="", note="", text="{:g} s".format, log=log, lines=(line,), x_label="at once"
    )
    return drawing.svg(chart, name="marks").count("<use")


@pytest.mark.parametrize("log", [True, False])
def test_an_interval_that_is_cut_ends_in_an_arrow(*, log: bool) -> None:
    whole = marks((9.0, 11.0), (9.0, 11.0), log=log)
    assert marks((9.0, 11.0), (9.0, 100.0), log=log) > whole
    assert marks((9.0, 100.0), (9.0, 100.0), log=log) > whole
    # A linear axis begins at zero.
    assert (marks((0.001, 11.0), (9.0, 11.0), log=log) > whole) is log
