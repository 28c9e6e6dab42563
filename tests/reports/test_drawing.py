"""How charts are drawn."""

from __future__ import annotations

from loopmark.reports import drawing
from loopmark.reports.charts import Chart, Line, Point
from loopmark.reports.series_styles import SERIES_STYLES


def test_a_logarithmic_chart_of_nothing_but_zeros_is_drawn_without_complaint() -> None:
    line = Line("mine", (Point(3, 0.0),), SERIES_STYLES[0])
    chart = Chart(
        title="", note="", text="{:g} s".format, log=True, lines=(line,), x_label="at once"
    )
    assert "<svg" in drawing.svg(chart, name="zeros")
